"""Read Universal NER: treebanks in many languages with IOB2 tags of persons, organisations
and places. A broken sentence is left out as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc
from .lines import read_lines
from .passages import DOCUMENT
from .report import Broken, Report
from .tags import REPAIRED, tag_spans

TEXT, NEWDOC = "# text = ", "# newdoc id"
# Columns: number, token, tag, and two that tell of annotators.
TOKEN, TAG = 1, 2


@dataclass
class Sentence:
    """Hold the lines of a sentence.

    line (int): Number of its first line, from 1.
    document (Optional[str]): The document that it is in, if the file tells.
    text (Optional[str]): Its text, which tells where spaces are.
    rows (list[list[str]]): The columns of its tokens.
    """

    line: int
    document: Optional[str] = None
    text: Optional[str] = None
    rows: list[list[str]] = field(default_factory=list)


def read_universal_ner(
    path: Path, nlp: Language, report: Report, *, documents: bool = True
) -> Iterator[Doc]:
    """Read a file of a treebank.

    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences and repairs are counted.
    documents (bool): Whether neighbouring sentences of a document follow each other in its
        text.
    YIELDS (Doc): A sentence with its gold mentions, and its document. Its text is that of
        the file.
    """
    for sentence in sentences(path, report):
        with report.skipping(path, sentence.line):
            if any(len(row) <= TAG for row in sentence.rows):
                raise Broken("sentence with a line of too few columns")
            words = [row[TOKEN] for row in sentence.rows]
            spaces = None if sentence.text is None else find_spaces(sentence.text, words)
            if sentence.text is not None and spaces is None:
                kind = "sentence whose tokens are not its text, spaces put between them"
                report.note(kind, path, sentence.line)
            entities, repaired = tag_spans([row[TAG] for row in sentence.rows])
            for i in repaired:
                report.note(REPAIRED, path, sentence.line + i)
            doc = gold_doc(nlp.vocab, words, entities, spaces)
            if documents and sentence.document is not None:
                doc.user_data[DOCUMENT] = f"{path} {sentence.document}"
            yield doc


def sentences(path: Path, report: Report) -> Iterator[Sentence]:
    """Split a file into sentences, which end at a blank line."""
    document = text = None
    sentence: Optional[Sentence] = None
    for number, line in read_lines(path, report):
        if line.startswith("#") and sentence is None:
            if line.startswith(TEXT):
                text = line.removeprefix(TEXT)
            elif line.startswith(NEWDOC):
                document = line.partition("=")[2].strip()
        elif line:
            if sentence is None:
                sentence = Sentence(number, document, text)
            sentence.rows.append(line.split("\t"))
        elif sentence is not None:
            yield sentence
            sentence = text = None
    if sentence is not None:
        yield sentence


def find_spaces(text: str, words: Sequence[str]) -> Optional[list[bool]]:
    """Find out where spaces are between tokens.

    RETURNS (Optional[list[bool]]): Whether a space follows each token; None if the tokens
        do not make up the text.
    """
    spaces = []
    place = 0
    for word in words:
        if not text.startswith(word, place):
            return None
        place += len(word)
        spaces.append(text[place : place + 1].isspace())
        while text[place : place + 1].isspace():
            place += 1
    return spaces if place == len(text) else None
