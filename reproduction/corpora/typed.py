"""Read texts with typed entities, whatever form they are in."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training.corpus import FILE_TYPE, walk_corpus

from .bio import read_bio
from .gold import set_gold
from .report import Report


def read_typed(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a DocBin, a folder of them, or a column file with BIO tags in its last
    column.

    path (Path): The file or folder. Docs have doc.spans["entities"], or else doc.ents.
    nlp (Language): The pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences are counted.
    YIELDS (Doc): A text with its gold entities and mentions.
    """
    if path.is_file() and path.suffix != FILE_TYPE:
        yield from read_bio(path, nlp, report, tags=(-1,))
        return
    for file_ in walk_corpus(path, FILE_TYPE):
        for doc in DocBin().from_disk(file_).get_docs(nlp.vocab):
            spans = doc.spans.get("entities", doc.ents)
            yield set_gold(doc, [(span.start, span.end, span.label_) for span in spans])
