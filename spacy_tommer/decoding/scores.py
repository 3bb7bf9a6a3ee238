"""`span._.score`: the score of a mention or an entity, read from where the component wrote
it."""

from bisect import bisect_left
from typing import Optional

from spacy.tokens import Span, SpanGroup


def install_score() -> None:
    """Add the extension `score` to spans, unless there is one of that name."""
    if not Span.has_extension("score"):
        Span.set_extension("score", getter=find_score)


def find_score(span: Span) -> Optional[float]:
    """Find the score of a span: that of the span at its place and with its label in a group
    of doc.spans that has scores.

    span (Span): A span of any kind: of a group, of doc.ents, or a slice of a Doc.
    RETURNS (Optional[float]): Its probability; None where no group has it.
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
    """Find the spans of a group that stand where a span does.

    group (SpanGroup): Spans in the order of the text, as our components write them.
    span (Span): The span.
    RETURNS (list[int]): Their numbers in the group.
    """
    place = (span.start, span.end)
    first = bisect_left(
        range(len(group)), place, key=lambda i: (group[i].start, group[i].end)
    )
    last = first
    while last < len(group) and (group[last].start, group[last].end) == place:
        last += 1
    return list(range(first, last))
