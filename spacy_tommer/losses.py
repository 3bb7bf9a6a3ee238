"""The loss that trains the head, on numpy or cupy arrays."""

from thinc.types import Floats2d
from thinc.util import get_array_module


def balanced_bce(
    logits: Floats2d, targets: Floats2d, counted: Floats2d
) -> tuple[float, Floats2d]:
    """Compute the balanced binary cross-entropy (equation 3) and its gradient.

    Positive cells weigh alpha = negatives / positives of the batch, or 1 where the
    batch lacks either.

    logits (Floats2d): Span logits; anything where `counted` is false. (N, L)
    targets (Floats2d): 1 for a mention and 0 for another span. (N, L)
    counted (Floats2d): Whether a cell is part of the loss. (N, L)
    RETURNS (tuple[float, Floats2d]): The mean over the counted cells, and the gradient
        with respect to the logits. (N, L)
    """
    xp = get_array_module(logits)
    total = float(counted.sum())
    positives = float((targets * counted).sum())
    negatives = total - positives
    alpha = negatives / positives if positives and negatives else 1.0
    z = xp.where(counted, logits, 0)
    weights = counted * (1 + (alpha - 1) * targets) / max(total, 1)
    loss = xp.logaddexp(0, xp.where(targets, -z, z))
    gradient = xp.exp(-xp.logaddexp(0, -z)) - targets
    return float((weights * loss).sum()), (weights * gradient).astype(logits.dtype)
