"""A worker: finds the mentions of one shard after the other, and writes its file."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch

from ..files import write_aside
from .job import Job, Shard
from .rows import Row
from .shards import read_rows
from .writers import WRITERS, Pairs

# Rows that share a memory zone of the vocabulary.
ROWS_IN_MEMORY = 1024


class ShardsFailed(RuntimeError):
    """Tell which shards could not be done. All others are written."""


@dataclass
class Done:
    """Count what a shard holds.

    rows (int): All rows.
    words (int): Tokens of their texts.
    errors (int): Bad rows.
    """

    rows: int = 0
    words: int = 0
    errors: int = 0


class Worker:
    """Find the mentions of shards.

    nlp (Language): The pipeline.
    job (Job): The run.
    """

    def __init__(self, nlp: Language, job: Job) -> None:
        self.nlp = nlp
        self.job = job
        nlp.max_length = max(nlp.max_length, job.max_chars)

    def annotate(self, shard: Shard) -> Done:
        """Find the mentions of a shard, and write its file, which appears complete or not
        at all.

        RETURNS (Done): What the shard holds. ValueError is raised if its input is damaged,
            or has changed since it was cut into shards.
        """
        done = Done()
        pairs = counted(annotate_rows(self.nlp, read_rows(shard, self.job)), done)

        def write(aside: Path) -> None:
            WRITERS[self.job.format](pairs, aside, shard, self.job)
            if done.rows != shard.rows:
                raise ValueError(f"{shard.path} has changed since the run began.")
            with aside.open("rb+") as written:
                os.fsync(written.fileno())

        write_aside(self.job.path_of(shard), write)
        return done


def annotate_rows(
    nlp: Language, rows: Iterable[Row]
) -> Iterator[tuple[Row, Optional[Doc]]]:
    """Find the mentions of a stream of rows, in memory zones, so that the vocabulary does
    not grow with the stream.

    nlp (Language): The pipeline.
    rows (Iterable[Row]): The rows.
    YIELDS (tuple[Row, Optional[Doc]]): Each row and its Doc, which must not be kept; None
        for a bad row.
    """
    for batch in minibatch(rows, ROWS_IN_MEMORY):
        with nlp.memory_zone():
            docs = nlp.pipe(row.text for row in batch if row.error is None)
            for row in batch:
                yield row, next(docs) if row.error is None else None


def counted(pairs: Pairs, done: Done) -> Pairs:
    """Pass rows and Docs on, and count them."""
    for row, doc in pairs:
        done.rows += 1
        done.words += 0 if doc is None else len(doc)
        done.errors += doc is None
        yield row, doc
