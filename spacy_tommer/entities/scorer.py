"""Score typed entities, nested and flat."""

from collections.abc import Callable, Iterable
from typing import Any

from spacy.pipeline.spancat import spancat_score
from spacy.scorer import get_ner_prf
from spacy.training import Example


def make_entity_scorer() -> Callable:
    """Make the scorer that is registered as spacy_tommer.entity_scorer.v1."""
    return entity_score


def entity_score(
    examples: Iterable[Example], *, spans_key: str = "entities", **kwargs: Any
) -> dict[str, Any]:
    """Score exact spans with their labels.

    spans_key (str): Key of the entities in doc.spans.
    RETURNS (dict[str, Any]): spans_{key}_p, _r, _f and _per_type, and for doc.ents ents_p,
        ents_r, ents_f and ents_per_type.
    """
    examples = list(examples)
    return {**spancat_score(examples, spans_key=spans_key), **get_ner_prf(examples)}
