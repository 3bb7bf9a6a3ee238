"""From span logits to spans, on numpy arrays.

Axis letters: N units of a text; L longest span in units; M spans.
"""

import math

import numpy as np
from numpy.typing import NDArray


def logit(probability: float) -> float:
    """Turn a threshold into the logit that scores are compared with.

    probability (float): A threshold between 0 and 1, both included.
    RETURNS (float): Its logit; -inf for 0 and inf for 1.
    """
    if probability is None or not 0 <= probability <= 1:
        raise ValueError(
            f"A threshold must lie between 0 and 1, and {probability} does not."
        )
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability) - math.log1p(-probability)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn logits into probabilities, in double precision.

    logits (NDArray): Logits of any shape.
    RETURNS (NDArray[float64]): Probabilities of that shape.
    """
    return np.exp(-np.logaddexp(0, -logits.astype("float64")))


def threshold_decode(
    logits: NDArray[np.floating], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """Take every span whose probability is above the threshold.

    logits (NDArray): Span logits, rows by end and columns by length - 1; -inf where
        there is no span. (N, L)
    threshold (float): Probability that a span must exceed.
    RETURNS (tuple): First unit, last unit and logit of each span, by last unit and
        then by length. (M,), (M,), (M,)
    """
    ends, lengths = np.nonzero(logits > logit(threshold))
    return ends - lengths, ends, logits[ends, lengths]


def greedy_decode(
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    logits: NDArray[np.floating],
    free: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Pick spans that do not overlap: best first, longer on ties, then earlier.

    starts (NDArray): First position of each span. (M,)
    ends (NDArray): Last position of each span. (M,)
    logits (NDArray): Logit of each span. (M,)
    free (NDArray[bool]): Whether a position may be taken; not changed.
    RETURNS (NDArray): Indices of the picked spans, in the order of the text.
    """
    taken = bytearray((~free).tobytes())
    first, behind = starts.tolist(), (ends + 1).tolist()
    picked = []
    for i in np.lexsort((starts, starts - ends, -logits)).tolist():
        if taken.find(1, first[i], behind[i]) < 0:
            taken[first[i] : behind[i]] = b"\1" * (behind[i] - first[i])
            picked.append(i)
    picked.sort(key=first.__getitem__)
    return np.asarray(picked, dtype="int")
