"""Read OpenMentions: passages as JSON lines, each with its part of the fixed split and the
offsets, kind, fine type and coarse class of its mentions. A broken passage is left out as a
whole."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_text, set_gold
from .records import read_records
from .report import Broken, Report
from .sides import Sides

KINDS = ("name", "term", "quantity")
PARTS = ("train", "validation", "test")


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
    for line, record in read_records(path, report):
        with report.skipping(path, line):
            if record["part"] not in PARTS:
                raise Broken("passage of an unknown part", detail=f" ({record['part']!r})")
            if part not in (None, record["part"]):
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


def read_sides(paths: Iterable[Path]) -> Sides:
    """Read the parts in which the passages of files of OpenMentions stand."""
    return Sides(
        (record["text"], record["part"])
        for path in paths
        for _, record in read_records(path, Report())
    )
