"""Read column files with tags of the schemes BIO, IOB1, BIOES or BILUO: one token a line, a
blank line after a sentence. A sentence with a broken line is left out as a whole."""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc
from .lines import read_lines
from .passages import DOCUMENT
from .report import Broken, Report
from .tags import IOB1, REPAIRED, find_scheme, is_tag, tag_spans

DOCSTART = "-DOCSTART-"
# Sentences of so many tokens are told: the blank lines between them may be missing.
LONG = 1000
# A column that counts may be wrong in one of so many sentences.
COUNTED = 20
# Lines that begin with # and are comments whatever their last word is.
COMMENT = re.compile(
    r"#\s+(id\s+\S+\s+\S|(begin|end) document\b)|#\s*[\w:.-]+\s*=\s|#(begin|end) "
)
# The number of a line, from 1, and its fields.
Row = tuple[int, list[str]]


def read_bio(
    path: Path,
    nlp: Language,
    report: Report,
    *,
    token: Optional[int] = 0,
    tags: Optional[Sequence[int]] = (1,),
) -> Iterator[Doc]:
    """Read a column file. The scheme of its tags is recognised and counted.

    path (Path): The file, its columns separated by tabs or spaces.
    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences and repairs are counted.
    token (Optional[int]): Number of the column with the tokens, from 0; None for the first
        one that does not count the tokens.
    tags (Optional[Sequence[int]]): Numbers of the columns with tags, -1 for the last;
        several hold nested entities. None for the last one, and for those before it that
        share its labels.
    YIELDS (Doc): A sentence with its gold mentions, and its document if -DOCSTART- lines
        tell.
    """
    silent = Report(max_errors=report.max_errors, shown=0)
    if token is None:
        token = int(counts_tokens(sentences(path, silent)))
        report.count("file whose first column counts the tokens", token)
    if tags is None:
        tags = find_tag_columns(sentences(path, silent))
        nested = f"file with {len(tags)} columns of tags, for nested entities"
        report.count(nested, len(tags) > 1)
    scheme = find_scheme(tag_rows(sentences(path, silent), tags))
    if scheme:
        report.count(f"file with tags of the scheme {scheme}")
    starts = [number for number, line in read_lines(path, silent) if DOCSTART in line]
    wanted = max(2, token + 1, *(column + 1 for column in tags))
    for rows in sentences(path, report):
        with report.skipping(path, rows[0][0]):
            if len(rows) > LONG:
                kind = f"text of more than {LONG:,} tokens; a blank line ends a sentence"
                report.note(kind, path, rows[0][0], f" ({len(rows):,} tokens)")
            for line, fields in rows:
                if len(fields) < wanted:
                    raise Broken("sentence with a line of too few columns", line)
                if not fields[token]:
                    report.note("empty token, replaced by U+FFFD", path, line)
                    fields[token] = "\ufffd"
            entities = []
            for column in tags:
                spans, repaired = tag_spans([fields[column] for _, fields in rows])
                entities += spans
                for i in repaired if scheme != IOB1 else ():
                    report.note(REPAIRED, path, rows[i][0])
            doc = gold_doc(nlp.vocab, [fields[token] for _, fields in rows], entities)
            if starts:
                doc.user_data[DOCUMENT] = f"{path} {bisect(starts, rows[0][0])}"
            yield doc


def tag_rows(blocks: Iterator[list[Row]], columns: Sequence[int]) -> Iterator[list[str]]:
    """List the tags of each sentence and column, as far as the lines have them."""
    for rows in blocks:
        for column in columns:
            tags = [
                fields[column] for _, fields in rows if -len(fields) <= column < len(fields)
            ]
            yield tags


def find_tag_columns(blocks: Iterator[list[Row]]) -> list[int]:
    """Find the columns with tags: the last one, and those before it that hold tags of the
    same labels, or any labels if the last one has none. Chunks as B-NP are not among them.

    blocks (Iterator[list[Row]]): The sentences.
    RETURNS (list[int]): Their numbers from the end, -1 being the last.
    """
    labels: dict[int, set[str]] = {}
    broken: set[int] = set()
    for rows in blocks:
        for _, fields in rows:
            for column in range(-1, -len(fields), -1):
                tag = fields[column]
                found = labels.setdefault(column, set())
                if not is_tag(tag):
                    broken.add(column)
                elif tag != "O":
                    found.add(tag.partition("-")[2])
    columns = [-1]
    shared = labels.get(-1, set())
    for column in sorted(labels, reverse=True)[1:]:
        found = labels[column]
        if column in broken or not found or (shared and not found & shared):
            break
        columns.append(column)
        shared = shared | found
    return columns


def counts_tokens(blocks: Iterator[list[Row]]) -> bool:
    """Find out whether the first column of a file counts the tokens, from 0 or 1 in each
    sentence or on and on.

    blocks (Iterator[list[Row]]): The sentences.
    RETURNS (bool): Whether it does, beside columns for tokens and tags.
    """
    right = wrong = longer = last = 0
    for rows in blocks:
        first = [fields[0] for _, fields in rows]
        numbers = [int(field) if field.isdecimal() else -1 for field in first]
        start = numbers[0]
        counts = numbers == list(range(start, start + len(numbers)))
        if counts and start in (0, 1, last + 1) and min(len(f) for _, f in rows) > 2:
            right, longer, last = right + 1, max(longer, len(rows)), numbers[-1]
        else:
            wrong += 1
    return longer > 1 and right >= COUNTED * wrong


def sentences(path: Path, report: Report) -> Iterator[list[Row]]:
    """Split a column file into sentences. They end at a blank line, a -DOCSTART- or a
    comment; the latter two are left out.

    report (Report): Where repairs are counted.
    YIELDS (list[Row]): The lines of a sentence.
    """
    rows: list[Row] = []
    for number, line in read_lines(path, report):
        fields = split_columns(line)
        marker = DOCSTART in fields[:2]
        comment = is_comment(line, fields)
        report.count("comment line, left out", comment)
        if not line.strip() or marker or comment:
            if rows:
                yield rows
            rows = []
        else:
            rows.append((number, fields))
    if rows:
        yield rows


def split_columns(line: str) -> list[str]:
    """Split a line at tabs, or else at spaces, of which several may stand side by side;
    those that follow the last column are left out."""
    line = line.rstrip(" \t")
    if "\t" in line:
        return [field.strip(" ") or field for field in line.split("\t")]
    return re.split(" +", line)


def is_comment(line: str, fields: Sequence[str]) -> bool:
    """Tell a comment from a token that begins with #: a blank follows, and no tag ends the
    line, or it has a known form, as "# id ... domain=en" or "# text = ..."."""
    if not line.startswith("#"):
        return False
    blank = len(line) > 1 and line[1].isspace()
    return bool(COMMENT.match(line)) or (blank and not is_tag(line.split()[-1]))
