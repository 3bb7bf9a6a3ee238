"""The loss that trains the head, on numpy or cupy arrays."""

from thinc.types import Floats2d
from thinc.util import get_array_module


def balanced_bce(
    logits: Floats2d, targets: Floats2d, counted: Floats2d
) -> tuple[float, Floats2d]:
    """Compute the balanced binary cross-entropy (equation 3) and its gradient.

    Positive cells have the weight alpha = negatives / positives of the batch, or 1 if the
    batch lacks either.

    logits (Floats2d): Span logits; any value where `counted` is false. (N, L)
    targets (Floats2d): 1 for a mention and 0 for another span. (N, L)
    counted (Floats2d): Whether a cell is part of the loss. (N, L)
    RETURNS (tuple[float, Floats2d]): The mean over the counted cells, and the gradient
        with respect to the logits. (N, L)
    """
    positives = float((targets * counted).sum())
    negatives = float(counted.sum()) - positives
    alpha = negatives / positives if positives and negatives else 1.0
    return weighted_bce(logits, targets, counted * (1 + (alpha - 1) * targets))


def dense_bce(
    logits: Floats2d, targets: Floats2d, counted: Floats2d
) -> tuple[float, Floats2d]:
    """Compute the binary cross-entropy with a teacher's probabilities, and its gradient
    (dense distillation, section 2.3).

    logits (Floats2d): Span logits; any value where `counted` is false. (N, L)
    targets (Floats2d): The teacher's probabilities. (N, L)
    counted (Floats2d): Whether a cell is part of the loss. (N, L)
    RETURNS (tuple[float, Floats2d]): The mean over the counted cells, and the gradient
        with respect to the logits. (N, L)
    """
    return weighted_bce(logits, targets, counted * 1.0)


def weighted_bce(
    logits: Floats2d, targets: Floats2d, weights: Floats2d
) -> tuple[float, Floats2d]:
    """Compute a weighted binary cross-entropy and its gradient.

    logits (Floats2d): Logits; any value where the weight is 0. (N, L)
    targets (Floats2d): Probabilities. (N, L)
    weights (Floats2d): Weight of each cell. (N, L)
    RETURNS (tuple[float, Floats2d]): The sum over the cells, divided by the number of cells
        whose weight is above 0, and the gradient with respect to the logits. (N, L)
    """
    xp = get_array_module(logits)
    z = xp.where(weights > 0, logits, 0)
    weights = weights / max(float((weights > 0).sum()), 1)
    loss = targets * xp.logaddexp(0, -z) + (1 - targets) * xp.logaddexp(0, z)
    gradient = xp.exp(-xp.logaddexp(0, -z)) - targets
    return float((weights * loss).sum()), (weights * gradient).astype(logits.dtype)
