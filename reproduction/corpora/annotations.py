"""Read JSON records of a text, or of tokens, with a list of entities as triples: start,
end (exclusive) and type. A broken record is left out as a
whole."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc, gold_text
from .records import read_records
from .report import Report


def read_annotations(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file of annotated texts.

    nlp (Language): The pipeline whose tokenizer is used where there are no tokens.
    report (Report): Where broken records are counted.
    YIELDS (Doc): A text with its gold mentions.
    """
    for line, record in read_records(path, report):
        with report.skipping(path, line):
            entities = [(start, end, label) for start, end, label in record["entities"]]
            if "tokens" in record:
                yield gold_doc(nlp.vocab, record["tokens"], entities)
            else:
                yield gold_text(nlp, record["text"], entities, report)
