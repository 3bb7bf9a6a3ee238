"""The mentions of whole texts."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field
from spacy.language import Language
from starlette.exceptions import HTTPException

from ..page.listing import list_spans
from ..streaming.components import find_tommer
from .bodies import Strict
from .limits import Limits
from .objects import mention_object
from .sessions import check_words
from .worker import Worker

# Characters that are read before other requests have their turn.
MOST_CHARACTERS = 4096


class Batch(Strict):
    """Texts to read."""

    texts: list[str] = Field(min_length=1)


def check(batch: Batch, limits: Limits) -> None:
    """Raise HTTPException for too many texts, and for too long ones."""
    if len(batch.texts) > limits.texts:
        raise HTTPException(
            422, f"There are {len(batch.texts)} texts, and {limits.texts} are allowed."
        )
    for i, text in enumerate(batch.texts):
        if len(text) > limits.characters:
            raise HTTPException(
                422,
                f"texts.{i} has {len(text)} characters, and {limits.characters} are "
                "allowed. Send it to /stream, or in parts.",
            )
        check_words(text, 0, limits)


async def find(batch: Batch, worker: Worker) -> list[list[dict[str, Any]]]:
    """Find the mentions of texts.

    batch (Batch): The texts.
    worker (Worker): The thread that owns the pipeline.
    RETURNS (list[list[dict[str, Any]]]): The mentions of each.
    """
    found = []
    for part in groups(batch.texts):
        found += await worker.run(find_now, worker.nlp, part)
    return found


def find_now(nlp: Language, texts: list[str]) -> list[list[dict[str, Any]]]:
    """Find the mentions of some texts, in the worker's thread."""
    spans_key = find_tommer(nlp).spans_key
    return [
        [
            mention_object(
                one.span.start_char,
                one.span.end_char,
                one.span.text,
                one.label,
                one.score,
                one.flat,
            )
            for one in list_spans(doc, spans_key)
        ]
        for doc in nlp.pipe(texts)
    ]


def groups(texts: list[str]) -> Iterator[list[str]]:
    """Group texts that are read together."""
    group: list[str] = []
    for text in texts:
        if group and sum(map(len, group)) + len(text) > MOST_CHARACTERS:
            yield group
            group = []
        group.append(text)
    yield group
