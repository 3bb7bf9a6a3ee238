"""Write the file of a shard: parquet, JSON lines or a DocBin."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

from spacy.tokens import Doc, DocBin
from spacy.util import minibatch
from spacy.vocab import Vocab

from ..page.formats import record
from .extras import need
from .job import Job, Shard
from .rows import Row
from .tables import as_record, schema_of

# Rows that are written at once.
BATCH = 1024

Pairs = Iterable[tuple[Row, Optional[Doc]]]


def write_parquet(pairs: Pairs, path: Path, shard: Shard, job: Job) -> None:
    """Write a table with the columns of `schema_of`."""
    pa = need("pyarrow", "parquet")
    schema = schema_of(shard, job)
    records = (as_record(row, doc, job.spans_key) for row, doc in pairs)
    with need("pyarrow.parquet", "parquet").ParquetWriter(path, schema) as writer:
        for batch in minibatch(records, BATCH):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def write_jsonl(pairs: Pairs, path: Path, shard: Shard, job: Job) -> None:
    """Write a JSON object for each row: its id, what `find --format jsonl` writes, and what
    is wrong with a bad row."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row, doc in pairs:
            found: dict[str, Any] = {"text": None, "mentions": [], "flat": []}
            if doc is not None:
                found = record(doc, job.spans_key)
            if not job.keep_text:
                del found["text"]
            line = {"id": row.id, **found, "error": row.error}
            stream.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def write_docbin(pairs: Pairs, path: Path, shard: Shard, job: Job) -> None:
    """Write a DocBin with `id` and `error` in doc.user_data. The Doc of a bad row is
    empty."""
    docs = DocBin(store_user_data=True)
    for row, doc in pairs:
        doc = Doc(Vocab()) if doc is None else doc
        plain = isinstance(row.id, (str, int, float, type(None)))
        doc.user_data = {"id": row.id if plain else str(row.id), "error": row.error}
        docs.add(doc)
    docs.to_disk(path)


WRITERS: dict[str, Callable[[Pairs, Path, Shard, Job], None]] = {
    "parquet": write_parquet,
    "jsonl": write_jsonl,
    "spacy": write_docbin,
}
