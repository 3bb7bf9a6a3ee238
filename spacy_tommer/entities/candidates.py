"""The candidates that components label: tommer's mentions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Ops, get_current_ops
from thinc.types import Ragged

from ..keys import PROPOSED


def make_mention_suggester(spans_key: str = "mentions") -> Callable[..., Ragged]:
    """Make the suggester that is registered as spacy_tommer.mention_suggester.v1.

    It also suggests the spans of doc.spans["gold"], so that each gold span is learned
    (section 5). Only `spacy_tommer.CachedCorpus.v1` with `propose_gold = true` writes them,
    to predicted Docs.

    spans_key (str): Key of doc.spans with tommer's mentions.
    RETURNS (Callable[..., Ragged]): The suggester. For each Doc it returns start and end
        (exclusive) of each span once, in tokens and in text order.
    """

    def suggest(docs: Iterable[Doc], *, ops: Optional[Ops] = None) -> Ragged:
        ops = get_current_ops() if ops is None else ops
        found = [candidates(doc, spans_key) for doc in docs]
        rows = np.array([span for spans in found for span in spans], dtype="i")
        lengths = np.array([len(spans) for spans in found], dtype="i")
        return Ragged(ops.asarray2i(rows.reshape(-1, 2)), ops.asarray1i(lengths))

    return suggest


def candidates(doc: Doc, spans_key: str) -> list[tuple[int, int]]:
    """List the spans of a Doc that may be entities.

    doc (Doc): The Doc.
    spans_key (str): Key of doc.spans with tommer's mentions. ValueError is raised if it is
        missing.
    RETURNS (list[tuple[int, int]]): Start and end (exclusive) of each span, in tokens.
    """
    if spans_key not in doc.spans:
        raise ValueError(
            f"The Doc has no mentions: doc.spans[{spans_key!r}] is missing. tommer must "
            "run before the component that labels them. In training, it is frozen and "
            "annotates the Docs:\n"
            "    [training]\n"
            '    frozen_components = ["transformer","tommer"]\n'
            '    annotating_components = ["transformer","tommer"]'
        )
    groups = [doc.spans[key] for key in (spans_key, PROPOSED) if key in doc.spans]
    return sorted({(span.start, span.end) for group in groups for span in group})


def mention_logits(
    docs: Sequence[Doc], spans: Sequence[NDArray[np.intp]], spans_key: str
) -> NDArray[np.float32]:
    """Get tommer's logits of spans.

    docs (Sequence[Doc]): The Docs.
    spans (Sequence[NDArray]): Start and end (exclusive) of the spans of each Doc. (m, 2)
    spans_key (str): Key of doc.spans with tommer's mentions.
    RETURNS (NDArray): The logits. A gold span that is not a mention has the lowest logit of
        its Doc; mentions without scores have 0. (M,)
    """
    scores: list[float] = []
    for doc, places in zip(docs, spans):
        group = doc.spans[spans_key]
        own = group.attrs.get("scores", [0.5] * len(group))
        found = {(span.start, span.end): score for span, score in zip(group, own)}
        least = min(own, default=0.5)
        scores += [found.get((start, end), least) for start, end in places.tolist()]
    sure = np.clip(np.array(scores, dtype="float64"), 1e-4, 1 - 1e-4)
    return np.log(sure / (1 - sure)).astype("float32")
