"""Write typed spans to doc.ents, as the last step of a pipeline that finds entities."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ..decoding.decode import greedy_decode
from ..decoding.ents import fill_ents
from ..decoding.scores import install_score

Scores = Sequence[float]


@Language.factory(
    "tommer_ents",
    assigns=["doc.ents"],
    requires=["doc.spans"],
    default_config={
        "spans_key": "entities",
        "mentions_key": "mentions",
        "overwrite_ents": False,
    },
)
def make_ents(
    nlp: Language, name: str, spans_key: str, mentions_key: str, overwrite_ents: bool
) -> Callable[[Doc], Doc]:
    """Construct a component that writes the spans which a span categorizer found to
    doc.ents.

    spans_key (str): Key of doc.spans with the typed spans.
    mentions_key (str): Key of doc.spans with tommer's mentions. Entities that tommer made
        of them give way to typed ones.
    overwrite_ents (bool): Whether typed spans win over entities of earlier components.
    """
    return EntsWriter(spans_key, mentions_key, overwrite_ents)


class EntsWriter:
    """Pipeline component that writes typed spans to doc.ents.

    spans_key (str): Key of doc.spans with the typed spans.
    mentions_key (str): Key of doc.spans with tommer's mentions.
    overwrite_ents (bool): Whether typed spans win over entities of earlier components.
    """

    def __init__(self, spans_key: str, mentions_key: str, overwrite_ents: bool) -> None:
        install_score()
        self.spans_key = spans_key
        self.mentions_key = mentions_key
        self.overwrite_ents = overwrite_ents

    def __call__(self, doc: Doc) -> Doc:
        """Write the typed spans of a Doc to doc.ents, and sort them by their place.

        doc (Doc): The Doc.
        RETURNS (Doc): The same Doc. The scores of its spans are Python floats.
        """
        if self.spans_key not in doc.spans:
            raise ValueError(
                f"The Doc has no typed spans: doc.spans[{self.spans_key!r}] is missing. A "
                "span categorizer with this `spans_key` must run before."
            )
        group = doc.spans[self.spans_key]
        scores = np.ravel(group.attrs.get("scores", [])).tolist() or [1.0] * len(group)
        set_spans(doc, self.spans_key, list(group), scores)
        earlier = earlier_ents(doc, self.mentions_key)
        spans = doc.spans[self.spans_key]
        set_ents(doc, list(spans), spans.attrs["scores"], earlier, self.overwrite_ents)
        return doc

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score doc.ents with their labels.

        examples (Iterable[Example]): The examples.
        RETURNS (dict[str, Any]): ents_p, ents_r, ents_f and ents_per_type.
        """
        return get_ner_prf(examples)


def set_spans(doc: Doc, key: str, spans: Sequence[Span], scores: Scores) -> None:
    """Write spans to doc.spans, sorted by their place.

    doc (Doc): The Doc.
    key (str): The key.
    spans (Sequence[Span]): The spans.
    scores (Sequence[float]): Their scores, which go to `attrs["scores"]`.
    """
    order = sorted(range(len(spans)), key=lambda i: (spans[i].start, spans[i].end))
    doc.spans[key] = SpanGroup(
        doc,
        name=key,
        attrs={"scores": [scores[i] for i in order]},
        spans=[spans[i] for i in order],
    )


def earlier_ents(doc: Doc, mentions_key: str) -> list[Span]:
    """Find the entities of a Doc that tommer did not make.

    doc (Doc): The Doc.
    mentions_key (str): Key of doc.spans with tommer's mentions.
    RETURNS (list[Span]): Its entities whose label is not that of mentions.
    """
    group = doc.spans.get(mentions_key)
    attrs = {} if group is None else group.attrs
    own = {attrs["label"]} if "label" in attrs else {span.label_ for span in group or ()}
    return [ent for ent in doc.ents if ent.label_ not in own]


def set_ents(
    doc: Doc,
    spans: Sequence[Span],
    scores: Scores,
    earlier: Sequence[Span],
    overwrite: bool,
    untyped: Sequence[Span] = (),
) -> None:
    """Write spans that do not overlap to doc.ents, by greedy decoding.

    doc (Doc): The Doc.
    spans (Sequence[Span]): Spans that may overlap.
    scores (Sequence[float]): Their scores.
    earlier (Sequence[Span]): Entities of earlier components, which stay where no span that
        is picked overlaps them.
    overwrite (bool): Whether spans may be picked that overlap these.
    untyped (Sequence[Span]): Entities that stay where neither of these is.
    """
    free = np.ones(len(doc), dtype="bool")
    if not overwrite:
        for ent in earlier:
            free[ent.start : ent.end] = False
    starts = np.array([span.start for span in spans], dtype="intp")
    ends = np.array([span.end for span in spans], dtype="intp")
    picked = [spans[i] for i in greedy_decode(starts, ends, np.array(scores), free)]
    fill_ents(doc, picked, (*earlier, *untyped))
