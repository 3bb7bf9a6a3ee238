"""Read only the new wordpieces of a row, with the keys and values of those before them.

Axis letters: B rows of a batch; Q new wordpieces of a row, T all of them, both padded; H
key heads; s width of a head.
"""

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from ..backbone.batches import batch_rows
from ..backbone.language_model import BATCH_PIECES, CutModel
from ..backbone.windows import Ints
from .rows import Row, block_states

# Model types in which each wordpiece attends to all those before it.
CAUSAL = frozenset(("gpt2", "gpt_neox", "llama", "mistral", "phi", "qwen2", "qwen3"))


def is_causal(cut: CutModel) -> bool:
    """Tell whether the states of a row stay as they are when it grows, and can be computed
    from the keys and values of what stands before them."""
    config = cut.config
    return (
        config.model_type in CAUSAL
        and cut.passes == 1
        and getattr(config, "sliding_window", None) is None
    )


class PrefixReader:
    """Read the wordpieces of a row that follow what it has in common with a known row.

    cut (CutModel): The language model, of a type in CAUSAL.
    layer (int): The block whose outputs are read, counted from 0.
    """

    causal = True

    def __init__(self, cut: CutModel, layer: int) -> None:
        self.cut = cut
        self.layer = layer

    def read(
        self, known: Sequence[Sequence[Row]], wanted: Sequence[Sequence[Ints]]
    ) -> list[list[Row]]:
        """Read the rows of several streams, as `RowReader` says."""
        rows = [begin_rows(*both) for both in zip(known, wanted)]
        every = [row for part in rows for row in part]
        new = [row for row in every if len(row.states) < len(row.ids)]
        lengths = [len(row.ids) - len(row.states) for row in new]
        with block_states(self.cut, self.layer) as outputs:
            for batch in batch_rows(lengths, BATCH_PIECES):
                self.read_batch([new[i] for i in batch], outputs)
        for row in (row for part in rows for row in part[:-1]):
            row.keys, row.values = [], []  # only the last row of a text grows
        return rows

    def read_batch(self, rows: list[Row], outputs: dict[int, Tensor]) -> None:
        """Read the new wordpieces of some rows in one pass.

        rows (list[Row]): The rows, changed in place.
        outputs (dict[int, Tensor]): The outputs of blocks in the last pass. (B, Q, d)
        """
        past = np.array([len(row.states) for row in rows])
        total = np.array([len(row.ids) for row in rows])
        new = np.arange((total - past).max())  # (Q,)
        place = np.minimum(past[:, None] + new, total[:, None] - 1)  # (B, Q)
        ids = np.stack([row.ids[at] for row, at in zip(rows, place)])
        seen = np.arange(total.max()) <= place[:, :, None]  # (B, Q, T)
        weights = next(self.cut.network.parameters())
        mask = torch.zeros(seen.shape, dtype=weights.dtype, device=weights.device)
        hidden = torch.from_numpy(~seen).to(weights.device)
        mask.masked_fill_(hidden, torch.finfo(weights.dtype).min)
        cache = PrefixCache(rows, past, total)
        self.cut.network(
            input_ids=torch.from_numpy(ids).to(weights.device),
            attention_mask=mask[:, None],
            position_ids=torch.from_numpy(place).to(weights.device),
            past_key_values=cache,
            cache_position=torch.from_numpy(new).to(weights.device),
            use_cache=True,
        )
        for i, (row, count) in enumerate(zip(rows, total - past)):
            states = outputs[self.layer][i, :count].float()
            # A view would keep the states of all rows in memory.
            row.states = (
                torch.cat([row.states, states]) if row.states.numel() else states.clone()
            )
            row.keys, row.values = cache.of_row(i)


class PrefixCache(DynamicCache):
    """Put the keys and values of known wordpieces before those of new ones, in rows of
    different lengths.

    rows (list[Row]): The rows.
    past (Ints): How many wordpieces of each row are known. (B,)
    total (Ints): How many wordpieces each row has. (B,)
    """

    def __init__(self, rows: list[Row], past: Ints, total: Ints) -> None:
        super().__init__()
        self.rows = rows
        self.past = past.tolist()
        self.total = total.tolist()
        self.keys: list[Tensor] = []  # (B, H, T, s) for each block
        self.values: list[Tensor] = []

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        layer_idx: int,
        cache_kwargs: Optional[dict[str, Any]] = None,
    ) -> tuple[Tensor, Tensor]:
        """Add the keys and values of the new wordpieces in a block, and return those of
        all. (B, H, Q, s) to (B, H, T, s)"""
        known = [row.keys[layer_idx] if row.keys else None for row in self.rows]
        self.keys.append(self.join(known, key_states))
        known = [row.values[layer_idx] if row.values else None for row in self.rows]
        self.values.append(self.join(known, value_states))
        return self.keys[-1], self.values[-1]

    def join(self, known: list[Optional[Tensor]], new: Tensor) -> Tensor:
        """Put new keys or values behind the known ones of each row."""
        shape = *new.shape[:2], max(self.total), new.shape[-1]
        every = new.new_zeros(shape)
        for row, before, added, past, total in zip(
            every, known, new, self.past, self.total
        ):
            if before is not None:
                row[:, :past] = before[:, :past]
            row[:, past:total] = added[:, : total - past]
        return every

    def of_row(self, i: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return the keys and values of a row, by block, without padding. (H, T, s)"""
        keys, values = (
            [part[i, :, : self.total[i]] for part in every]
            for every in (self.keys, self.values)
        )
        if len(self.rows) > 1:  # a view would keep those of all rows in memory
            keys, values = ([part.clone() for part in every] for every in (keys, values))
        return keys, values

    def get_seq_length(self, layer_idx: Optional[int] = 0) -> int:
        """Return how many wordpieces all rows have in common before the new ones: none."""
        return 0


def begin_rows(known: Sequence[Row], wanted: Sequence[Ints]) -> list[Row]:
    """Begin the rows of one stream with what they have in common with known rows. A known
    row goes on as one row only, and only if its keys and values are known.

    known (Sequence[Row]): The known rows.
    wanted (Sequence[Ints]): The wordpieces of the rows.
    RETURNS (list[Row]): The rows. Those that lack states are to be read.
    """
    left = list(known)
    rows = []
    for ids in wanted:
        common = [count_common(row.ids, ids) for row in left]
        length = max(common, default=0)
        if not length:
            rows.append(Row(ids, torch.zeros(0, 0)))
            continue
        row = left.pop(common.index(length))
        if not row.keys and length < len(ids):
            rows.append(Row(ids, torch.zeros(0, 0)))
            continue
        keys, values = (
            [part[:, :length] for part in every] for every in (row.keys, row.values)
        )
        rows.append(Row(ids, row.states[:length], keys, values))
    return rows


def count_common(first: Ints, second: Ints) -> int:
    """Count the wordpieces at the start of two rows that are the same."""
    shorter = min(len(first), len(second))
    differ = first[:shorter] != second[:shorter]
    return int(differ.argmax()) if differ.any() else shorter
