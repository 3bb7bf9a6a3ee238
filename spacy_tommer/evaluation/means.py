"""Means over corpora, with one threshold for all of them (section 4.1).

Axis letters: B bin edges.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..decoding.decode import sigmoid
from .counts import Floats, Scored, measure

# Steps of the logit from one point of a written curve to the next.
CURVE_STEP = 100


def mean(measures: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Compute the plain mean of measures over corpora.

    measures (Sequence[dict]): The measures of each corpus.
    RETURNS (dict[str, float]): Their mean recall, precision and F1.
    """
    return {key: float(np.mean([one[key] for one in measures])) for key in "rpf"}


def micro(measures: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Measure all corpora as one.

    measures (Sequence[dict]): The measures of each corpus, with their counts.
    RETURNS (dict[str, float]): Recall, precision and F1 of the summed counts, and the sums.
    """
    right, found, gold = (
        sum(one[key] for one in measures) for key in ("right", "found", "gold")
    )
    return measure(right, found, gold)


def weighted_mean(
    measures: Sequence[dict[str, Any]], texts: Sequence[int]
) -> dict[str, float]:
    """Compute the paper's aggregate: means weighted by the size of the corpora.

    measures (Sequence[dict]): The measures of each corpus.
    texts (Sequence[int]): The number of texts of each corpus.
    RETURNS (dict[str, float]): Weighted mean recall and precision, and the F1 of both.
    """
    recall, precision = (
        float(np.average([one[key] for one in measures], weights=texts)) for key in "rp"
    )
    both = recall + precision
    return {
        "r": recall,
        "p": precision,
        "f": 2 * recall * precision / both if both else 0.0,
    }


def mean_curve(corpora: Sequence[Scored]) -> tuple[Floats, Floats]:
    """Compute the plain mean of precision-recall curves, at the same thresholds.

    corpora (Sequence[Scored]): The scored spans of each corpus, with the same edges.
    RETURNS (tuple[Floats, Floats]): Mean recall and mean precision at each edge. (B,), (B,)
    """
    curves = np.mean([corpus.curve() for corpus in corpora], axis=0)
    return curves[0], curves[1]


def precision_at_recall(corpora: Sequence[Scored], recall: float) -> float:
    """Find the mean precision at which the mean recall has a value, with one threshold
    for all corpora, interpolated on the curve.

    corpora (Sequence[Scored]): The scored spans of each corpus, with the same edges.
    recall (float): The mean recall.
    RETURNS (float): The mean precision; 0 if the recall is not reached.
    """
    recalls, precisions = (values[::-1] for values in mean_curve(corpora))
    first = np.searchsorted(recalls, recall)
    if first == len(recalls):
        return 0.0
    reached = slice(max(first - 1, 0), first + 1)
    return float(np.interp(recall, recalls[reached], precisions[reached]))


def curve_points(corpora: Sequence[Scored]) -> list[dict[str, float]]:
    """Thin out the mean precision-recall curve for a plot.

    corpora (Sequence[Scored]): The scored spans of each corpus, with the same edges.
    RETURNS (list[dict[str, float]]): Threshold, mean recall and mean precision, by rising
        threshold, as far as every corpus has a span above it.
    """
    recalls, precisions = mean_curve(corpora)
    found = np.min([corpus.spans.above_edges() for corpus in corpora], axis=0)
    kept = np.flatnonzero(found)[::CURVE_STEP]
    thresholds = sigmoid(corpora[0].edges[kept])
    return [
        {"threshold": round(t, 6), "r": round(r, 4), "p": round(p, 4)}
        for t, r, p in zip(
            thresholds.tolist(), recalls[kept].tolist(), precisions[kept].tolist()
        )
    ]
