"""The one check of gold spans, whichever way they come in: converted, cached, trained on or
scored.

A Doc without the key is not annotated: it is left out, and told. An empty group says that
the text has no entity. Gold spans are cut to their visible text, since nothing else is
ever found; those that hold none, or that no tokens of the pipeline fit, are left out and
counted.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Optional
from unicodedata import category

import numpy as np
from spacy.tokens import Doc, Span
from spacy.training import Example

from .decoding.borders import INVISIBLE
from .keys import IGNORED, MENTIONS

# Stands for doc.ents where keys of doc.spans are listed.
ENTS = "ents"
TEXTS = "texts"
TRIMMED = "trimmed"
BLANK = "blank"
UNALIGNED = "unaligned"
PROBLEMS = {
    TRIMMED: "gold spans cut to their visible text: they begin or end with white space or "
    "an invisible character",
    BLANK: "gold spans left out that hold no visible text",
    UNALIGNED: "gold spans left out that begin or end inside a token of the pipeline",
}
# Character offsets: start, and end, exclusive.
Place = tuple[int, int]


class GoldCheck:
    """Counts what is wrong with the gold of some Docs. A span that several groups of a Doc
    hold counts once."""

    def __init__(self) -> None:
        self.texts = 0
        self.annotated: Counter[str] = Counter()
        self.places: dict[str, set[tuple[int, int, int]]] = {key: set() for key in PROBLEMS}

    def add_doc(self, doc: Doc) -> None:
        """Begin to count for another Doc."""
        self.texts += 1
        self.annotated.update(key for key in doc.spans if key != IGNORED)
        self.annotated[ENTS] += doc.has_annotation("ENT_IOB")

    def add(self, problem: str, span: Span) -> None:
        """Count a span of the latest Doc.

        problem (str): A key of `PROBLEMS`.
        """
        self.places[problem].add((self.texts, span.start_char, span.end_char))

    def counts(self) -> Counter[str]:
        """RETURNS (Counter[str]): The number of texts, of spans with each problem, and of
        texts that have each key, as "key:mentions"."""
        counts = Counter({key: len(places) for key, places in self.places.items()})
        counts[TEXTS] = self.texts
        counts.update({f"key:{key}": number for key, number in self.annotated.items()})
        return counts


def visible_part(text: str, start: int, end: int) -> Optional[Place]:
    """Cut white space and invisible characters off the edges of a stretch of text.

    start (int): Its first character.
    end (int): Its end, exclusive.
    RETURNS (Optional[Place]): What remains, or None if nothing visible does.
    """
    while start < end and not is_visible(text[start]):
        start += 1
    while start < end and not is_visible(text[end - 1]):
        end -= 1
    return (start, end) if start < end else None


def is_visible(char: str) -> bool:
    """Tell whether a character is neither white space nor invisible."""
    return char.isalnum() or not (char.isspace() or category(char) in INVISIBLE)


def visible_span(span: Span) -> Optional[Span]:
    """Cut tokens without visible text off the edges of a span.

    RETURNS (Optional[Span]): What remains, the span itself if that is all of it, or None if
        nothing visible does.
    """
    start, end = span.start, span.end
    while start < end and not any(map(is_visible, span.doc[start].text)):
        start += 1
    while start < end and not any(map(is_visible, span.doc[end - 1].text)):
        end -= 1
    if (start, end) == (span.start, span.end):
        return span
    return Span(span.doc, start, end, label=span.label) if start < end else None


def visible_spans(spans: Iterable[Span]) -> list[Span]:
    """Cut tokens without visible text off the edges of gold spans, for scoring.

    RETURNS (list[Span]): The spans that hold visible text; one is kept of several that
        become equal.
    """
    found = (visible_span(span) for span in spans)
    return list(dict.fromkeys(span for span in found if span is not None))


def gold_spans(doc: Doc, key: str = MENTIONS) -> Optional[Sequence[Span]]:
    """Get the gold spans of a Doc.

    key (str): Key of doc.spans, or "ents" for doc.ents.
    RETURNS (Optional[Sequence[Span]]): The spans, or None if the Doc is not annotated.
    """
    if key == ENTS:
        return list(doc.ents) if doc.has_annotation("ENT_IOB") else None
    return list(doc.spans[key]) if key in doc.spans else None


def fit_spans(
    example: Example, spans: Iterable[Span], check: Optional[GoldCheck] = None
) -> list[Span]:
    """Map gold spans to the tokens of the predicted Doc.

    spans (Iterable[Span]): Spans of the reference.
    check (Optional[GoldCheck]): Counts those that are cut or left out.
    RETURNS (list[Span]): Spans of the predicted Doc, each pair of place and label once.
    """
    spans = list(spans)
    if not spans:
        return []
    check = GoldCheck() if check is None else check
    predicted, text = example.x, example.y.text
    same_tokens = np.array_equal(predicted.to_array("ORTH"), example.y.to_array("ORTH"))
    same_text = predicted.text == text
    fitted: dict[tuple[int, int, int], Span] = {}
    for span in spans:
        place = visible_part(text, span.start_char, span.end_char)
        if place is None:
            check.add(BLANK, span)
            continue
        whole = place == (span.start_char, span.end_char)
        if whole and same_tokens:
            found = Span(predicted, span.start, span.end, label=span.label_)
        elif same_text:
            found = predicted.char_span(*place, label=span.label_)
        else:
            inner = visible_spans([span])
            aligned = example.get_aligned_spans_y2x(inner, allow_overlap=True)
            found = aligned[0] if aligned else None
        if found is None:
            check.add(UNALIGNED, span)
            continue
        if not whole:
            check.add(TRIMMED, span)
        fitted.setdefault((found.start, found.end, found.label), found)
    return list(fitted.values())


def problems(counts: Counter[str], keys: Iterable[str] = ()) -> list[str]:
    """Say what is wrong with the gold of a corpus.

    counts (Counter[str]): The sum of what `GoldCheck.counts` returned.
    keys (Iterable[str]): Keys that every annotated text has; if empty, all keys of
        doc.spans that some text has, or else doc.ents.
    RETURNS (list[str]): A line for each kind of fault; none if there is no fault.
    """
    lines = [f"{counts[key]:,} {text}" for key, text in PROBLEMS.items() if counts[key]]
    named = [key.removeprefix("key:") for key in counts if key.startswith("key:")]
    for key in list(keys) or [key for key in named if key != ENTS] or [ENTS]:
        missing = counts[TEXTS] - counts[f"key:{key}"]
        if missing:
            group = "doc.ents" if key == ENTS else f"doc.spans[{key!r}]"
            lines.append(
                f"{missing:,} of {counts[TEXTS]:,} texts without {group} are taken as not "
                "annotated and left out; write an empty list where a text has no entity"
            )
    return lines


def warn_of_problems(counts: Counter[str], where: str, keys: Iterable[str] = ()) -> None:
    """Warn of what is wrong with the gold of a corpus, in one warning for all of it.

    counts (Counter[str]): The sum of what `GoldCheck.counts` returned.
    where (str): What to name as the place of the gold.
    keys (Iterable[str]): As in `problems`.
    """
    if lines := problems(counts, keys):
        warnings.warn(f"Gold of {where}: {'; '.join(lines)}.", stacklevel=3)


def check_examples(examples: Iterable[Example], key: str = MENTIONS) -> Counter[str]:
    """Check the gold of examples, and warn once of what is wrong.

    key (str): Key of doc.spans that is learnt from, or "ents" for doc.ents.
    RETURNS (Counter[str]): What `problems` understands.
    """
    check = GoldCheck()
    for example in examples:
        check.add_doc(example.y)
        fit_spans(example, gold_spans(example.y, key) or [], check)
    counts = check.counts()
    warn_of_problems(counts, f"{check.texts:,} texts", [key])
    return counts
