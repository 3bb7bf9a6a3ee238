"""Passages of a text that are final, and their mentions replaced."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Union

from .event import Event

# What replaces a mention: a text with fields of its event, such as "[{label}]", or a
# function of it.
Mask = Union[str, Callable[[Event], str]]


@dataclass(frozen=True)
class Passage:
    """Hold a part of a text that nothing behind it changes, and that no mention crosses the
    edges of.

    start (int): Its first character, counted from the start of the text.
    text (str): The text.
    mentions (tuple[Event, ...]): The final events of its mentions, in text order.
    """

    start: int
    text: str
    mentions: tuple[Event, ...]

    def redact(self, mask: Mask) -> str:
        """Replace the mentions. Those that overlap are replaced together: by the mask of an
        entity, or else by that of the longest.

        mask (Mask): What replaces a mention.
        RETURNS (str): The text without its mentions.
        """
        parts, end = [], self.start
        for group in overlapping(self.mentions):
            parts.append(self.text[end - self.start : group[0].start - self.start])
            best = max(group, key=lambda event: (event.flat, event.end - event.start))
            parts.append(mask(best) if callable(mask) else mask.format_map(asdict(best)))
            end = max(event.end for event in group)
        return "".join([*parts, self.text[end - self.start :]])


def check_mask(mask: Mask) -> None:
    """Raise ValueError for a mask that is no text with fields of an event."""
    if callable(mask):
        return
    example = Event("added", 0, 1, "a", "NAME", 1.0, True, True)
    try:
        mask.format_map(asdict(example))
    except (AttributeError, LookupError, ValueError) as error:
        raise ValueError(
            f"The mask {mask!r} cannot be filled in ({type(error).__name__}: {error}). "
            f"Write a text with fields of an event ({', '.join(asdict(example))}), such "
            'as "[{label}]", or a function of the event.'
        ) from error


def overlapping(mentions: Iterable[Event]) -> Iterator[list[Event]]:
    """Group mentions that overlap.

    mentions (Iterable[Event]): Mentions in text order.
    YIELDS (list[Event]): The mentions of a group.
    """
    group: list[Event] = []
    end = 0
    for mention in mentions:
        if group and mention.start >= end:
            yield group
            group = []
        group.append(mention)
        end = max(end, mention.end)
    if group:
        yield group
