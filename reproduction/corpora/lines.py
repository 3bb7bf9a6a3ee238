"""Read the lines of a text file with their numbers."""

from collections.abc import Iterator
from pathlib import Path

from .report import Report


def read_lines(path: Path, report: Report) -> Iterator[tuple[int, str]]:
    """Read a file line by line. Bytes that are not UTF-8 are replaced, and reported.

    report (Report): Where repairs are counted.
    YIELDS (tuple[int, str]): The number of a line, from 1, and the line without its end.
    """
    with path.open("rb") as file_:
        for number, raw in enumerate(file_, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                line = raw.decode("utf-8", errors="replace")
                report.note("line that is not UTF-8, bytes replaced", path, number)
            yield number, line.rstrip("\r\n")
