"""The ToMMeR probe, which scores every span of a text from the states of its units.

Axis letters: N units of all texts, concatenated; B texts; d width of a state; D width of an
input vector; L longest span in units.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad


class MentionHead(nn.Module):
    """Score spans by matching their last unit against their first (equations 1 and 2).

    The conventions are those of the released weights: the query is the last unit of the
    span, both pools run over the units after its first and are clamped at 0, and the
    value after a text's last unit is 0. Texts are packed, not padded, so the scores
    of a text do not depend on its neighbours.

    width (int): Width of a state, d.
    matching (nn.Module): The module that matches the end and the start of a span, as a
        `MatchingSlot` builds it. Its `max_length` is the longest span, in units.
    hidden (int): Hidden units of `EdgeValues`; 0 for the head of the paper, which has
        none. ValueError is raised for a negative number.
    """

    def __init__(self, width: int, matching: nn.Module, hidden: int = 0) -> None:
        super().__init__()
        self.max_length = max_length = matching.max_length
        if min(width, max_length) < 1 or hidden < 0:
            raise ValueError(
                f"width ({width}) and max_length ({max_length}) of a MentionHead must be 1 "
                f"or more, and hidden ({hidden}) must be 0 or more."
            )
        self.width = width
        self.hidden = hidden
        self.matching = matching
        self.value = nn.Linear(width, 1)
        self.edges = EdgeValues(width, hidden, max_length) if hidden else None
        # match, min pool, max pool, value of the last unit, value of the unit after it
        matches = torch.tensor([15.0, 10.0, -8.0]) / self.matching.bound
        self.mixing = nn.Parameter(torch.cat([matches, torch.ones(2)]))

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Score every span of every text.

        vectors (Tensor): Input vectors of the units of all texts: the state, followed by
            any attention that the matching reads. (N, D)
        lengths (Tensor): Units in each text, summing to N. (B,)
        RETURNS (Tensor): Logits, (N, L): row e, column l is the span of l + 1 units
            whose last unit is e; -inf where it would start before its text.
        """
        position, is_last = text_positions(lengths)  # (N,), (N,)
        match = self.matching(vectors)  # (N, L)
        states = vectors[:, : self.width]  # (N, d)
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
        if self.edges is not None:
            logits = logits + self.edges(states, position == 0, is_last)
        span_length = torch.arange(self.max_length, device=vectors.device)  # (L,)
        return logits.masked_fill(span_length > position.unsqueeze(-1), -torch.inf)


class EdgeValues(nn.Module):
    """Score the edges of a span: sum the values of its last unit, the unit after it, its
    first unit, the unit before it, and its length.

    The paper has no such module: its values are linear and look at the end of a span only.

    width (int): Width of a state, d.
    hidden (int): Hidden units, H.
    max_length (int): Longest span, in units.
    """

    def __init__(self, width: int, hidden: int, max_length: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 4, bias=False)
        self.length = nn.Parameter(torch.zeros(max_length))
        nn.init.zeros_(self.outer.weight)

    def forward(self, states: Tensor, is_first: Tensor, is_last: Tensor) -> Tensor:
        """Sum the values of every span. Units outside its text count as 0.

        states (Tensor): States of the units of all texts. (N, d)
        is_first (Tensor): Whether a unit is the first of its text. (N,)
        is_last (Tensor): Whether a unit is the last of its text. (N,)
        RETURNS (Tensor): The sums, to be added to the logits. (N, L)
        """
        values = self.outer(gelu(self.inner(states)))  # (N, 4)
        end, after, start, before = values.unbind(-1)  # (N,) each
        end = end + pad(after[1:], (0, 1)).masked_fill(is_last, 0.0)
        start = start + pad(before[:-1], (1, 0)).masked_fill(is_first, 0.0)
        reach = len(self.length) - 1
        starts = pad(start, (reach, 0)).unfold(0, reach + 1, 1).flip(-1)  # (N, L)
        return end.unsqueeze(-1) + starts + self.length


def min_pool(match: Tensor) -> Tensor:
    """Take the minimum of 0 and the match at every later start inside the span.

    match (Tensor): Match of each end and start. (N, L)
    RETURNS (Tensor): The minima; 0 for spans of one unit. (N, L)
    """
    return pad(match.cummin(-1).values[:, :-1], (1, 0)).clamp(max=0.0)


def text_positions(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the position of each unit of packed texts.

    lengths (Tensor): Units in each text. (B,)
    RETURNS (tuple[Tensor, Tensor]): The unit's index in its text (N,), and whether
        it is the last of its text (N,).
    """
    total = int(lengths.sum())
    ends = lengths.cumsum(0)
    starts = (ends - lengths).repeat_interleave(lengths)  # (N,)
    position = torch.arange(total, device=lengths.device) - starts
    return position, position + 1 == lengths.repeat_interleave(lengths)
