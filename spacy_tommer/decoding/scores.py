"""`span._.score`: the score of a mention or an entity, read from its span group."""

from bisect import bisect_left
from typing import Optional

from spacy.tokens import Span, SpanGroup


def install_score() -> None:
    """Register the extension `score` of Span, unless an extension has that name."""
    if not Span.has_extension("score"):
        Span.set_extension("score", getter=find_score)


def find_score(span: Span) -> Optional[float]:
    """Look up the score of a span in the groups of doc.spans that have scores.

    span (Span): A span of a group or of doc.ents, or a slice of a Doc, which matches spans
        of any label.
    RETURNS (Optional[float]): Its probability; None if no group has the span.
    """
    for group in span.doc.spans.values():
        scores = group.attrs.get("scores")
        if scores is None or len(scores) != len(group):
            continue
        for i in places_in(group, span):
            if group[i].label == span.label or not span.label:
                return float(scores[i])
    return None


def places_in(group: SpanGroup, span: Span) -> list[int]:
    """Find the spans of a group that have the same start and end as a span.

    group (SpanGroup): Spans in text order, as the components of this package write them.
    span (Span): The span to look for.
    RETURNS (list[int]): Their indices in the group.
    """
    place = (span.start, span.end)
    first = bisect_left(
        range(len(group)), place, key=lambda i: (group[i].start, group[i].end)
    )
    last = first
    while last < len(group) and (group[last].start, group[last].end) == place:
        last += 1
    return list(range(first, last))
