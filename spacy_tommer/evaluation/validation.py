"""Validation texts with the scores of a pipeline, which thresholds are chosen on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from thinc.types import Ragged

from ..backbone.pipe import batch_by_tokens
from ..component import Tommer
from ..decoding.mentions import Mentions
from ..keys import MENTIONS
from .counts import FLOOR, Scored
from .protocol import BATCH, add_batch
from .sets import read_gold


class ValidationSet:
    """Score the spans of a set of gold Docs once, to measure them at many thresholds.

    Gold mentions of a kind that is not wanted are left out.

    nlp (Language): A pipeline with a tommer component.
    folder (Path): Folder of DocBins.
    """

    def __init__(self, nlp: Language, folder: Path) -> None:
        tommer = nlp.get_pipe("tommer")
        every, wanted = tommer.model.attrs["kinds"], set(tommer.kinds)
        marked: set[str] = set(tommer.kinds)
        self.gold: list[list[Doc]] = []
        self.docs: list[list[Doc]] = []
        self.scores: list[list[Ragged]] = []
        before = nlp.pipe_names[nlp.pipe_names.index("tommer") :]
        for batch in batch_by_tokens(read_gold(folder, nlp.vocab), BATCH):
            for doc in batch:
                group = doc.spans[MENTIONS]
                marked = set(group.attrs.get("kinds", marked))
                doc.spans[MENTIONS] = [
                    span
                    for span in group
                    if span.label_ in wanted or span.label_ not in every
                ]
            docs = list(nlp.pipe([doc.text for doc in batch], disable=before))
            self.gold.append(batch)
            self.docs.append(docs)
            self.scores.append(tommer.predict(docs))
            for doc in docs:
                doc._.trf_data = None
        # A set without kinds marks some mentions of several.
        self.marks_any = not marked or bool(marked & wanted) or len(every) == 1
        self.marks_all = marked >= wanted or len(every) == 1

    def rescale(self, scales: NDArray[np.float32], shifts: NDArray[np.float32]) -> None:
        """Multiply the logits of each kind, and move them. (K,), (K,)"""
        self.scores = [
            [Ragged(one.dataXd * scales + shifts, one.lengths) for one in scores]
            for scores in self.scores
        ]

    def spans(self, tommer: Tommer) -> list[Mentions]:
        """Decode the spans, batch by batch."""
        return [
            tommer.decode(docs, scores, FLOOR)
            for docs, scores in zip(self.docs, self.scores)
        ]

    def score(self, tommer: Tommer, edges: NDArray[np.float32]) -> Scored:
        """Count all spans.

        edges (NDArray[float32]): Edges of the bins of logits.
        """
        return self.count(self.spans(tommer), edges)

    def score_flat(self, tommer: Tommer, edges: NDArray[np.float32]) -> Scored:
        """Count the spans of the flat segmentation.

        edges (NDArray[float32]): Edges of the bins of logits.
        """
        return self.count([tommer.entities(one) for one in self.spans(tommer)], edges)

    def count(self, spans: Sequence[Mentions], edges: NDArray[np.float32]) -> Scored:
        """Count spans, and gold mentions by the logit of their span."""
        scored = Scored(edges)
        for gold, docs, found in zip(self.gold, self.docs, spans):
            add_batch((scored,), gold, docs, (found,))
        return scored
