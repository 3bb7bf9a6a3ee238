"""Counts of scored spans in narrow bins of the logit: they measure any threshold, and take
the same memory for every corpus.

Axis letters: B bin edges; S spans; G gold mentions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decoding.decode import logit

Floats = NDArray[np.floating]
Counts = NDArray[np.int64]

# Spans below this probability are not looked at.
FLOOR = 1e-4
CEILING = 1 - 1e-6
STEP = 0.001


def bin_edges(thresholds: Iterable[float] = ()) -> NDArray[np.float32]:
    """Lay out the edges of the bins.

    thresholds (Iterable[float]): Thresholds that are to be edges, and thus measured
        exactly; others are moved up to the next edge.
    RETURNS (NDArray[float32]): The rising edges, as logits. (B,)
    """
    grid = np.arange(logit(FLOOR), logit(CEILING), STEP)
    own = [logit(threshold) for threshold in thresholds]
    return np.unique(np.concatenate([grid, own]).astype("float32"))


class Bins:
    """How many logits lie between edges; one that equals an edge lies below it.

    edges (NDArray[float32]): The rising edges. (B,)
    """

    def __init__(self, edges: NDArray[np.float32]) -> None:
        self.edges = edges
        self.counts = np.zeros(len(edges) + 1, dtype="int64")

    @property
    def total(self) -> int:
        """RETURNS (int): The number of all logits."""
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
        # The component compares in single precision, too.
        edge = np.searchsorted(self.edges, np.float32(logit(threshold)))
        return int(self.counts[edge + 1 :].sum())

    def above_edges(self) -> Counts:
        """Count the logits above each edge.

        RETURNS (Counts): Their numbers. (B,)
        """
        return self.counts[::-1].cumsum()[-2::-1]


class Scored:
    """The scored spans of a corpus, and the gold mentions by the logit of their span.

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
        gold_logits (Floats): For each gold mention the logit of the span that is it, or
            -inf. (G,)
        labels (Sequence[str]): The types of the gold mentions; none, or (G,)
        inner (Sequence[bool]): Whether each lies inside another; none, or (G,)
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
        RETURNS (dict[str, float]): Recall, precision, F1, and the counts behind them.
        """
        found = self.spans.above(threshold)
        return measure(self.gold.above(threshold), found, self.gold.total)

    def details(self, threshold: float) -> dict[str, Any]:
        """Measure the spans above a threshold, and the recall of parts of the gold.

        threshold (float): Probability that a span must exceed.
        RETURNS (dict[str, Any]): What `at` returns; mentions per 100 tokens as
            "per_100_tokens"; and the recall with its counts of the gold mentions that lie
            inside another one, as "inner", and of each type, in "types".
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

    right (int): Spans that are gold mentions.
    found (int): Spans.
    gold (int): Gold mentions.
    RETURNS (dict[str, float]): The three, between 0 and 1, and the counts.
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
    """Measure which share of some gold mentions lies above a threshold.

    gold (Bins): The gold mentions.
    threshold (float): Probability that must be exceeded.
    RETURNS (dict[str, float]): The recall, and the counts behind it.
    """
    right = gold.above(threshold)
    return {"r": right / max(gold.total, 1), "right": right, "gold": gold.total}
