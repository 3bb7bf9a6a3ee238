"""Replace the mentions of a text that arrives in pieces."""

from collections.abc import Iterable, Iterator
from typing import Optional

from spacy.language import Language

from .passages import Mask, check_mask
from .stream import Stream


def redact(
    nlp: Language, chunks: Iterable[str], mask: Mask, stride: Optional[int] = None
) -> Iterator[str]:
    """Replace mentions. Text is handed out when nothing behind it can change its mentions.

    nlp (Language): The pipeline.
    chunks (Iterable[str]): The text, in pieces.
    mask (Mask): What replaces a mention: a text with fields of its event, such as
        "[{label}]", or a function of the event. ValueError is raised for unknown fields.
    stride (Optional[int]): As for `Streams`.
    RETURNS (Iterator[str]): The text without its mentions, in pieces.
    """
    check_mask(mask)
    return replace_mentions(Stream(nlp, stride, passages=True), chunks, mask)


def replace_mentions(stream: Stream, chunks: Iterable[str], mask: Mask) -> Iterator[str]:
    """Replace the mentions of what is pushed to a stream."""
    for chunk in chunks:
        stream.push(chunk)
        yield from (passage.redact(mask) for passage in stream.take_passages())
    stream.close()
    yield from (passage.redact(mask) for passage in stream.take_passages())
