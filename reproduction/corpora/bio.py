"""Read column files with BIO or BIOES tags: one token a line, a blank line behind a
sentence. A sentence with a broken line is left out as a whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc
from .lines import read_lines
from .report import Broken, Report
from .tags import REPAIRED, tag_spans


def read_bio(
    path: Path,
    nlp: Language,
    report: Report,
    *,
    token: int = 0,
    tags: Sequence[int] = (1,),
) -> Iterator[Doc]:
    """Read a column file.

    path (Path): The file, its columns separated by tabs or spaces.
    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences and repairs are counted.
    token (int): Number of the column with the tokens.
    tags (Sequence[int]): Numbers of the columns with tags, -1 for the last; several
        hold nested entities.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    wanted = max(2, token + 1, *(column + 1 for column in tags))
    for line, rows in sentences(path, report):
        if rows[0][token : token + 1] == ["-DOCSTART-"]:
            continue
        with report.skipping(path, line):
            for i, row in enumerate(rows):
                if len(row) < wanted:
                    raise Broken("sentence with a line of too few columns", line + i)
                if not row[token]:
                    report.note("empty token, replaced by U+FFFD", path, line + i)
                    row[token] = "\ufffd"
            entities = []
            for column in tags:
                spans, repaired = tag_spans([row[column] for row in rows])
                entities += spans
                for i in repaired:
                    report.note(REPAIRED, path, line + i)
            yield gold_doc(nlp.vocab, [row[token] for row in rows], entities)


def sentences(path: Path, report: Report) -> Iterator[tuple[int, list[list[str]]]]:
    """Split a column file into sentences.

    path (Path): The file.
    report (Report): Where repairs are counted.
    YIELDS (tuple[int, list[list[str]]]): The number of a sentence's first line, and the
        fields of each of its lines.
    """
    rows: list[list[str]] = []
    number = 0
    for number, line in read_lines(path, report):
        if line.strip():
            rows.append(line.split("\t" if "\t" in line else " "))
        elif rows:
            yield number - len(rows), rows
            rows = []
    if rows:
        yield number - len(rows) + 1, rows
