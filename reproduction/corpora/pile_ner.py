"""Read Pile-NER in the forms in which it goes around."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .annotations import read_annotations
from .bio import read_bio
from .conversations import read_conversations
from .gold import check_gold
from .hub import hub_records
from .records import read_records
from .report import Report


def read_pile_ner(source: str, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read Pile-NER.

    source (str): A file: conversations or annotations in JSON, JSON lines or parquet, or
        columns with BIO tags; or the name of a data set on the Hugging Face hub.
    nlp (Language): The pipeline whose tokenizer is used where there are no tokens.
    report (Report): Where broken records are counted.
    YIELDS (Doc): A passage with its gold mentions.
    """
    yield from check_gold(open_pile_ner(source, nlp, report), report)


def open_pile_ner(source: str, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read Pile-NER with the reader of its form."""
    path = Path(source)
    if not path.is_file():
        yield from read_conversations(lambda _: hub_records(source), source, nlp, report)
    elif path.suffix not in (".json", ".jsonl", ".parquet"):
        yield from read_bio(path, nlp, report, token=None, tags=(-1,))
    elif holds_conversations(path):
        yield from read_conversations(partial(read_records, path), path, nlp, report)
    else:
        yield from read_annotations(path, nlp, report)


def holds_conversations(path: Path) -> bool:
    """Find out whether a file holds conversations, from its first record.

    RETURNS (bool): Whether it does.
    """
    records = read_records(path, Report(max_errors=sys.maxsize, shown=0))
    return any("conversations" in record for _, record in [next(records, (0, {}))])
