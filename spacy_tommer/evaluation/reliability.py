"""Calibration of scores: of mentions with a score of 0.7, seven in ten are right.

Axis letters: C cells, a span of a text each; K kinds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.training import Example

from ..component import Tommer
from ..decoding.decode import sigmoid
from ..head.model import get_head
from ..training.cells import gold_cells
from .validation import ValidationSet

Floats = NDArray[np.floating]
Marks = NDArray[np.bool_]

# Steps of Newton's method for two numbers, which converge long before.
STEPS = 100
TOLERANCE = 1e-6
# Added to the curvature, which vanishes where all scores are sure.
RIDGE = 1e-9
# Scores below the first are not mentions that anybody sees.
BINS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


def calibrate(
    tommer: Tommer, sets: Mapping[str, ValidationSet], whole: Sequence[str]
) -> dict[str, Any]:
    """Multiply the logits of each wanted kind by a factor and move them, so that the gold
    of validation texts has the best likelihood (Platt scaling). The weights of the head
    change, and so do the scores of the sets. A head without `EdgeValues` stays as it is.

    sets (Mapping[str, ValidationSet]): All sets.
    whole (Sequence[str]): Those that mark all wanted kinds, which are learnt from.
    RETURNS (dict[str, Any]): "scales" and "shifts" by kind; and the `reliability` of
        scores "before" and "after".
    """
    kinds = tommer.model.attrs["kinds"]
    columns = [k for k, kind in enumerate(kinds) if len(kinds) == 1 or kind in tommer.kinds]
    logits, gold = cells_of(tommer, [sets[name] for name in whole])
    outputs = logits.shape[1]
    scales, shifts = np.ones(outputs, "f"), np.zeros(outputs, "f")
    head = get_head(tommer.model)
    # Without them, as in the paper, nothing could shift the logits.
    for k in columns if head.edges is not None else ():
        scales[k], shifts[k] = platt_scaling(logits[:, k], gold[:, k])
    device = head.mixing.device
    head.rescale(*(torch.from_numpy(one).to(device) for one in (scales, shifts)))
    for one in sets.values():
        one.rescale(scales, shifts)
    after = logits * scales + shifts
    return {
        "scales": {kinds[k]: round(float(scales[k]), 3) for k in columns},
        "shifts": {kinds[k]: round(float(shifts[k]), 3) for k in columns},
        "before": reliability(logits[:, columns], gold[:, columns]),
        "after": reliability(after[:, columns], gold[:, columns]),
    }


def cells_of(tommer: Tommer, sets: Sequence[ValidationSet]) -> tuple[Floats, Marks]:
    """Collect the logits of all spans of validation texts, and whether they are gold.

    RETURNS (tuple[NDArray, NDArray[bool]]): The logits, and the kinds of the gold mention.
        (C, K), (C, K)
    """
    kinds, ops = tommer.model.attrs["kinds"], tommer.model.ops
    logits, gold = [], []
    for one in sets:
        for references, docs, scores in zip(one.gold, one.docs, one.scores):
            for reference, doc, said in zip(references, docs, scores):
                values = ops.to_numpy(said.dataXd)
                target, counted, _ = gold_cells(
                    Example(doc, reference),
                    np.isfinite(values[..., 0]),
                    ops.to_numpy(said.lengths),
                    kinds,
                    tommer.spans_key,
                    tommer.model.attrs["sources"],
                )
                known = counted[..., : len(kinds)].any(-1) & np.isfinite(values[..., 0])
                logits.append(values[known])
                gold.append(target[known] > 0)
    return np.concatenate(logits), np.concatenate(gold)


def platt_scaling(logits: Floats, gold: Marks) -> tuple[float, float]:
    """Find the factor and the shift of logits with the best likelihood, by Newton's method.
    Gold counts as one span of either kind more, as Platt has it, so that the factor is
    finite where a threshold separates gold from all other spans.

    logits (NDArray): Logits of a kind. (C,)
    gold (NDArray[bool]): Whether each is gold. (C,)
    RETURNS (tuple[float, float]): The factor and the shift; 1 and 0 if nothing is gold.
    """
    found = np.array([1.0, 0.0])
    yes = int(gold.sum())
    no = len(gold) - yes
    if not yes or not no:
        return 1.0, 0.0
    targets = np.where(gold, (yes + 1) / (yes + 2), 1 / (no + 2))
    features = np.stack([logits.astype("float64"), np.ones(len(logits))])  # (2, C)

    def loss(values: Floats) -> float:
        scaled = values @ features
        return float((np.logaddexp(0, scaled) - targets * scaled).sum())

    best = loss(found)
    for _ in range(STEPS):
        probabilities = sigmoid(found @ features)
        slope = features @ (probabilities - targets)
        weights = probabilities * (1 - probabilities)
        curve = (features * weights) @ features.T + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        while loss(found - step) > best and np.abs(step).max() >= TOLERANCE:
            step /= 2
        if np.abs(step).max() < TOLERANCE:
            break
        found = found - step
        best = loss(found)
    # An inverted scale would mean that the head has learnt nothing of this kind.
    return (float(found[0]), float(found[1])) if found[0] > 0 else (1.0, 0.0)


def reliability(logits: Floats, gold: Marks) -> dict[str, Any]:
    """Compare the scores of mentions with how many of them are right.

    logits (NDArray): Logits by kind. (C, K)
    gold (NDArray[bool]): Whether each is gold. (C, K)
    RETURNS (dict[str, Any]): "bins", for each range of the score the number of "mentions",
        their mean "score" and the share "right"; and "error", the mean difference of these,
        weighted by mentions (the expected calibration error).
    """
    scores = sigmoid(np.logaddexp.reduce(logits, axis=-1))
    right = np.logical_or.reduce(gold, axis=-1)
    bins = []
    for low, high in zip(BINS[:-1].tolist(), BINS[1:].tolist()):
        inside = (scores > low) & (scores <= high)
        count = int(inside.sum())
        if count:
            bins.append(
                {
                    "from": low,
                    "to": high,
                    "mentions": count,
                    "score": float(scores[inside].mean()),
                    "right": float(right[inside].mean()),
                }
            )
    total = sum(one["mentions"] for one in bins)
    gaps = (one["mentions"] * abs(one["score"] - one["right"]) for one in bins)
    return {"bins": bins, "error": sum(gaps) / max(total, 1)}
