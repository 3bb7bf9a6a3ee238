"""Read files of lines: text with a text on each line, JSON lines and CSV."""

import csv
import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Optional

from .job import Job, Shard
from .rows import Row, as_row, check_column

JSON_LINES = (".jsonl", ".ndjson")
CSV = (".csv",)
# Bytes that are not of the encoding are kept as lone surrogates, which `as_row` finds.
ERRORS = "surrogateescape"


def cut_lines(path: Path, job: Job) -> list[Shard]:
    """Cut a file into shards, without names. All of it is read once.

    path (Path): The file. ValueError is raised if it lacks the column of the texts.
    job (Job): The run.
    RETURNS (list[Shard]): The shards; one without rows if the file has none.
    """
    with path.open("rb") as stream:
        columns = read_columns(stream, path, job)
        if columns:
            check_column(path, job.text, columns)
        starts, rows, size = [stream.tell()], 0, job.shard_rows
        for rows, _ in enumerate(raw_rows(stream, path, job.encoding), start=1):
            if rows % size == 0:
                starts.append(stream.tell())
    if rows and rows % size == 0:  # no row follows
        starts.pop()
    id = job.id if job.id in columns else None
    return [
        Shard("", min(size, rows - i * size), i * size, path, offset, id)
        for i, offset in enumerate(starts)
    ]


def read_lines(shard: Shard, job: Job) -> Iterator[Row]:
    """Read the rows of a shard of a file of lines.

    YIELDS (Row): The rows, in order.
    """
    assert shard.path is not None
    with shard.path.open("rb") as stream:
        columns = read_columns(stream, shard.path, job)
        stream.seek(shard.offset)
        lines = islice(raw_rows(stream, shard.path, job.encoding), shard.rows)
        for number, raw in enumerate(lines, shard.first):
            id, value, error = parse(raw, columns, shard, job)
            if shard.id is None:
                id = number
            if error:
                yield Row(id, "", f"row {number} is {error}")
            else:
                yield as_row(id, value, job.max_chars)


def read_columns(stream: BinaryIO, path: Path, job: Job) -> list[str]:
    """Read the names of the columns, and leave a file where its rows begin.

    stream (BinaryIO): The file, at its beginning. ValueError is raised for UTF-16.
    RETURNS (list[str]): The header of a CSV file; the keys of the first JSON object; none
        for other files.
    """
    mark = stream.read(3)
    if mark[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
        raise ValueError(f"{path} is UTF-16. Convert it to UTF-8 first.")
    start = len(BOM_UTF8) if mark == BOM_UTF8 else 0
    stream.seek(start)
    if path.suffix in CSV:
        return next(raw_rows(stream, path, job.encoding), [])
    if path.suffix in JSON_LINES:
        first = next(raw_rows(stream, path, job.encoding), b"")
        stream.seek(start)
        record, _ = parse_json(first, job.encoding)
        return list(record)
    return []


def raw_rows(stream: BinaryIO, path: Path, encoding: str) -> Iterator[Any]:
    """Split a file into rows, without parsing them. Behind each row, `stream.tell()` is the
    place where the next one begins.

    stream (BinaryIO): The file, where a row begins.
    path (Path): Its path, which tells the format.
    YIELDS (Any): The fields of a row of CSV; the bytes of a line of other files. Blank
        lines are no rows of CSV and of JSON lines.
    """
    if path.suffix in CSV:
        csv.field_size_limit(2**31 - 1)  # for the process; its default is 131,072
        try:
            yield from filter(
                None, csv.reader(line.decode(encoding, ERRORS) for line in stream)
            )
        except csv.Error as error:
            raise ValueError(f"{path} cannot be read as CSV: {error}.") from error
    elif path.suffix in JSON_LINES:
        yield from filter(bytes.strip, stream)
    else:
        yield from stream


def parse(
    raw: Any, columns: list[str], shard: Shard, job: Job
) -> tuple[Any, Any, Optional[str]]:
    """Parse a row.

    raw (Any): What `raw_rows` yields.
    columns (list[str]): The header of a CSV file.
    RETURNS (tuple[Any, Any, Optional[str]]): The id, the text, and what is wrong with the
        row.
    """
    assert shard.path is not None
    if shard.path.suffix in CSV:
        record = dict(zip(columns, raw))
        return record.get(job.id), record.get(job.text), None
    if shard.path.suffix in JSON_LINES:
        record, error = parse_json(raw, job.encoding)
        id = record.get(job.id)
        if not isinstance(id, (str, type(None))):
            id = json.dumps(id)
        return id, record.get(job.text), error
    line = raw.decode(job.encoding, ERRORS)
    return None, line.removesuffix("\n").removesuffix("\r"), None


def parse_json(line: bytes, encoding: str) -> tuple[dict[str, Any], Optional[str]]:
    """Parse a line as a JSON object.

    RETURNS (tuple[dict[str, Any], Optional[str]]): The object, which is empty if the line
        is none, and what is wrong with the line.
    """
    try:
        record = json.loads(line.decode(encoding, ERRORS))
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"
    if not isinstance(record, dict):
        return {}, f"not a JSON object: {type(record).__name__}"
    return record, None
