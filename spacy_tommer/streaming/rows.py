"""Read the rows of windows that grow.

Axis letters: B rows of a batch; T wordpieces of a row, padded; d width of a state.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..backbone.batches import batch_rows, pad_rows
from ..backbone.language_model import (
    BATCH_PIECES,
    CutModel,
    block_outputs,
    find_blocks,
    only_first,
)
from ..backbone.windows import Ints
from ..locks import COMPUTING


@dataclass
class Row:
    """Hold what is known about a row.

    ids (Ints): Its wordpieces, with special tokens. (T,)
    states (Tensor): Their states, in float32. (T, d)
    keys (list[Tensor]): Keys of each block, if they are kept. (heads, T, width)
    values (list[Tensor]): Values of each block, if they are kept.
    """

    ids: Ints
    states: Tensor
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class RowReader(Protocol):
    """Read the rows of several streams at once."""

    causal: bool

    def read(
        self, known: Sequence[Sequence[Row]], wanted: Sequence[Sequence[Ints]]
    ) -> list[list[Row]]:
        """Read rows.

        known (Sequence[Sequence[Row]]): By stream, the rows that were read before.
        wanted (Sequence[Sequence[Ints]]): By stream, the wordpieces of the rows to read.
        RETURNS (list[list[Row]]): By stream, these rows.
        """
        ...


class Rereader:
    """Read rows as a whole, except those that are known: in an encoder, every state
    depends on all wordpieces of its row.

    cut (CutModel): The language model.
    layer (int): The block whose outputs are read, counted from 0.
    """

    causal = False

    def __init__(self, cut: CutModel, layer: int) -> None:
        self.cut = cut
        self.layer = layer

    def read(
        self, known: Sequence[Sequence[Row]], wanted: Sequence[Sequence[Ints]]
    ) -> list[list[Row]]:
        """Read the rows of several streams, as `RowReader` says."""
        by_ids = [{row.ids.tobytes(): row for row in rows} for rows in known]
        new = [
            (rows, ids)
            for rows, parts in zip(by_ids, wanted)
            for ids in parts
            if ids.tobytes() not in rows
        ]
        lengths = [len(ids) for _, ids in new]
        with block_states(self.cut, self.layer) as outputs:
            for batch in batch_rows(lengths, BATCH_PIECES):
                self.read_batch([new[i] for i in batch], outputs)
        return [
            [rows[ids.tobytes()] for ids in parts] for rows, parts in zip(by_ids, wanted)
        ]

    def read_batch(
        self, batch: list[tuple[dict[bytes, Row], Ints]], outputs: dict[int, Tensor]
    ) -> None:
        """Read some rows in one pass.

        batch (list): The known rows of the stream, to which the new one is added, and its
            wordpieces.
        outputs (dict[int, Tensor]): The outputs of blocks in the last pass. (B, T, d)
        """
        lengths = np.array([len(ids) for _, ids in batch])
        every = np.concatenate([ids for _, ids in batch])
        padded, mask = pad_rows(every, lengths, self.cut.pad)
        device = next(self.cut.network.parameters()).device
        self.cut.network(
            input_ids=torch.from_numpy(padded).to(device),
            attention_mask=torch.from_numpy(mask.astype("int64")).to(device),
        )
        for (rows, ids), states in zip(batch, outputs[self.layer]):
            rows[ids.tobytes()] = Row(ids, states[: len(ids)].float().clone())


@contextmanager
def block_states(cut: CutModel, layer: int) -> Iterator[dict[int, Tensor]]:
    """Capture the outputs of a block. Blocks behind it do not run.

    cut (CutModel): The language model.
    layer (int): The block, counted from 0.
    YIELDS (dict[int, Tensor]): Its outputs in the last pass, by the number of the block.
    """
    blocks = find_blocks(cut.network)
    with (
        COMPUTING,
        torch.inference_mode(),
        only_first(blocks, layer + 1),
        block_outputs({layer: blocks[layer]}) as outputs,
    ):
        yield outputs
