"""What a reader found broken in its input, what it repaired, and what it left out."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

from tqdm import tqdm

Place = Union[Path, str]
# How much of the first text the summary shows.
SHOWN_CHARS = 100


class Broken(ValueError):
    """A record that can't be read.

    kind (str): What is wrong with it, in the same words for all such records.
    line (Optional[int]): Its line in the file, where that is not the record's first.
    detail (str): What to print after the kind.
    """

    def __init__(self, kind: str, line: Optional[int] = None, detail: str = "") -> None:
        super().__init__(kind)
        self.line = line
        self.detail = detail


class TooManyErrors(Exception):
    """More broken records than may be left out."""


class Report:
    """Count what is broken, repaired and left out, and show the first of each kind.

    max_errors (int): How many broken records may be left out. Repairs don't count.
    shown (int): How many of each kind are printed, with file and line.
    """

    def __init__(self, max_errors: int = 100, shown: int = 3) -> None:
        self.max_errors = max_errors
        self.shown = shown
        self.errors = 0
        self.counts: Counter[str] = Counter()
        self.first_text: Optional[str] = None

    @contextmanager
    def skipping(self, place: Place, line: int) -> Iterator[None]:
        """Leave out the record that is read in a `with` block if it is broken.

        line (int): The record's first line, counted from 1.
        """
        try:
            yield
        except Broken as error:
            self.error(str(error), place, error.line or line, error.detail)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            detail = f" ({type(error).__name__}: {error})"
            self.error("record without the fields of its format", place, line, detail)

    def error(self, kind: str, place: Place, line: int, detail: str = "") -> None:
        """Count a record that is left out because it is broken.

        kind (str): What is wrong with it.
            line (int): The line, counted from 1.
        detail (str): What to print after the kind.
        RAISES (TooManyErrors): If there were more than may be.
        """
        self.note(f"{kind}, left out", place, line, detail)
        self.errors += 1
        if self.errors > self.max_errors:
            raise TooManyErrors(
                f"{place}:{line}: {kind}{detail}. That is broken record number "
                f"{self.errors}; --max-errors {self.max_errors} allows no more."
            )

    def note(self, kind: str, place: Place, line: int, detail: str = "") -> None:
        """Count something that is repaired, and print it if it is one of the first.

        kind (str): What was found, and what is done about it.
            line (int): The line, counted from 1.
        detail (str): What to print after the kind.
        """
        self.count(kind)
        if self.counts[kind] <= self.shown:
            more = "; more are only counted" if self.counts[kind] == self.shown else ""
            tqdm.write(f"{place}:{line}: {kind}{detail}{more}", file=sys.stderr)

    def count(self, kind: str, number: int = 1) -> None:
        """Count something.

        kind (str): What it is.
        number (int): How many.
        """
        if number:
            self.counts[kind] += number

    def summary(self) -> str:
        """List what was counted.

        RETURNS (str): The first text as it was read, and a line for each kind, the most
            frequent one first.
        """
        lines = [f"  {n:7,} {kind}" for kind, n in self.counts.most_common()]
        if self.first_text is not None:
            text = " ".join(self.first_text.split())
            more = " ..." if len(text) > SHOWN_CHARS else ""
            lines.insert(0, f"  The first text as read: {text[:SHOWN_CHARS]}{more}")
        return "\n".join(lines)
