"""The ToMMeR probe: scores every span of a text from the states of its units.

Axis letters: N units of all texts, one after the other; B texts; d width of a state;
r rank; L longest span in units; C units in a block.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

BLOCK = 64


class MentionHead(nn.Module):
    """Score spans by matching their last unit against their first (equations 1 and 2).

    The conventions are those of the released weights: the query is the end of the
    span, both pools run over the units behind its start and are clamped at 0, and the
    value behind a text's last unit is 0. Texts are packed, not padded, so the scores
    of a text do not depend on its neighbours.

    width (int): Width of a state, d.
    rank (int): Rank of the query and key projections, r.
    max_length (int): Longest span, in units.
    start_value (bool): Add a linear probe of the span's first unit. Not in the paper.
    """

    def __init__(
        self,
        width: int,
        rank: int = 64,
        max_length: int = 25,
        start_value: bool = False,
    ) -> None:
        super().__init__()
        if min(width, rank, max_length) < 1:
            raise ValueError(
                f"width ({width}), rank ({rank}) and max_length ({max_length}) of a "
                "MentionHead must be 1 or more."
            )
        self.max_length = max_length
        self.query = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.key = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.value = nn.Linear(width, 1)
        self.start_value = nn.Linear(width, 1, bias=False) if start_value else None
        # match, min pool, max pool, value at the end, value behind the end
        self.mixing = nn.Parameter(torch.tensor([15.0, 10.0, -8.0, 1.0, 1.0]))

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Score every span of every text.

        states (Tensor): States of the units of all texts. (N, d)
        lengths (Tensor): Units in each text, summing to N. (B,)
        RETURNS (Tensor): Logits, (N, L): row e, column l is the span of l + 1 units
            that ends with unit e; -inf where it would begin before its text.
        """
        position, is_last = text_positions(lengths)  # (N,), (N,)
        match = self.match(states)  # (N, L)
        value = self.value(states).squeeze(-1)  # (N,)
        next_value = pad(value[1:], (0, 1)).masked_fill(is_last, 0.0)  # (N,)
        features = (
            match,
            min_pool(match),
            -min_pool(-match),
            value.unsqueeze(-1),
            next_value.unsqueeze(-1),
        )
        logits = sum(w * x for w, x in zip(self.mixing, features))  # (N, L)
        if self.start_value is not None:
            start = self.start_value(states).squeeze(-1)  # (N,)
            start = pad(start, (self.max_length - 1, 0))
            logits = logits + start.unfold(0, self.max_length, 1).flip(-1)
        span_length = torch.arange(self.max_length, device=states.device)  # (L,)
        return logits.masked_fill(span_length > position.unsqueeze(-1), -torch.inf)

    def match(self, states: Tensor) -> Tensor:
        """Compute the cosine of end query and start key (equation 1) on the band.

        A block of C ends needs the keys of C + L - 1 starts; the band is the diagonals
        of their product.

        states (Tensor): States of the units. (N, d)
        RETURNS (Tensor): m[e, l], the match of end e with start e - l. (N, L)
        """
        length, reach = len(states), self.max_length - 1
        blocks = -(-length // BLOCK)
        fill = blocks * BLOCK - length
        query = normalize(states @ self.query, dim=-1)  # (N, r)
        key = normalize(states @ self.key, dim=-1)  # (N, r)
        query = pad(query, (0, 0, 0, fill)).view(blocks, BLOCK, -1)  # (N/C, C, r)
        key = pad(key, (0, 0, reach, fill)).unfold(0, BLOCK + reach, BLOCK)
        product = torch.bmm(query, key)  # (N/C, C, C+L-1)
        row = BLOCK + reach
        band = product.as_strided(
            (blocks, BLOCK, self.max_length), (BLOCK * row, row + 1, 1)
        )
        return band.flip(-1).reshape(-1, self.max_length)[:length]


def min_pool(match: Tensor) -> Tensor:
    """Take the minimum of 0 and the match at every later start inside the span.

    match (Tensor): Match of each end and start. (N, L)
    RETURNS (Tensor): 0 for spans of one unit. (N, L)
    """
    return pad(match.cummin(-1).values[:, :-1], (1, 0)).clamp(max=0.0)


def text_positions(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Find where each unit of packed texts stands.

    lengths (Tensor): Units in each text. (B,)
    RETURNS (tuple[Tensor, Tensor]): The unit's index in its text (N,), and whether
        it is the last one there (N,).
    """
    total = int(lengths.sum())
    ends = lengths.cumsum(0)
    starts = (ends - lengths).repeat_interleave(lengths)  # (N,)
    position = torch.arange(total, device=lengths.device) - starts
    return position, position + 1 == lengths.repeat_interleave(lengths)
