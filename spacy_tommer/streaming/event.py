"""What a stream reports."""

from dataclasses import dataclass
from typing import Literal

What = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Event:
    """Tell what has become of a mention. The last event of a mention that was not removed
    has what `nlp(text)` finds in the whole text.

    what (str): "added", "changed" (its score, its label, `flat` or `final`) or "removed".
    start (int): Its first character, counted from the start of the stream.
    end (int): Its end (exclusive) in characters.
    text (str): Its text.
    label (str): Its kind.
    score (float): Its probability.
    flat (bool): Whether it is one of the entities of doc.ents, which do not overlap.
    final (bool): Whether nothing that comes later can change it. A mention that was removed
        for good does not come back.
    sequence (int): Number of the sequence in a batch of a model that generates; 0 in a
        stream of text.
    """

    what: What
    start: int
    end: int
    text: str
    label: str
    score: float
    flat: bool
    final: bool
    sequence: int = 0


# A score that moves by less is not reported before it is final.
LEAST_CHANGE = 0.01


def is_change(before: Event, now: Event) -> bool:
    """Tell whether a mention must be reported again."""
    return (before.label, before.flat, before.final) != (
        now.label,
        now.flat,
        now.final,
    ) or abs(before.score - now.score) >= LEAST_CHANGE
