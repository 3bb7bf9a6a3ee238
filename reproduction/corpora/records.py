"""Read the records of a JSON array, of JSON lines, or of a parquet file, one by one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .lines import read_lines
from .report import Report

Record = dict[str, Any]
BLOCK_CHARS = 1 << 20
# A string, with its closing quote if that is there, or a bracket.
STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)


def read_records(path: Path, report: Report) -> Iterator[tuple[int, Record]]:
    """Read the records of a file. A broken one is left out.

    path (Path): The file: parquet by its suffix, a JSON array if it begins with a
        bracket, or JSON lines.
    report (Report): Where broken records are counted.
    YIELDS (tuple[int, Record]): The line where a record begins, from 1, and the record.
        In a parquet file, its number.
    """
    if path.suffix == ".parquet":
        yield from parquet_records(path)
        return
    is_array = begins_array(path)
    kind = "record that is not a JSON object" if is_array else "line that is no JSON object"
    for number, text in (split_array if is_array else read_lines)(path, report):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            report.error(kind, path, number + error.lineno - 1, f" ({error.msg})")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            report.error(kind, path, number)


def begins_array(path: Path) -> bool:
    """Find out whether a file holds a JSON array, from its first solid character.

    RETURNS (bool): Whether that is a bracket.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file_:
        while chunk := file_.read(BLOCK_CHARS):
            if chunk.strip():
                return chunk.lstrip().startswith("[")
    return False


def split_array(path: Path, report: Report) -> Iterator[tuple[int, str]]:
    """Split a JSON array into its elements without reading all of it.

    report (Report): Where an array that does not end is counted.
    YIELDS (tuple[int, str]): The line where an element begins, from 1, and the element.
    """
    text, line, depth, at, start = "", 1, 0, 0, 0
    with path.open(encoding="utf-8-sig", errors="replace") as file_:
        while chunk := file_.read(BLOCK_CHARS):
            text += chunk
            counted = 0
            while match := STRUCTURE.search(text, at):
                if match[1] == "":  # the string goes on in the next chunk
                    at = match.start()
                    break
                at = match.end()
                if match[0] in ("{", "["):
                    depth += 1
                    start = match.start() if depth == 2 else start
                elif match[0] in ("}", "]"):
                    depth -= 1
                    if depth == 1:
                        line += text.count("\n", counted, start)
                        counted = start
                        yield line, text[start:at]
            else:
                at = len(text)
            done = start if depth > 1 else at
            line += text.count("\n", counted, done)
            text, at, start = text[done:], at - done, 0
    if depth != 0:
        report.error("record where the file breaks off", path, line)


def parquet_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Read the records of a parquet file.

    YIELDS (tuple[int, Record]): The number of a record, from 1, and the record.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ImportError(
            f'To read {path}, run: pip install "spacy-tommer[datasets]"'
        ) from error
    with ParquetFile(path) as file_:
        batches = file_.iter_batches(batch_size=256)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
