"""Decode span logits into spans, on numpy arrays.

Axis letters: N units of a text; L longest span in units; M spans.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Floats = NDArray[np.floating]
# A function of the start (M,), end (exclusive, M) and logit (M,) of spans, and of whether
# each position is free. It returns the indices of spans that do not overlap, in text order.
FlatDecoder = Callable[[Ints, Ints, Floats, NDArray[np.bool_]], Ints]


def logit(probability: float) -> float:
    """Convert a threshold to a logit.

    probability (float): A threshold between 0 and 1, both included. ValueError is raised
        for any other number.
    RETURNS (float): Its logit; -inf for 0 and inf for 1.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"The threshold is {probability}, expected one between 0 and 1.")
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability) - math.log1p(-probability)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Convert logits to probabilities, in double precision.

    logits (NDArray): Logits of any shape.
    RETURNS (NDArray[float64]): Probabilities of the same shape.
    """
    return np.exp(-np.logaddexp(0, -logits.astype("float64")))


def log_sum_exp(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute the logarithm of the sum of the exponentials along the last axis.

    logits (NDArray): Numbers, of which each row has a finite largest one. (M, K)
    RETURNS (NDArray): The logarithms. (M,)
    """
    top = logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(logits - top).sum(axis=-1)) + top.squeeze(-1)


def threshold_decode(
    logits: NDArray[np.floating], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """Select every span whose probability is above the threshold. The logit of a span is
    that of any kind: the odds of kinds add up.

    logits (NDArray): Span logits, rows by end and columns by length - 1; -inf where
        there is no span. (N, L, K)
    threshold (float): Probability that a span must exceed.
    RETURNS (tuple): Start, end (exclusive) and logit of each span, by end and then by
        length. (M,), (M,), (M,)
    """
    least = logit(threshold)
    # The odds of K kinds add up to at most K times the largest.
    largest = logits.max(axis=-1)
    rows, columns = np.nonzero(largest > least - math.log(logits.shape[-1]))
    united = log_sum_exp(logits[rows, columns])
    above = united > least
    rows, columns = rows[above], columns[above]
    return rows - columns, rows + 1, united[above]


def greedy_decode(
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    logits: NDArray[np.floating],
    free: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Pick spans that do not overlap: best first, longer on ties, then earlier.

    starts (NDArray): Start of each span. (M,)
    ends (NDArray): End (exclusive) of each span. (M,)
    logits (NDArray): Logit of each span. (M,)
    free (NDArray[bool]): Whether a position may be taken; not changed.
    RETURNS (NDArray): Indices of the picked spans, in the order of the text.
    """
    taken = bytearray((~free).tobytes())
    start, end = starts.tolist(), ends.tolist()
    picked = []
    for i in np.lexsort((starts, starts - ends, -logits)).tolist():
        if taken.find(1, start[i], end[i]) < 0:
            taken[start[i] : end[i]] = b"\1" * (end[i] - start[i])
            picked.append(i)
    picked.sort(key=start.__getitem__)
    return np.asarray(picked, dtype="int")


def best_flat_decode(
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    logits: NDArray[np.floating],
    free: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Pick the spans that do not overlap and have the largest sum of probabilities, by
    weighted interval scheduling.

    starts (NDArray): Start of each span. (M,)
    ends (NDArray): End (exclusive) of each span. (M,)
    logits (NDArray): Logit of each span. (M,)
    free (NDArray[bool]): Whether a position may be taken; not changed.
    RETURNS (NDArray): Indices of the picked spans, in the order of the text.
    """
    taken = np.concatenate([[0], np.cumsum(~free)])
    usable = np.flatnonzero(taken[ends] == taken[starts])
    order = usable[np.lexsort((starts[usable], ends[usable]))]
    # How many spans of the order end at or before the start of span k.
    before = np.searchsorted(ends[order], starts[order], side="right").tolist()
    weights = sigmoid(logits[order]).tolist()
    # Sums begin again where no span crosses, so that nothing before rounds them otherwise.
    first = np.minimum.accumulate(starts[order][::-1])[::-1]
    apart = np.append(True, first[1:] >= ends[order][:-1])[: len(order)].tolist()
    best, takes = [0.0], []
    for weight, earlier, restarts in zip(weights, before, apart):
        if restarts:
            best[-1] = 0.0
        takes.append(best[earlier] + weight > best[-1])
        best.append(max(best[-1], best[earlier] + weight))
    picked = []
    k = len(order)
    while k:
        if takes[k - 1]:
            picked.append(order[k - 1])
            k = before[k - 1]
        else:
            k -= 1
    return np.asarray(picked[::-1], dtype="int")


def make_greedy() -> FlatDecoder:
    """Make the decoder that is registered as spacy_tommer.greedy.v1."""
    return greedy_decode


def make_best_flat() -> FlatDecoder:
    """Make the decoder that is registered as spacy_tommer.best_flat.v1."""
    return best_flat_decode
