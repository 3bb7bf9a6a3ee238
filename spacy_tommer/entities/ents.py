"""The `tommer_ents` component, which writes typed spans to doc.ents."""

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
    """Construct a component that writes the spans of a span categorizer to doc.ents.

    spans_key (str): Key of doc.spans with the typed spans.
    mentions_key (str): Key of doc.spans with tommer's mentions. Entities that tommer wrote
        for them are replaced.
    overwrite_ents (bool): Whether typed spans replace entities of earlier components.
    """
    return EntsWriter(spans_key, mentions_key, overwrite_ents)


class EntsWriter:
    """Write typed spans to doc.ents. The arguments are those of `make_ents`."""

    def __init__(self, spans_key: str, mentions_key: str, overwrite_ents: bool) -> None:
        install_score()
        self.spans_key = spans_key
        self.mentions_key = mentions_key
        self.overwrite_ents = overwrite_ents

    def __call__(self, doc: Doc) -> Doc:
        """Write the typed spans of a Doc to doc.ents, and sort doc.spans[spans_key].

        doc (Doc): The Doc. ValueError is raised if it has no typed spans.
        RETURNS (Doc): The same Doc. The scores of its spans are Python floats.
        """
        if self.spans_key not in doc.spans:
            raise ValueError(
                f"The Doc has no typed spans: doc.spans[{self.spans_key!r}] is missing. "
                "Add a span categorizer with this `spans_key` before tommer_ents."
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
    """Write spans to doc.spans, sorted by start and end.

    doc (Doc): The Doc.
    key (str): Key of doc.spans.
    spans (Sequence[Span]): The spans.
    scores (Sequence[float]): Their scores, which are written to `attrs["scores"]`.
    """
    order = sorted(range(len(spans)), key=lambda i: (spans[i].start, spans[i].end))
    doc.spans[key] = SpanGroup(
        doc,
        name=key,
        attrs={"scores": [scores[i] for i in order]},
        spans=[spans[i] for i in order],
    )


def earlier_ents(doc: Doc, mentions_key: str) -> list[Span]:
    """Find the entities of a Doc that tommer did not write.

    doc (Doc): The Doc.
    mentions_key (str): Key of doc.spans with tommer's mentions.
    RETURNS (list[Span]): The entities that are no mentions with the same label, and whose
        label is not the one of mentions without a kind.
    """
    group = doc.spans.get(mentions_key)
    attrs = {} if group is None else group.attrs
    own = {attrs["label"]} if "label" in attrs else {span.label_ for span in group or ()}
    # Other components may use the names of kinds, such as QUANTITY, as labels, too.
    found = {(span.start, span.end, span.label) for span in group or ()}
    return [
        ent
        for ent in doc.ents
        if ent.label_ not in own and (ent.start, ent.end, ent.label) not in found
    ]


def set_ents(
    doc: Doc,
    spans: Sequence[Span],
    scores: Scores,
    earlier: Sequence[Span],
    overwrite: bool,
    untyped: Sequence[Span] = (),
) -> None:
    """Pick spans that do not overlap, by greedy decoding, and write them to doc.ents.

    doc (Doc): The Doc.
    spans (Sequence[Span]): Spans that may overlap.
    scores (Sequence[float]): Their scores.
    earlier (Sequence[Span]): Entities of earlier components, which are kept unless a picked
        span overlaps them.
    overwrite (bool): Whether picked spans may overlap earlier entities.
    untyped (Sequence[Span]): Entities that are kept unless any of the others overlaps them.
    """
    free = np.ones(len(doc), dtype="bool")
    if not overwrite:
        for ent in earlier:
            free[ent.start : ent.end] = False
    starts = np.array([span.start for span in spans], dtype="intp")
    ends = np.array([span.end for span in spans], dtype="intp")
    picked = [spans[i] for i in greedy_decode(starts, ends, np.array(scores), free)]
    fill_ents(doc, picked, (*earlier, *untyped))
