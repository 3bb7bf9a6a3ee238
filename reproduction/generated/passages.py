"""The passages that are compared: what a small model wrote, what people wrote, and what a
large model wrote for OpenMentions."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import spacy
from spacy.tokens import Doc

from spacy_tommer.keys import MENTIONS

from ..corpora.openmentions import read_openmentions
from ..corpora.records import Record
from ..corpora.report import Report
from ..corpora.sets import ASSETS
from .marks import Mark
from .texts import read_lines_of

FOLDER = ASSETS / "generated"
OPENMENTIONS = ASSETS / "openmentions/openmentions.jsonl"
# The source of passages that a language model wrote for OpenMentions; people wrote others.
WRITTEN = "written for this corpus"
SEED = 0
# Mentions in 100 tokens. Passages that people wrote with fewer have as many on average as
# the generated ones.
SPARSE = 31


def to_passage(record: Record, marks: Sequence[Mark]) -> Record:
    """Write an annotated text as a passage of OpenMentions, without fine types.

    record (Record): A record with "id", "genre", "prompt", "seed" and "text".
    marks (Sequence[Mark]): Its mentions.
    RETURNS (Record): The passage. Its part is "test", from which nothing may learn.
    """
    about = {"part": "test", "source": "SmolLM2-135M-Instruct", "licence": "Apache-2.0"}
    mentions = [[start, end, kind, "", ""] for start, end, kind in marks]
    return {**record, **about, "mentions": mentions}


def read_passages(
    path: Path = FOLDER / "generated.jsonl", part: Optional[str] = None
) -> list[Doc]:
    """Read annotated passages. ValueError is raised if one is broken.

    path (Path): A file in the format of OpenMentions.
    part (Optional[str]): The part that is read; None for all passages.
    """
    report = Report()
    docs = list(read_openmentions(path, spacy.blank("en"), report, part=part))
    if report.errors:
        raise ValueError(f"{path} has {report.errors} broken passages.")
    return docs


def validation_passages(written: bool, tokens: int, densest: float = math.inf) -> list[Doc]:
    """Draw passages of OpenMentions' validation part.

    written (bool): Whether a language model wrote them for the corpus.
    tokens (int): How many tokens are wanted.
    densest (float): Passages with as many mentions in 100 tokens, or more, are left out.
    RETURNS (list[Doc]): The first passages in a random order that have as many, or all.
    """
    chosen = {
        record["text"]
        for record in read_lines_of(OPENMENTIONS)
        if record["part"] == "validation" and (record["source"] == WRITTEN) == written
    }
    docs = [
        doc
        for doc in read_passages(OPENMENTIONS, "validation")
        if doc.text in chosen and 100 * len(doc.spans[MENTIONS]) < densest * len(doc)
    ]
    random.Random(SEED).shuffle(docs)
    taken, number = [], 0
    for doc in docs:
        if number >= tokens:
            break
        taken.append(doc)
        number += len(doc)
    return taken
