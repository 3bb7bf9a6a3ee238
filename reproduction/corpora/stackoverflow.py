"""Read the StackOverflow corpus: columns with BIO tags, where placeholders stand for blocks
of code and of output, and headers in front of each post."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .bio import read_bio
from .gold import set_gold
from .passages import DOCUMENT
from .report import Report

HEADERS = ("Question_ID", "Question_URL", "Answer_to_Question_ID")
PLACEHOLDERS = ("Code_Block", "Output_Block")


def read_stackoverflow(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file of the corpus, without headers and placeholders.

    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken and dropped sentences are counted.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    posts = 0
    for doc in read_bio(path, nlp, report):
        spans = list(doc.spans["entities"])
        kept = [span for span in spans if span.label_ not in PLACEHOLDERS]
        hidden = sum(len(span) for span in spans) - sum(len(span) for span in kept)
        posts += doc[0].text in HEADERS
        doc.user_data[DOCUMENT] = f"{path} {posts}"
        if doc[0].text in HEADERS or hidden == len(doc):
            report.count("sentence dropped that is a header or a placeholder")
            continue
        report.count("placeholder dropped inside a sentence", len(spans) - len(kept))
        if len(kept) < len(spans):
            set_gold(doc, [(span.start, span.end, span.label_) for span in kept])
        yield doc
