"""Score all pairs of units of a text, as the reference implementation of ToMMeR does.

Axis letters: B texts, padded to n units; d width of a state; r rank.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, normalize, pad


class DenseScores(nn.Module):
    """Score every pair of an end and a start (equations 1 and 2), and mask what is no span.

    The pools of a row run over a window of n, so that the cost grows with n * n * n.

    width (int): Width of a state, d.
    rank (int): Rank of both projections, r.
    max_length (int): Longest span, in units.
    """

    def __init__(self, width: int, rank: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.query = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.key = nn.Parameter(torch.randn(width, rank) / width**0.5)  # (d, r)
        self.value = nn.Linear(width, 1)
        # match, min pool, max pool, value of the last unit, value of the unit after it
        self.mixing = nn.Parameter(torch.tensor([15.0, 10.0, -8.0, 1.0, 1.0]))

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Score every span of every text.

        states (Tensor): States of the units. (B, n, d)
        lengths (Tensor): Units in each text. (B,)
        RETURNS (Tensor): Logits by end and start, -inf for what is no span. (B, n, n)
        """
        place = torch.arange(states.shape[1])
        back = place[:, None] - place  # (n, n)
        inside = place < lengths[:, None]  # (B, n)
        is_span = (back >= 0) & (back < self.max_length) & inside[:, :, None]
        query = normalize(states @ self.query, dim=-1)  # (B, n, r)
        key = normalize(states @ self.key, dim=-1)  # (B, n, r)
        match = (query @ key.mT).masked_fill(~is_span, 0.0)  # (B, n, n)
        value = self.value(states).squeeze(-1).masked_fill(~inside, 0.0)  # (B, n)
        after = pad(value[:, 1:], (0, 1))  # (B, n)
        features = torch.stack(
            [
                match,
                -pool_later(-match),
                pool_later(match),
                value[:, :, None].expand_as(match),
                after[:, :, None].expand_as(match),
            ],
            dim=-1,
        )  # (B, n, n, 5)
        return (features @ self.mixing).masked_fill(~is_span, -torch.inf)


def pool_later(match: Tensor) -> Tensor:
    """Take the maximum of 0 and the match at every later start of a row.

    match (Tensor): Match of each end and start, 0 for what is no span. (B, n, n)
    RETURNS (Tensor): The maxima. (B, n, n)
    """
    count = match.shape[-1]
    return max_pool2d(pad(match[:, :, 1:], (0, count)), (1, count), stride=1)
