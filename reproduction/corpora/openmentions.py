"""Read OpenMentions: passages as JSON lines, each with the offsets, kind, fine type and
coarse class of its mentions. A broken passage is left out as a whole."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_text, set_gold
from .records import read_records
from .report import Broken, Report

KINDS = ("name", "term", "quantity")
# Of 20 passages, 15 are to learn from, 3 to choose by, and 2 to score on.
PARTS = {"T": "train", "V": "validation", "E": "test"}
PATTERN = "TTVTTTTETTVTTTTETTVT"


def read_openmentions(
    path: Path, nlp: Language, report: Report, *, part: Optional[str] = None
) -> Iterator[Doc]:
    """Read the file of the corpus.

    nlp (Language): The pipeline whose tokenizer is used.
    report (Report): Where broken passages are counted.
    part (Optional[str]): "train", "validation" or "test"; None for all passages.
    YIELDS (Doc): A passage. doc.spans["entities"] has fine types, doc.spans["mentions"] the
        kinds: NAME, TERM or QUANTITY.
    """
    parts = split_passages(
        (str(record.get("id")), str(record.get("genre")))
        for _, record in read_records(path, Report(report.max_errors, shown=0))
    )
    for line, record in read_records(path, report):
        with report.skipping(path, line):
            if part not in (None, parts[str(record["id"])]):
                continue
            kinds: dict[tuple[int, int], str] = {}
            entities = []
            for start, end, kind, fine, _ in record["mentions"]:
                if kind not in KINDS:
                    raise Broken("mention of an unknown kind", detail=f" ({kind!r})")
                kinds.setdefault((start, end), kind.upper())
                entities.append((start, end, fine))
            doc = gold_text(nlp, record["text"], entities, report)
            labels = {}
            for (start, end), kind in kinds.items():
                span = doc.char_span(start, end)
                if span is not None:
                    labels[span.start, span.end] = kind
            spans = doc.spans["entities"]
            yield set_gold(doc, [(s.start, s.end, s.label_) for s in spans], labels)


def split_passages(passages: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Split passages by their ids, in each genre alike: 75 % to learn from, 15 % to choose
    by, 10 % to score on. The order of the passages does not matter.

    passages (Iterable[tuple[str, str]]): Id and genre of each.
    RETURNS (dict[str, str]): "train", "validation" or "test" for each id.
    """
    ordered = sorted(
        (genre, hashlib.blake2b(name.encode()).digest(), name) for name, genre in passages
    )
    # Genres follow each other, so that small ones together have the right shares, too.
    return {
        name: PARTS[PATTERN[i % len(PATTERN)]] for i, (_, _, name) in enumerate(ordered)
    }
