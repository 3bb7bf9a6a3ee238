"""The mentions that events leave."""

from collections.abc import Iterable
from typing import Any

from ..streaming.event import Event
from .objects import held_object


class Folded:
    """Hold the mentions of a text, as events tell."""

    def __init__(self) -> None:
        self.events: dict[tuple[int, int], Event] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Add events, in their order."""
        for event in events:
            if event.what == "removed":
                del self.events[event.start, event.end]
            else:
                self.events[event.start, event.end] = event

    def mentions(self) -> list[dict[str, Any]]:
        """Return the mentions, in the order of the text."""
        return [held_object(self.events[place]) for place in sorted(self.events)]
