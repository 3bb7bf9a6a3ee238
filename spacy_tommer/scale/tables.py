"""Mentions as tables of Arrow: the columns that are written, and their types."""

import json
from typing import Any, Optional

from spacy.tokens import Doc

from ..page.listing import list_spans
from .extras import need
from .job import Job, Shard
from .parquet import open_parquet
from .rows import Row
from .shards import PARQUET

# The key of the metadata of a file that tells how its mentions were found.
ABOUT = b"spacy_tommer"


def mentions_type() -> Any:
    """Return the type of the column `mentions`: places in characters, end exclusive."""
    pa = need("pyarrow", "parquet")
    mention = [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("flat", pa.bool_()),
    ]
    return pa.list_(pa.struct(mention))


def schema_of(shard: Shard, job: Job) -> Any:
    """Return the schema of the file that a shard makes.

    RETURNS (Any): A `pyarrow.Schema`: id, mentions, error, and text if wanted, with
        `job.about` as JSON in its metadata.
    """
    pa = need("pyarrow", "parquet")
    fields = [("id", id_type(shard)), ("mentions", mentions_type()), ("error", pa.string())]
    if job.keep_text:
        fields.append(("text", pa.large_string()))
    return pa.schema(fields, {ABOUT: json.dumps(job.about)})


def id_type(shard: Shard) -> Any:
    """Return the type of the ids of a shard: that of the column of a parquet file, a string
    for columns of other files, an integer for row numbers."""
    pa = need("pyarrow", "parquet")
    if shard.id is None or shard.path is None:
        return pa.int64()
    if shard.path.suffix != PARQUET:
        return pa.string()
    with open_parquet(shard.path) as file:
        return file.schema_arrow.field(shard.id).type


def as_record(row: Row, doc: Optional[Doc], spans_key: str) -> dict[str, Any]:
    """Make a row of the table.

    doc (Optional[Doc]): The Doc of the text; None for a bad row.
    spans_key (str): Key of the mentions in doc.spans.
    """
    mentions = [] if doc is None else mentions_of(doc, spans_key)
    text = None if row.error else row.text
    return {"id": row.id, "mentions": mentions, "error": row.error, "text": text}


def mentions_of(doc: Doc, spans_key: str) -> list[dict[str, Any]]:
    """List the mentions of a Doc, and its entities that are none, for the table."""
    return [
        {
            "start": one.span.start_char,
            "end": one.span.end_char,
            "label": one.label,
            "score": one.score,
            "flat": one.flat,
        }
        for one in list_spans(doc, spans_key)
    ]
