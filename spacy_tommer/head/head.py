"""The ToMMeR probe, which scores every span of a text from the states of its units.

Axis letters: N units of all texts, concatenated; B texts; d width of a state; D width of an
input vector; L longest span in units; K kinds of mentions.
"""

from collections.abc import Sequence
from typing import Union

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, pad

from ..keys import MENTION


class MentionHead(nn.Module):
    """Score spans by matching their last unit against their first (equations 1 and 2).

    The conventions are those of the released weights: the query is the last unit of the
    span, both pools run over the units after its first and are clamped at 0, and the
    value after a text's last unit is 0. Texts are packed, not padded, so the scores
    of a text do not depend on its neighbours.

    A span has a logit for each kind of mention, and behind these for each source: the match
    and its pools are shared, and each output has a value, mixing weights and edge values of
    its own. With one kind it is the head of the paper.

    width (int): Width of a state, d.
    matching (nn.Module): The module that matches the end and the start of a span, as a
        `MatchingSlot` builds it. Its `max_length` is the longest span, in units.
    hidden (int): Hidden units of `EdgeValues`; 0 for the head of the paper, which has
        none. ValueError is raised for a negative number.
    kinds (Sequence[str]): Names of the kinds. ValueError is raised if there is none, or one
        twice.
    sources (Sequence[str]): Names of corpora that each mark only some mentions. Each has an
        output behind those of the kinds: whether it would mark the span.
    """

    def __init__(
        self,
        width: int,
        matching: nn.Module,
        hidden: int = 0,
        kinds: Sequence[str] = (MENTION,),
        sources: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.max_length = max_length = matching.max_length
        if min(width, max_length) < 1 or hidden < 0:
            raise ValueError(
                f"width ({width}) and max_length ({max_length}) of a MentionHead must be 1 "
                f"or more, and hidden ({hidden}) must be 0 or more."
            )
        self.kinds = check_kinds(kinds)
        self.sources = tuple(sources)
        count = len(check_kinds([*self.kinds, *self.sources]))
        self.width = width
        self.hidden = hidden
        self.matching = matching
        self.value = nn.Linear(width, count)
        self.edges = EdgeValues(width, hidden, max_length, count) if hidden else None
        # match, min pool, max pool, value of the last unit, value of the unit after it
        matches = torch.tensor([15.0, 10.0, -8.0]) / self.matching.bound
        self.mixing = nn.Parameter(torch.cat([matches, torch.ones(2)]).repeat(count))

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Score every span of every text.

        vectors (Tensor): Input vectors of the units of all texts: the state, followed by
            any attention that the matching reads. (N, D)
        lengths (Tensor): Units in each text, summing to N. (B,)
        RETURNS (Tensor): Logits, (N, L, K): row e, column l is the span of l + 1 units
            whose last unit is e; -inf where it would start before its text.
        """
        position, is_last = text_positions(lengths)  # (N,), (N,)
        match = self.matching(vectors)  # (N, L)
        pools = torch.stack([match, min_pool(match), -min_pool(-match)])  # (3, N, L)
        of_match, of_values = self.mixing.view(-1, 5).split((3, 2), dim=1)  # (K, 3), (K, 2)
        states = vectors[:, : self.width]  # (N, d)
        value = self.value(states)  # (N, K)
        end = value * of_values[:, 0] + shift_back(value, is_last) * of_values[:, 1]
        start, length = torch.zeros_like(end), torch.zeros_like(end[:1])
        if self.edges is not None:
            more, start, length = self.edges(states, position == 0, is_last)
            end = end + more
        logits = first_values(start, position, self.max_length)  # (N, L, K)
        logits.flatten(0, 1).addmm_(pools.flatten(1).T, of_match.T)
        return logits.add_(end.unsqueeze(1)).add_(length)

    def rescale(self, scales: Tensor, shifts: Tensor) -> None:
        """Multiply the logits of each kind and move them, by changing the weights.
        ValueError is raised for a head without `EdgeValues`, whose logits cannot be moved.

        scales (Tensor): A positive factor for each kind. (K,)
        shifts (Tensor): What is added then. (K,)
        """
        if self.edges is None and bool(shifts.any()):
            raise ValueError("A head without hidden units cannot be calibrated.")
        with torch.no_grad():
            self.mixing.view(-1, 5).mul_(scales[:, None])
            if self.edges is not None:
                self.edges.outer.weight.view(4, len(scales), -1).mul_(scales[:, None])
                length = self.edges.length.view(-1, len(scales))
                length.mul_(scales).add_(shifts)


class EdgeValues(nn.Module):
    """Score the edges of a span, by values of its last unit, the unit after it, its first
    unit, the unit before it, and its length. Their sum is added to its logit.

    The paper has no such module: its values are linear and look at the end of a span only.

    width (int): Width of a state, d.
    hidden (int): Hidden units, H.
    max_length (int): Longest span, in units.
    kinds (int): Kinds of mentions, K.
    """

    def __init__(self, width: int, hidden: int, max_length: int, kinds: int = 1) -> None:
        super().__init__()
        self.kinds = kinds
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 4 * kinds, bias=False)
        self.length = nn.Parameter(torch.zeros(max_length * kinds))
        nn.init.zeros_(self.outer.weight)

    def forward(
        self, states: Tensor, is_first: Tensor, is_last: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the values of every unit and length. Units outside a text count as 0.

        states (Tensor): States of the units of all texts. (N, d)
        is_first (Tensor): Whether a unit is the first of its text. (N,)
        is_last (Tensor): Whether a unit is the last of its text. (N,)
        RETURNS (tuple[Tensor, Tensor, Tensor]): Values of the spans that end with each unit
            (N, K), of those that start with it (N, K), and of those of each length (L, K).
        """
        values = self.outer(gelu(self.inner(states)))  # (N, 4 K)
        end, after, start, before = values.view(-1, 4, self.kinds).unbind(1)  # (N, K) each
        end = end + shift_back(after, is_last)
        start = start + pad(before[:-1], (0, 0, 1, 0)).masked_fill(is_first[:, None], 0.0)
        return end, start, self.length.view(-1, self.kinds)


def check_kinds(kinds: Union[str, Sequence[str]]) -> tuple[str, ...]:
    """Check the names of the kinds of mentions.

    kinds (Union[str, Sequence[str]]): The names, or the only one.
    RETURNS (tuple[str, ...]): The names. ValueError is raised if there is none, or one
        twice.
    """
    names = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    words = all(isinstance(name, str) and name for name in names)
    if not names or not words or len(set(names)) < len(names):
        raise ValueError(
            f"`kinds` is {list(names)!r}, expected one or more different names, such as "
            '["NAME", "TERM", "QUANTITY"].'
        )
    return names


def shift_back(values: Tensor, is_last: Tensor) -> Tensor:
    """Give each unit the values of the unit after it in its text, or 0.

    values (Tensor): Values of the units of all texts. (N, K)
    is_last (Tensor): Whether a unit is the last of its text. (N,)
    RETURNS (Tensor): The values of the units after them. (N, K)
    """
    return pad(values[1:], (0, 0, 0, 1)).masked_fill(is_last.unsqueeze(-1), 0.0)


def first_values(values: Tensor, position: Tensor, max_length: int) -> Tensor:
    """Give each span the values of its first unit.

    values (Tensor): Values of the units of all texts. (N, K)
    position (Tensor): Index of each unit in its text. (N,)
    max_length (int): Longest span, in units, L.
    RETURNS (Tensor): The values; -inf where a span would start before its text. (N, L, K)
    """
    back = torch.arange(max_length, device=values.device)  # (L,)
    first = torch.arange(len(values), device=values.device).unsqueeze(-1) - back  # (N, L)
    first = first.masked_fill(back > position.unsqueeze(-1), len(values))
    return embedding(first, pad(values, (0, 0, 0, 1), value=-torch.inf))


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
