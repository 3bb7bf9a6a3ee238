"""Write doc.ents, in which no token is in two spans."""

from collections.abc import Iterable, Sequence

from spacy.tokens import Doc, Span


def fill_ents(doc: Doc, picked: Sequence[Span], others: Iterable[Span]) -> None:
    """Write spans to doc.ents, and others where they overlap none of the earlier ones.

    doc (Doc): The Doc.
    picked (Sequence[Span]): Spans that do not overlap. All are written.
    others (Iterable[Span]): Further spans. One that overlaps an earlier span is left out.
    """
    ents = list(picked)
    taken = {token for span in ents for token in range(span.start, span.end)}
    for span in others:
        if taken.isdisjoint(range(span.start, span.end)):
            ents.append(span)
            taken.update(range(span.start, span.end))
    doc.set_ents(ents)
