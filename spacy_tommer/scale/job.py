"""What a run does, and the shards that it consists of."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from .extras import need

FORMATS = ("parquet", "jsonl", "spacy")
# Rows of a shard, which a killed run does again.
SHARD_ROWS = 10_000
# The longest text, in characters, that spaCy's own pipelines take.
MAX_CHARS = 1_000_000


@dataclass(frozen=True)
class Job:
    """Hold what all workers of a run must know.

    output (Path): The folder to write.
    format (str): "parquet", "jsonl" or "spacy".
    text (str): Column of the texts.
    id (str): Column of the ids. Row numbers take its place where an input has no such
        column.
    keep_text (bool): Whether the texts are written, too. DocBins always have them.
    shard_rows (int): Most rows in a shard.
    max_chars (int): Most characters of a text. A longer one is a bad row.
    encoding (str): Encoding of text files, JSON lines and CSV.
    spans_key (str): Key of the mentions in doc.spans.
    about (dict[str, Any]): The model, its thresholds and the version of the package.
    """

    output: Path
    format: str = "parquet"
    text: str = "text"
    id: str = "id"
    keep_text: bool = False
    shard_rows: int = SHARD_ROWS
    max_chars: int = MAX_CHARS
    encoding: str = "utf-8"
    spans_key: str = "mentions"
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(
                f"`format` is one of {', '.join(FORMATS)}, and not {self.format!r}."
            )
        for name in ("shard_rows", "max_chars"):
            check_count(name, getattr(self, name))
        check_encoding(self.encoding)
        if self.format == "parquet":
            need("pyarrow.parquet", "parquet")

    def path_of(self, shard: "Shard") -> Path:
        """Return the path of the file that a shard makes."""
        return self.output / f"{shard.name}.{self.format}"


@dataclass(frozen=True)
class Shard:
    """Describe rows of one input that make one file of the output.

    name (str): Name of the file, without its suffix.
    rows (int): How many rows.
    first (int): Number of the first row in the input, counted from 0.
    path (Optional[Path]): The input; None for texts that the shard carries itself.
    offset (int): The byte where the rows begin, in a file of lines.
    id (Optional[str]): Column of the ids; None if row numbers take its place.
    texts (tuple[str, ...]): Texts that do not come from a file.
    """

    name: str
    rows: int
    first: int = 0
    path: Optional[Path] = None
    offset: int = 0
    id: Optional[str] = None
    texts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the rows, for messages."""
        place = "the given texts" if self.path is None else str(self.path)
        return f"{self.name} (rows {self.first} to {self.first + self.rows} of {place})"


def check_count(name: str, value: Any) -> None:
    """Raise ValueError for a setting that is not a whole number from 1 on."""
    if type(value) is not int or value < 1:
        raise ValueError(f"`{name}` is a whole number from 1 on, and not {value!r}.")


def check_encoding(encoding: str) -> None:
    """Raise ValueError for an encoding whose lines do not end with the byte of a newline,
    or that Python does not know."""
    try:
        encode: Callable = codecs.lookup(encoding).encode
        ascii = encode("a\n")[0].endswith(b"a\n")
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"The encoding {encoding!r} is not known ({error}).") from None
    if not ascii:
        raise ValueError(
            f"Files in {encoding} cannot be cut into shards. Convert them to UTF-8 first."
        )
