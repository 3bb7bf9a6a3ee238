"""Mentions as JSON objects."""

from typing import Any, Optional

from ..streaming.event import Event


def mention_object(
    start: int, end: int, text: str, label: str, score: Optional[float], flat: bool
) -> dict[str, Any]:
    """Return what is written of a mention.

    start (int): Its first character, counted from the start of the text.
    end (int): Its end (exclusive) in characters.
    text (str): Its text.
    label (str): Its label.
    score (Optional[float]): Its probability, if it has one.
    flat (bool): Whether it is one of the entities, which do not overlap.
    """
    rounded = None if score is None else round(score, 6)
    return {
        "start": start,
        "end": end,
        "text": text,
        "label": label,
        "score": rounded,
        "flat": flat,
    }


def event_object(event: Event) -> dict[str, Any]:
    """Return what is written of an event."""
    return {"what": event.what, **held_object(event), "final": event.final}


def held_object(event: Event) -> dict[str, Any]:
    """Return what is written of a mention that an event has left."""
    return mention_object(
        event.start, event.end, event.text, event.label, event.score, event.flat
    )
