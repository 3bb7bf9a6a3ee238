"""Read column files with BIO tags: one token a line, a blank line behind a sentence."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .gold import gold_doc


def read_bio(
    path: Path, vocab: Vocab, *, token: int = 0, tags: Sequence[int] = (1,)
) -> Iterator[Doc]:
    """Read a column file.

    path (Path): The file, its columns separated by tabs or spaces.
    vocab (Vocab): Vocabulary of the Docs.
    token (int): Number of the column with the tokens.
    tags (Sequence[int]): Numbers of the columns with tags; several hold nested
        entities.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    for rows in sentences(path):
        words = [row[token] for row in rows]
        if words == ["-DOCSTART-"]:
            continue
        entities = [
            entity for column in tags for entity in bio_spans([r[column] for r in rows])
        ]
        yield gold_doc(vocab, words, entities)


def sentences(path: Path) -> Iterator[list[list[str]]]:
    """Split a column file into sentences.

    path (Path): The file.
    YIELDS (list[list[str]]): The fields of each line of a sentence.
    """
    rows: list[list[str]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            fields = line.strip("\r\n").split("\t" if "\t" in line else " ")
            if line.strip():
                rows.append(fields)
            elif rows:
                yield rows
                rows = []
    if rows:
        yield rows


def bio_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Find the spans of a sequence of tags. An I- that continues nothing begins one.

    tags (Sequence[str]): Tags such as B-PER, I-PER and O.
    RETURNS (list[tuple[int, int, str]]): First token, token behind the last, and type.
    """
    spans: list[tuple[int, int, str]] = []
    for i, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        if prefix == "I" and spans and spans[-1][1:] == (i, label):
            spans[-1] = (spans[-1][0], i + 1, label)
        elif prefix in ("B", "I"):
            spans.append((i, i + 1, label))
        elif prefix != "O":
            raise ValueError(f"{tag!r} is not a tag of the BIO scheme.")
    return spans
