"""Read texts with typed entities, whatever form they are in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training.corpus import FILE_TYPE, walk_corpus

from spacy_tommer.gold import ENTS, gold_spans
from spacy_tommer.keys import ENTITIES

from .bio import read_bio
from .gold import check_gold, set_gold
from .report import Report


def read_typed(
    path: Path, nlp: Language, report: Report, token: Optional[int] = None
) -> Iterator[Doc]:
    """Read a DocBin, a folder of them, or a column file with tags in its last columns.

    path (Path): The file or folder. Docs have doc.spans["entities"], or else doc.ents;
        those that have neither are not annotated, and left out.
    nlp (Language): The pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences and texts without annotation are counted.
    token (Optional[int]): Number of the column with the tokens, from 0; None for the first
        one that does not count the tokens.
    YIELDS (Doc): A text with its gold entities and mentions.
    """
    if path.is_file() and path.suffix != FILE_TYPE:
        docs = read_bio(path, nlp, report, token=token, tags=None)
    else:
        docs = read_docs(path, nlp, report)
    yield from check_gold(docs, report)


def read_docs(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a DocBin or a folder of them, without the Docs that nobody annotated."""
    for file_ in walk_corpus(path, FILE_TYPE):
        for doc in DocBin().from_disk(file_).get_docs(nlp.vocab):
            spans = gold_spans(doc, ENTITIES)
            if spans is None:
                spans = gold_spans(doc, ENTS)
                known = sum(token.ent_iob != 0 for token in doc)
                partly = spans is not None and known < len(doc)
                report.count("text annotated in part, the rest taken as no entity", partly)
            if spans is None:
                report.count("text that is not annotated, left out")
                continue
            yield set_gold(doc, [(span.start, span.end, span.label_) for span in spans])
