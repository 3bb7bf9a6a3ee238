"""Check gold spans before conversion, caching, training and scoring.

A Doc without the key is not annotated: it is left out, with a warning. An empty group means
that the text has no entity. Gold spans are trimmed to their visible text, as predicted
mentions also are. Spans without visible text, and spans that do not align with tokens of
the pipeline, are left out and counted.
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
    """Count problems in the gold of Docs. A span in several groups of a Doc counts once."""

    def __init__(self) -> None:
        self.texts = 0
        self.annotated: Counter[str] = Counter()
        self.places: dict[str, set[tuple[int, int, int]]] = {key: set() for key in PROBLEMS}

    def add_doc(self, doc: Doc) -> None:
        """Start counting for another Doc."""
        self.texts += 1
        self.annotated.update(key for key in doc.spans if key != IGNORED)
        self.annotated[ENTS] += doc.has_annotation("ENT_IOB")

    def add(self, problem: str, span: Span) -> None:
        """Count a span of the latest Doc.

        problem (str): A key of `PROBLEMS`.
        span (Span): The span that has the problem.
        """
        self.places[problem].add((self.texts, span.start_char, span.end_char))

    def counts(self) -> Counter[str]:
        """Count the texts, the spans with each problem, and the texts that have each key,
        such as "key:mentions"."""
        counts = Counter({key: len(places) for key, places in self.places.items()})
        counts[TEXTS] = self.texts
        counts.update({f"key:{key}": number for key, number in self.annotated.items()})
        return counts


def visible_part(text: str, start: int, end: int) -> Optional[Place]:
    """Trim white space and invisible characters from the edges of a stretch of text.

    text (str): The whole text.
    start (int): Start of the stretch, in characters.
    end (int): End (exclusive) of the stretch, in characters.
    RETURNS (Optional[Place]): Start and end of the rest, or None if nothing is visible.
    """
    while start < end and not is_visible(text[start]):
        start += 1
    while start < end and not is_visible(text[end - 1]):
        end -= 1
    return (start, end) if start < end else None


def is_visible(char: str) -> bool:
    """Check whether a character is neither white space nor invisible."""
    return char.isalnum() or not (char.isspace() or category(char) in INVISIBLE)


def visible_span(span: Span) -> Optional[Span]:
    """Trim tokens without visible text from the edges of a span.

    RETURNS (Optional[Span]): The rest, which is the same object if nothing was trimmed; or
        None if nothing is visible.
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
    """Trim tokens without visible text from the edges of gold spans, for scoring.

    RETURNS (list[Span]): The spans that have visible text. Of several that become equal,
        one is kept.
    """
    found = (visible_span(span) for span in spans)
    return list(dict.fromkeys(span for span in found if span is not None))


def gold_spans(doc: Doc, key: str = MENTIONS) -> Optional[Sequence[Span]]:
    """Get the gold spans of a Doc.

    doc (Doc): The gold Doc.
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

    example (Example): The gold Doc as reference, and the predicted Doc.
    spans (Iterable[Span]): Spans of the reference.
    check (Optional[GoldCheck]): Counts the spans that are trimmed or left out.
    RETURNS (list[Span]): Spans of the predicted Doc, each start, end and label once.
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
    """Describe the problems in the gold of a corpus.

    counts (Counter[str]): The sum of the counts of `GoldCheck.counts`.
    keys (Iterable[str]): Keys that every annotated text has; by default all keys of
        doc.spans that some text has, or doc.ents if there are none.
    RETURNS (list[str]): A line for each kind of problem.
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
    """Issue one warning for all problems in the gold of a corpus.

    counts (Counter[str]): The sum of the counts of `GoldCheck.counts`.
    where (str): Name of the corpus in the message.
    keys (Iterable[str]): Keys that every annotated text has, as for `problems`.
    """
    if lines := problems(counts, keys):
        warnings.warn(f"Gold of {where}: {'; '.join(lines)}.", stacklevel=3)


def check_examples(examples: Iterable[Example], key: str = MENTIONS) -> Counter[str]:
    """Check the gold of examples, and warn once of all problems.

    examples (Iterable[Example]): Gold Docs as references, and predicted Docs.
    key (str): Key of doc.spans that has the gold, or "ents" for doc.ents.
    RETURNS (Counter[str]): The counts of `GoldCheck.counts`.
    """
    check = GoldCheck()
    for example in examples:
        check.add_doc(example.y)
        fit_spans(example, gold_spans(example.y, key) or [], check)
    counts = check.counts()
    warn_of_problems(counts, f"{check.texts:,} texts", [key])
    return counts
