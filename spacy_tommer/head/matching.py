"""Matching scores m_ij of a span's end and start, and the slot that builds them.

Axis letters: N units of all texts, concatenated; d width of a state; D width of an input
vector; r rank; L longest span in units; Y layers; H query heads; K key heads; s width of a
head; C units in a block.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Optional, Protocol, Union, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize, pad

from ..backbone.attention import Attention, Heads

BLOCK = 64


class ToM(nn.Module):
    """Match states: the cosine of a query at the end and a key at the start (equation 1).

    width (int): Width of a state, d.
    rank (int): Rank of both projections, r.
    max_length (int): Longest span, in units.
    """

    kind = "tom"
    # Largest possible match.
    bound = 1.0
    layers, heads = (), (1, 1, 1)

    def __init__(self, width: int, rank: int, max_length: int) -> None:
        super().__init__()
        check_rank(rank)
        self.reads = width
        self.max_length = max_length
        self.query = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.key = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)

    def forward(self, states: Tensor) -> Tensor:
        """Match each end with the starts up to it.

        states (Tensor): States of the units. (N, d)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        query = normalize(states @ self.query, dim=-1)  # (N, r)
        key = normalize(states @ self.key, dim=-1)  # (N, r)
        return band_product(query, key, self.max_length)


class LTQK(nn.Module):
    """Match the queries and keys of a block of the language model: project both, and sum
    their cosines over the heads (appendix D). Heads that share a key project it separately.

    The reference projects all heads at once and has one cosine. Queries and keys encode
    their position in a window of the backbone, so a span whose start was read in one window
    and whose end in the next is matched less well.

    width (int): Width of a state, d.
    rank (int): Rank of the projections of a head, r.
    max_length (int): Longest span, in units.
    heads (tuple[int, int, int]): Query heads, H; key heads, K, a divisor of H; and width
        of a head, s.
    """

    kind = "ltqk"
    layers = ()

    def __init__(
        self, width: int, rank: int, max_length: int, heads: tuple[int, int, int]
    ) -> None:
        super().__init__()
        check_rank(rank)
        self.reads = width + (heads[0] + heads[1]) * heads[2]
        self.heads = heads
        self.bound = float(heads[0])
        self.max_length = max_length
        self.width = width
        head_width = heads[2]
        shape = heads[0], head_width, rank
        self.query = nn.Parameter(torch.randn(shape) / head_width**0.5)  # (H, s, r)
        self.key = nn.Parameter(torch.randn(shape) / head_width**0.5)  # (H, s, r)

    def forward(self, vectors: Tensor) -> Tensor:
        """Match each end with the starts up to it.

        vectors (Tensor): State, queries and keys of the units. (N, d+Hs+Ks)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        count, key_heads, head_width = self.heads
        both = vectors[:, self.width :].unflatten(-1, (count + key_heads, head_width))
        queries, keys = both.split([count, key_heads], dim=1)  # (N, H, s), (N, K, s)
        keys = keys.repeat_interleave(count // key_heads, dim=1)  # (N, H, s)
        query = normalize(torch.einsum("nhs,hsr->nhr", queries, self.query), dim=-1)
        key = normalize(torch.einsum("nhs,hsr->nhr", keys, self.key), dim=-1)
        # The product of all heads' vectors is the sum of their cosines.
        return band_product(query.flatten(1), key.flatten(1), self.max_length)


class LCAttn(nn.Module):
    """Match by the attention scores of the language model: the log-sigmoid of their
    weighted sum over layers and heads (appendix D). It is never above 0, so the pool of
    maxima, which is clamped at 0, is always 0.

    The reference takes the log-sigmoid of each score, or none, and then sums.

    width (int): Width of a state, d.
    max_length (int): Longest span, in units.
    layers (tuple[int, ...]): The Y blocks whose scores are read, counted from 0.
    heads (tuple[int, int, int]): Query heads, H; key heads; and width of a head.
    """

    kind = "lcattn"
    bound = 1.0

    def __init__(
        self,
        width: int,
        max_length: int,
        layers: tuple[int, ...],
        heads: tuple[int, int, int],
    ) -> None:
        super().__init__()
        self.reads = width + len(layers) * max_length * heads[0]
        self.layers = layers
        self.heads = heads
        self.max_length = max_length
        self.width = width
        self.weights = nn.Linear(len(layers) * heads[0], 1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Match each end with the starts up to it.

        vectors (Tensor): State of the units, and the attention scores from each unit to
            itself and to the units before it, by layer, distance and head. (N, d+YLH)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        shape = len(self.layers), self.max_length, self.heads[0]
        scores = vectors[:, self.width :].unflatten(-1, shape)  # (N, Y, L, H)
        weights = self.weights.weight.view(len(self.layers), -1)  # (Y, H)
        total = torch.einsum("nylh,yh->nl", scores, weights)  # (N, L)
        return logsigmoid(total + self.weights.bias)


@runtime_checkable
class MatchingSlot(Protocol):
    """Build the module that matches. `[components.tommer.model.matching]` names a slot.

    The module has the attributes `reads`, the width of its input vectors, D; `bound`, the
    largest possible match; `max_length`, the longest span, L; and what its file keeps: the
    slot's `kind`, and the `layers` and `heads` that it was built with, or () and (1, 1, 1).
    It maps (N, D) to (N, L).
    """

    @property
    def kind(self) -> str:
        """Name the matching in the files of heads."""
        ...

    @property
    def attention(self) -> Optional[Attention]:
        """Name the attention that it reads from the backbone, or None."""
        ...

    @property
    def rank(self) -> int:
        """Return the rank of its projections."""
        ...

    def build(
        self, width: int, max_length: int, layers: tuple[int, ...], heads: Heads
    ) -> nn.Module:
        """Build the module.

        width (int): Width of a state, d.
        max_length (int): Longest span, in units.
        layers (tuple[int, ...]): The blocks of the backbone whose outputs are read.
        heads (tuple[int, int, int]): Shape of its attention, as in `BackboneSpec`.
        """
        ...


@dataclass(frozen=True)
class ToMSlot:
    """spacy_tommer.ToM.v1: match hidden states.

    rank (int): Rank of the query and key projections.
    """

    rank: int = 64
    kind: ClassVar[str] = "tom"
    attention: ClassVar[Optional[Attention]] = None

    def build(
        self, width: int, max_length: int, layers: tuple[int, ...], heads: Heads
    ) -> nn.Module:
        """Build ToM."""
        return ToM(width, self.rank, max_length)


@dataclass(frozen=True)
class LTQKSlot:
    """spacy_tommer.LTQK.v1: match queries and keys, for a backbone with
    `attention = "queries_keys"`.

    rank (int): Rank of the projections of each head.
    """

    rank: int = 64
    kind: ClassVar[str] = "ltqk"
    attention: ClassVar[Optional[Attention]] = "queries_keys"

    def build(
        self, width: int, max_length: int, layers: tuple[int, ...], heads: Heads
    ) -> nn.Module:
        """Build LTQK."""
        return LTQK(width, self.rank, max_length, heads)


@dataclass(frozen=True)
class LCAttnSlot:
    """spacy_tommer.LCAttn.v1: match by the attention scores of all blocks, for a backbone
    with `attention = "scores"` and the same `max_length`."""

    kind: ClassVar[str] = "lcattn"
    attention: ClassVar[Optional[Attention]] = "scores"
    rank: ClassVar[int] = 1

    def build(
        self, width: int, max_length: int, layers: tuple[int, ...], heads: Heads
    ) -> nn.Module:
        """Build LCAttn."""
        return LCAttn(width, max_length, layers, heads)


# The slots by the names that files of heads, and configs of the old form, call them.
SLOTS: dict[str, type[Union[ToMSlot, LTQKSlot, LCAttnSlot]]] = {
    "tom": ToMSlot,
    "ltqk": LTQKSlot,
    "lcattn": LCAttnSlot,
}


def as_slot(matching: Union[str, MatchingSlot], rank: Optional[int]) -> MatchingSlot:
    """Resolve the setting `matching` of a config to a slot.

    matching (Union[str, MatchingSlot]): A slot, or one of "tom", "ltqk" and "lcattn".
    rank (Optional[int]): A rank that overrides the slot's own.
    RETURNS (MatchingSlot): The slot. ValueError is raised for any other name.
    """
    if isinstance(matching, str):
        if matching not in SLOTS:
            raise ValueError(
                f"`matching` is {matching!r}, expected one of {', '.join(SLOTS)}. Write:\n"
                "    [components.tommer.model.matching]\n"
                '    @layers = "spacy_tommer.ToM.v1"'
            )
        slot: MatchingSlot = SLOTS[matching]()
    else:
        slot = matching
    if rank is None or isinstance(slot, LCAttnSlot):
        return slot
    return replace(slot, rank=rank)  # type: ignore[type-var]


def check_rank(rank: int) -> None:
    """Raise ValueError for a rank below 1."""
    if rank < 1:
        raise ValueError(f"`rank` of a matching is {rank}, expected 1 or more.")


def band_product(query: Tensor, key: Tensor, length: int) -> Tensor:
    """Compute the inner products of each end with the starts up to it.

    A block of C ends needs the keys of C + L - 1 starts. The band is made of the diagonals
    of their product.

    query (Tensor): Vectors of the ends. (N, r)
    key (Tensor): Vectors of the starts. (N, r)
    length (int): Longest span, in units, L.
    RETURNS (Tensor): Row e, column l is the product of end e and start e - l; any value
        where that start would be before the first unit. (N, L)
    """
    units, reach = len(query), length - 1
    blocks = -(-units // BLOCK)
    fill = blocks * BLOCK - units
    query = pad(query, (0, 0, 0, fill)).view(blocks, BLOCK, -1)  # (N/C, C, r)
    key = pad(key, (0, 0, reach, fill)).unfold(0, BLOCK + reach, BLOCK)
    product = torch.bmm(query, key)  # (N/C, C, C+L-1)
    row = BLOCK + reach
    band = product.as_strided((blocks, BLOCK, length), (BLOCK * row, row + 1, 1))
    return band.flip(-1).reshape(-1, length)[:units]
