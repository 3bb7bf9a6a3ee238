"""The input texts of a command: its arguments, or the lines of files or standard input."""

import io
import queue
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Optional

from .errors import warn

# How long a batch waits for one more text, in seconds.
PATIENCE = 0.2
END = object()


def read_texts(
    texts: Sequence[str], files: Sequence[Path], encoding: Optional[str]
) -> Iterator[str]:
    """Read the texts, one at a time.

    texts (Sequence[str]): Arguments of the command line.
    files (Sequence[Path]): Files with a text on each line. Without arguments and files,
        standard input is read.
    encoding (Optional[str]): Encoding of files and standard input; by default UTF-8, with a
        warning for invalid bytes, which become U+FFFD.
    YIELDS (str): A text. ValueError is raised for bytes that are invalid in `encoding`.
    """
    for text in texts:
        yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for path in files:
        with path.open("rb") as stream:
            yield from read_lines(stream, str(path), encoding)
    if not texts and not files:
        yield from read_lines(sys.stdin.buffer, "standard input", encoding)


def read_lines(stream: BinaryIO, name: str, encoding: Optional[str]) -> Iterator[str]:
    """Read the lines of a stream, without byte order mark and line endings.

    name (str): Name of the stream in messages.
    encoding (Optional[str]): Its encoding; None for UTF-8 with replacements. ValueError is
        raised for an unknown encoding, and for bytes that are invalid in it.
    YIELDS (str): A line.
    """
    if encoding is None:
        yield from read_utf8(stream, name)
        return
    try:
        for line in io.TextIOWrapper(stream, encoding, newline="\n"):
            yield without_end(line.removeprefix("\ufeff"))
    except (UnicodeError, LookupError) as error:
        raise ValueError(
            f"{name} cannot be read with --encoding {encoding}: {error}"
        ) from None


def read_utf8(stream: BinaryIO, name: str) -> Iterator[str]:
    """Read lines of UTF-8, and warn once about invalid bytes."""
    told = False
    for number, line in enumerate(stream, start=1):
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ValueError(f"{name} is UTF-16: write --encoding utf-16.")
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", "replace")
            if not told:
                told = True
                place = f"line {number} of {name}, byte {line[error.start]:#04x}"
                warn(
                    f"{place}: bytes that are not UTF-8 become U+FFFD. For a file of "
                    "western Europe write --encoding latin-1 or cp1252."
                )
        yield without_end(text)


def without_end(line: str) -> str:
    """Remove the line ending."""
    return line.removesuffix("\n").removesuffix("\r")


def as_they_come(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Collect texts in batches. A batch waits for more texts for a fraction of a second
    only, so that the texts of a slow stream are processed as they arrive.

    texts (Iterable[str]): The texts, which are read in another thread. Its errors are
        raised here.
    size (int): Most texts in a batch.
    YIELDS (list[str]): A batch.
    """
    waiting: queue.Queue = queue.Queue(maxsize=size)

    def read() -> None:
        try:
            for text in texts:
                waiting.put(text)
            waiting.put(END)
        except BaseException as error:
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    item = waiting.get()
    while item is not END:
        batch: list[str] = []
        while isinstance(item, str) and len(batch) < size:
            batch.append(item)
            try:
                item = waiting.get(timeout=PATIENCE)
            except queue.Empty:
                item = None
        if batch:
            yield batch
        if isinstance(item, BaseException):
            raise item
        item = waiting.get() if item is None else item
