"""The list of mentions and entities of a Doc, for all output formats."""

from typing import NamedTuple, Optional

from spacy.tokens import Doc, Span

from ..decoding.scores import find_score
from ..keys import ENTITIES


class Listed(NamedTuple):
    """Hold a mention or an entity.

    span (Span): Its span.
    score (Optional[float]): Its probability; None for an entity that no component scored.
    label (str): The label of the entity with this start and end, or else that of the typed
        span in doc.spans["entities"]; its own if there is none, or if it is the label of
        another mention with this start and end.
    nested (bool): Whether it is a mention; entities of other components may not be.
    flat (bool): Whether it is an entity of doc.ents.
    """

    span: Span
    score: Optional[float]
    label: str
    nested: bool
    flat: bool

    @property
    def type(self) -> str:
        """Its label, or an empty string for the label "MENTION"."""
        return "" if self.label == "MENTION" else self.label


def list_spans(doc: Doc, spans_key: str) -> list[Listed]:
    """List the mentions of a Doc, followed by its entities that are not mentions.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (list[Listed]): The mentions in the order of their group, and the other
        entities. ValueError is raised if the key is missing, or if the numbers of spans and
        scores differ.
    """
    if spans_key not in doc.spans:
        have = ", ".join(map(repr, doc.spans)) or "none"
        raise ValueError(
            f"The Doc has no spans under the key {spans_key!r}; its keys are: {have}. Let "
            "a pipeline with a tommer component find them, or name a key that the Doc has:"
            '\n    spacy_tommer.render(doc, spans_key="...")'
        )
    group = doc.spans[spans_key]
    scores = group.attrs.get("scores", [None] * len(group))
    if len(scores) != len(group):
        raise ValueError(
            f"doc.spans[{spans_key!r}] has {len(group)} spans and {len(scores)} scores. "
            f'Write as many to doc.spans[{spans_key!r}].attrs["scores"], or none.'
        )
    layers = (doc.spans.get(ENTITIES, ()), doc.ents)
    typed = {(s.start, s.end): s.label_ for layer in layers for s in layer if s.label_}
    flat = {(ent.start, ent.end): ent.label_ for ent in doc.ents}
    own = {(span.start, span.end, span.label_) for span in group}
    nested = {(start, end) for start, end, _ in own}
    listed = []
    for span, score in zip(group, scores):
        place = (span.start, span.end)
        label = typed.get(place, "")
        if not label or (*place, label) in own:
            label = span.label_
        number = None if score is None else float(score)
        is_flat = flat.get(place) in ("", label)
        listed.append(Listed(span, number, label, True, is_flat))
    for ent in doc.ents:
        if (ent.start, ent.end) not in nested:
            listed.append(Listed(ent, find_score(ent), ent.label_, False, True))
    return listed
