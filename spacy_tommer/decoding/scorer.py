"""Score mentions against gold mentions, ignoring labels."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Optional

from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..gold import visible_spans
from ..keys import MENTIONS

# Default key of the spans whose scores `spacy evaluate` shows.
SHOWN = "sc"


def make_mention_scorer() -> Callable:
    """Make the scorer that is registered as spacy_tommer.mention_scorer.v1."""
    return mention_score


def mention_score(
    examples: Iterable[Example], *, spans_key: str = MENTIONS, **kwargs: Any
) -> dict[str, Any]:
    """Score exact spans, ignoring their labels.

    Docs whose reference lacks the key are left out. For doc.ents, Docs without gold
    entities are left out.

    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (dict[str, Any]): spans_{key}_p, _r and _f; the precision of each kind that is
        found and the recall of each gold label in spans_{key}_per_type; flat_p, flat_r and
        flat_f for doc.ents; and, if no Doc has the key "sc", spans_sc_p, _r and _f, which
        `spacy evaluate` shows.
    """
    examples = list(examples)
    attr = f"spans_{spans_key}"

    def getter(doc: Doc, attr: str) -> Iterable[Span]:
        return visible_spans(doc.spans.get(spans_key, []))

    def has_annotation(doc: Doc) -> bool:
        return spans_key in doc.spans

    scores = Scorer.score_spans(
        examples,
        attr,
        getter=getter,
        has_annotation=has_annotation,
        allow_overlap=True,
        labeled=False,
    )
    flat = Scorer.score_spans(
        examples,
        "ents",
        getter=lambda doc, attr: visible_spans(doc.ents),
        has_annotation=lambda doc: doc.has_annotation("ENT_IOB"),
        labeled=False,
    )
    scores.update({f"flat_{key}": flat[f"ents_{key}"] for key in "prf"})
    if not any(SHOWN in doc.spans for eg in examples for doc in (eg.x, eg.y)):
        scores.update({f"spans_{SHOWN}_{key}": scores[f"{attr}_{key}"] for key in "prf"})
    annotated = [example for example in examples if has_annotation(example.reference)]
    scores[f"{attr}_per_type"] = score_per_type(annotated, spans_key)
    return scores


def score_per_type(
    examples: Iterable[Example], spans_key: str
) -> dict[str, dict[str, Any]]:
    """Compute the recall of the gold mentions of each label, and the precision of the
    predicted mentions of each label. Both compare spans, not labels.

    examples (Iterable[Example]): The examples.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (dict): For each label, the precision as "p", None if no mention is predicted
        with it, the recall as "r", None if no gold mention has it, and their F1 as "f".
    """
    gold: Counter[str] = Counter()
    recalled: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for example in examples:
        spans = example.get_aligned_spans_x2y(
            example.predicted.spans.get(spans_key, []), allow_overlap=True
        )
        found = {(span.start, span.end) for span in spans}
        references = list(visible_spans(example.reference.spans[spans_key]))
        places = {(span.start, span.end) for span in references}
        for span in references:
            gold[span.label_] += 1
            recalled[span.label_] += (span.start, span.end) in found
        for span in example.predicted.spans.get(spans_key, []):
            predicted[span.label_] += 1
        for span in spans:
            right[span.label_] += (span.start, span.end) in places
    return {
        label: prf(ratio(right, predicted, label), ratio(recalled, gold, label))
        for label in sorted({*gold, *predicted})
    }


def ratio(part: Counter[str], whole: Counter[str], label: str) -> Optional[float]:
    """Divide two counts, or return None if the whole is 0."""
    return part[label] / whole[label] if whole[label] else None


def prf(p: Optional[float], r: Optional[float]) -> dict[str, Optional[float]]:
    """Add the F1 of a precision and a recall, or None if one is missing."""
    if p is None or r is None:
        return {"p": p, "r": r, "f": None}
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if p + r else 0.0}
