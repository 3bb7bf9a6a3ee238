"""The slot of the head for the matching score m_ij of a span's end and start.

Axis letters: N units of all texts, one after the other; d width of a state; D width of all
that is read of a unit; r rank; L longest span in units; Y layers; H heads of queries; K
heads of keys; s width of a head; C units in a block.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize, pad

Matching = Literal["tom", "ltqk", "lcattn"]

BLOCK = 64


class ToM(nn.Module):
    """Match states: the cosine of a query at the end and a key at the start (equation 1).

    width (int): Width of a state, d.
    rank (int): Rank of both projections, r.
    max_length (int): Longest span, in units.
    """

    kind = "tom"
    # Largest value that a match can take.
    bound = 1.0
    layers, heads = (), (1, 1, 1)

    def __init__(self, width: int, rank: int, max_length: int) -> None:
        super().__init__()
        self.reads = width
        self.max_length = max_length
        self.query = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.key = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)

    def forward(self, states: Tensor) -> Tensor:
        """Match each end with the starts before it.

        states (Tensor): States of the units. (N, d)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        query = normalize(states @ self.query, dim=-1)  # (N, r)
        key = normalize(states @ self.key, dim=-1)  # (N, r)
        return band_product(query, key, self.max_length)


class LTQK(nn.Module):
    """Match the queries and keys of a block of the language model itself: the sum over its
    heads of the cosine of both, each projected (appendix D). Where several heads share a
    key, each has a projection of its own for it.

    The reference projects all heads at once and has one cosine. Queries and keys know their
    position in a window of the backbone, so that a span whose start was read in one window
    and whose end in the next is matched less well.

    width (int): Width of a state, d.
    rank (int): Rank of the projections of a head, r.
    max_length (int): Longest span, in units.
    heads (tuple[int, int, int]): Heads of the queries, H; heads of the keys, K, which H is
        a multiple of; and width of a head, s.
    """

    kind = "ltqk"
    layers = ()

    def __init__(
        self, width: int, rank: int, max_length: int, heads: tuple[int, int, int]
    ) -> None:
        super().__init__()
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
        """Match each end with the starts before it.

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
    """Match by the attention scores of the language model itself: the log-sigmoid of their
    weighted sum over layers and heads (appendix D). It is never above 0, so that its pool
    of maxima, which is clamped at 0, is empty.

    The reference takes the log-sigmoid of each score, or none, and sums up then.

    width (int): Width of a state, d.
    max_length (int): Longest span, in units.
    layers (tuple[int]): The blocks whose scores are read, Y of them.
    heads (tuple[int, int, int]): Heads of the queries, H, and what LTQK knows besides.
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
        """Match each end with the starts before it.

        vectors (Tensor): State of the units, and the attention scores from each to itself
            and to those before it, by layer, distance and head. (N, d+YLH)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        shape = len(self.layers), self.max_length, self.heads[0]
        scores = vectors[:, self.width :].unflatten(-1, shape)  # (N, Y, L, H)
        weights = self.weights.weight.view(len(self.layers), -1)  # (Y, H)
        total = torch.einsum("nylh,yh->nl", scores, weights)  # (N, L)
        return logsigmoid(total + self.weights.bias)


def make_matching(
    kind: Matching,
    width: int,
    rank: int,
    max_length: int,
    layers: tuple[int, ...] = (),
    heads: tuple[int, int, int] = (1, 1, 1),
) -> nn.Module:
    """Build what a head matches by.

    kind (str): "tom", "ltqk" or "lcattn".
    width (int): Width of a state.
    rank (int): Rank of the projections, which LCAttn has none of.
    max_length (int): Longest span, in units.
    layers (tuple[int]): The blocks whose attention scores are read.
    heads (tuple[int, int, int]): Heads of the queries, heads of the keys, and their width,
        in the language model.
    RETURNS (nn.Module): It maps vectors of units to matches. (N, D) to (N, L)
    """
    if kind == "tom":
        return ToM(width, rank, max_length)
    if kind == "ltqk":
        return LTQK(width, rank, max_length, heads)
    if kind == "lcattn":
        return LCAttn(width, max_length, layers, heads)
    raise ValueError(f'`matching` is "tom", "ltqk" or "lcattn", not {kind!r}.')


def band_product(query: Tensor, key: Tensor, length: int) -> Tensor:
    """Multiply the vector of each end with those of the starts before it.

    A block of C ends needs the keys of C + L - 1 starts; the band is the diagonals of
    their product.

    query (Tensor): Vectors of the ends. (N, r)
    key (Tensor): Vectors of the starts. (N, r)
    length (int): Longest span, in units, L.
    RETURNS (Tensor): In row e and column l the product of end e and start e - l; anything
        where that would stand before the first unit. (N, L)
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
