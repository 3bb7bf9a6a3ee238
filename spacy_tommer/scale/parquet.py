"""Read parquet files, by row groups."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from .extras import need
from .job import Job, Shard
from .rows import Row, as_row, check_column

# Rows that are decoded at once.
BATCH = 1024


def open_parquet(path: Path) -> Any:
    """Open a parquet file.

    path (Path): The file. ValueError is raised if it is cut off or is no parquet file.
    RETURNS (Any): A `pyarrow.parquet.ParquetFile`.
    """
    parquet = need("pyarrow.parquet", "parquet")
    try:
        return parquet.ParquetFile(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is cut off, or is no parquet file ({error}). Copy or write it again."
        ) from error


def cut_parquet(path: Path, job: Job) -> list[Shard]:
    """Cut a parquet file into shards, without names. Only its footer is read.

    path (Path): The file. ValueError is raised if it lacks the column of the texts, or if
        that does not hold strings.
    job (Job): The run.
    RETURNS (list[Shard]): The shards; one without rows if the file has none.
    """
    with open_parquet(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        check_column(path, job.text, schema.names)
        check_text_type(path, job.text, schema.field(job.text).type)
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    id = job.id if job.id in schema.names else None
    counts = cut_groups(groups, job.shard_rows)
    firsts = accumulate(counts, initial=0)
    return [Shard("", rows, first, path, id=id) for rows, first in zip(counts, firsts)]


def cut_groups(groups: list[int], size: int) -> list[int]:
    """Cut row groups into shards. Small groups share a shard, large ones are split.

    groups (list[int]): The rows of each group.
    size (int): Most rows in a shard.
    RETURNS (list[int]): The rows of each shard; one of 0 if there are no rows.
    """
    counts = [0]
    for rows in groups:
        if counts[-1] + rows <= size:
            counts[-1] += rows
        else:
            whole, rest = divmod(rows, size)
            counts += [size] * whole + [rest] * bool(rest)
    return [rows for rows in counts if rows] or [0]


def read_parquet(shard: Shard, job: Job) -> Iterator[Row]:
    """Read the rows of a shard of a parquet file.

    YIELDS (Row): The rows, in order. ValueError, with the name of the file, is raised for
        damage.
    """
    assert shard.path is not None
    columns = [job.text] if shard.id is None else [job.text, shard.id]
    with open_parquet(shard.path) as file:
        groups, skip = groups_of(shard, file.metadata)
        number = shard.first - skip
        batches = file.iter_batches(BATCH, groups, columns, use_threads=False)
        try:
            for batch in batches:
                texts = texts_of(batch.column(job.text))
                ids = (
                    range(number, number + len(texts))
                    if shard.id is None
                    else batch.column(shard.id).to_pylist()
                )
                for id, text in zip(ids, texts):
                    if shard.first <= number < shard.first + shard.rows:
                        yield as_row(id, text, job.max_chars)
                    number += 1
        except (OSError, ValueError) as error:
            raise ValueError(f"{shard.path} is damaged ({error}).") from error


def groups_of(shard: Shard, metadata: Any) -> tuple[list[int], int]:
    """Find the row groups that a shard has rows of.

    metadata (Any): The metadata of the file.
    RETURNS (tuple[list[int], int]): Their numbers, and how many rows of the first of them
        precede the shard.
    """
    groups: list[int] = []
    skip = first = 0
    for i in range(metadata.num_row_groups):
        end = first + metadata.row_group(i).num_rows
        if first < shard.first + shard.rows and end > shard.first:
            if not groups:
                skip = shard.first - first
            groups.append(i)
        first = end
    return groups, skip


def check_text_type(origin: Any, column: str, type: Any) -> None:
    """Raise ValueError for a column that does not hold strings, or bytes of UTF-8."""
    pa = need("pyarrow", "parquet")
    plain = type.value_type if pa.types.is_dictionary(type) else type
    if str(plain).removeprefix("large_").removesuffix("_view") not in (
        "string",
        "binary",
        "null",
    ):
        raise ValueError(f"The column {column!r} of {origin} holds {type}, not strings.")


def texts_of(column: Any) -> list[Any]:
    """Read strings. Bytes that are not UTF-8 become lone surrogates, which `as_row` finds.

    column (Any): An array of pyarrow, of a type that `check_text_type` allows.
    RETURNS (list[Any]): Strings, and None.
    """
    pa = need("pyarrow", "parquet")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return [
        None if value is None else value.decode("utf-8", "surrogateescape")
        for value in column.cast(pa.large_binary()).to_pylist()
    ]
