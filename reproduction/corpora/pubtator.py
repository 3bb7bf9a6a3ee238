"""Read PubTator: the title and the abstract of a document, and a line for each mention, by
characters of both. A broken document is left out as a whole."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import Entity, gold_text
from .lines import read_lines
from .report import Broken, Report


def read_pubtator(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a PubTator file.

    nlp (Language): The pipeline whose tokenizer is used.
    report (Report): Where broken documents are counted.
    YIELDS (Doc): A document with its gold mentions.
    """
    blocks = groupby(read_lines(path, report), key=lambda line: bool(line[1].strip()))
    for is_document, lines in blocks:
        if is_document:
            numbers, rows = zip(*lines)
            with report.skipping(path, numbers[0]):
                text = " ".join([head(rows, 0, "t"), head(rows, 1, "a")])
                entities = [
                    mention(row, text, number) for number, row in zip(numbers[2:], rows[2:])
                ]
                yield gold_text(nlp, text, entities, report)


def head(rows: Sequence[str], number: int, name: str) -> str:
    """Find the title or the abstract of a document.

    rows (Sequence[str]): The lines of the document.
    number (int): The number of its line.
    name (str): "t" or "a".
    RETURNS (str): The title or the abstract.
    """
    parts = rows[number].split("|", 2) if number < len(rows) else []
    if len(parts) < 3 or parts[1] != name:
        raise Broken("document without a title and an abstract")
    return parts[2]


def mention(row: str, text: str, line: int) -> Entity:
    """Read the line of a mention.

    text (str): The text of the document.
    line (int): The number of the line in the file.
    RETURNS (Entity): The mention.
    """
    fields = row.split("\t")
    if len(fields) < 5:
        raise Broken("document with a line of too few columns", line)
    start, end = int(fields[1]), int(fields[2])
    if not 0 <= start < end <= len(text):
        raise Broken("mention beyond its text", line)
    if text[start:end].split() != fields[3].split():
        raise Broken("mention that does not stand at its place", line)
    return start, end, fields[4]
