"""Counts of scored spans in narrow bins of the logit, which measure any threshold in
constant memory.

Axis letters: B bin edges; S spans; G gold mentions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decoding.decode import logit

Floats = NDArray[np.floating]
Counts = NDArray[np.int64]

# Spans below this probability are ignored.
FLOOR = 1e-4
CEILING = 1 - 1e-6
STEP = 0.001


def bin_edges(thresholds: Iterable[float] = ()) -> NDArray[np.float32]:
    """Compute the edges of the bins.

    thresholds (Iterable[float]): Thresholds that become edges, so that they are measured
        exactly. Others are rounded up to the next edge.
    RETURNS (NDArray[float32]): The edges in rising order, as logits. (B,)
    """
    grid = np.arange(logit(FLOOR), logit(CEILING), STEP)
    own = [logit(threshold) for threshold in thresholds]
    return np.unique(np.concatenate([grid, own]).astype("float32"))


class Bins:
    """Count logits between edges. A logit that equals an edge counts as below it.

    edges (NDArray[float32]): The edges in rising order. (B,)
    """

    def __init__(self, edges: NDArray[np.float32]) -> None:
        self.edges = edges
        self.counts = np.zeros(len(edges) + 1, dtype="int64")

    @property
    def total(self) -> int:
        """How many logits were counted."""
        return int(self.counts.sum())

    def add(self, logits: Floats) -> None:
        """Count logits.

        logits (Floats): The logits; -inf is above no threshold, and inf above all but 1.
        """
        np.add.at(self.counts, np.searchsorted(self.edges, logits.astype("float32")), 1)

    def above(self, threshold: float) -> int:
        """Count the logits above a threshold.

        threshold (float): Probability that must be exceeded.
        RETURNS (int): Their number.
        """
        # The component also compares in single precision.
        edge = np.searchsorted(self.edges, np.float32(logit(threshold)))
        return int(self.counts[edge + 1 :].sum())

    def above_edges(self) -> Counts:
        """Count the logits above each edge.

        RETURNS (Counts): Their numbers. (B,)
        """
        return self.counts[::-1].cumsum()[-2::-1]


class Scored:
    """Count the scored spans of a corpus, and gold mentions by the logit of their span.

    edges (NDArray[float32]): Edges of the bins. (B,)
    """

    def __init__(self, edges: NDArray[np.float32]) -> None:
        self.edges = edges
        self.texts = 0
        self.tokens = 0
        self.spans = Bins(edges)
        self.gold = Bins(edges)
        self.inner = Bins(edges)
        self.types: dict[str, Bins] = {}

    def add(
        self,
        logits: Floats,
        gold_logits: Floats,
        labels: Sequence[str] = (),
        inner: Sequence[bool] = (),
    ) -> None:
        """Count the spans and gold mentions of some texts.

        logits (Floats): Logits of the spans. (S,)
        gold_logits (Floats): For each gold mention the logit of the same span, or -inf.
            (G,)
        labels (Sequence[str]): The types of the gold mentions, (G,) or empty.
        inner (Sequence[bool]): Whether each lies inside another, (G,) or empty.
        """
        self.spans.add(logits)
        self.gold.add(gold_logits)
        self.inner.add(gold_logits[np.flatnonzero(inner)])
        by_type: dict[str, list[int]] = {}
        for i, label in enumerate(labels):
            by_type.setdefault(label, []).append(i)
        for label, indices in by_type.items():
            self.types.setdefault(label, Bins(self.edges)).add(gold_logits[indices])

    def at(self, threshold: float) -> dict[str, float]:
        """Measure the spans above a threshold.

        threshold (float): Probability that a span must exceed.
        RETURNS (dict[str, float]): Recall, precision, F1, and their counts.
        """
        found = self.spans.above(threshold)
        return measure(self.gold.above(threshold), found, self.gold.total)

    def details(self, threshold: float) -> dict[str, Any]:
        """Measure the spans above a threshold, and the recall of parts of the gold.

        threshold (float): Probability that a span must exceed.
        RETURNS (dict[str, Any]): The measures of `at`; mentions per 100 tokens as
            "per_100_tokens"; and recall with its counts, of gold mentions inside another
            one as "inner", and of each type in "types".
        """
        scores: dict[str, Any] = self.at(threshold)
        types = {key: recalled(self.types[key], threshold) for key in sorted(self.types)}
        return {
            **scores,
            "per_100_tokens": 100 * scores["found"] / max(self.tokens, 1),
            "inner": recalled(self.inner, threshold),
            "types": types,
        }

    def curve(self) -> tuple[Floats, Floats]:
        """Compute the precision-recall curve.

        RETURNS (tuple[Floats, Floats]): Recall and precision with each edge as the
            threshold; the precision of no spans is 0. (B,), (B,)
        """
        right, found = self.gold.above_edges(), self.spans.above_edges()
        return right / max(self.gold.total, 1), right / np.maximum(found, 1)

    def average_precision(self) -> float:
        """Compute the area under the precision-recall curve, by steps.

        RETURNS (float): The average precision.
        """
        recalls, precisions = self.curve()
        return float(-np.diff(recalls, append=0) @ precisions)


def measure(right: int, found: int, gold: int) -> dict[str, float]:
    """Compute recall, precision and F1 from counts.

    right (int): How many predicted spans are gold mentions.
    found (int): How many spans were predicted.
    gold (int): How many gold mentions there are.
    RETURNS (dict[str, float]): "r", "p" and "f", between 0 and 1, and the counts.
    """
    return {
        "r": right / gold if gold else 0.0,
        "p": right / found if found else 0.0,
        "f": 2 * right / (found + gold) if found + gold else 0.0,
        "right": right,
        "found": found,
        "gold": gold,
    }


def recalled(gold: Bins, threshold: float) -> dict[str, float]:
    """Compute the recall of gold mentions at a threshold.

    gold (Bins): The gold mentions.
    threshold (float): Probability that must be exceeded.
    RETURNS (dict[str, float]): The recall, and its counts.
    """
    right = gold.above(threshold)
    return {"r": right / max(gold.total, 1), "right": right, "gold": gold.total}
