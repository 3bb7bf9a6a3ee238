"""The losses that train the head, on numpy or cupy arrays.

Axis letters: N units of all texts, concatenated; L longest span in units; K kinds.
"""

from thinc.types import FloatsXd
from thinc.util import get_array_module


def balanced_bce(
    logits: FloatsXd, targets: FloatsXd, counted: FloatsXd
) -> tuple[float, FloatsXd]:
    """Compute the balanced binary cross-entropy (equation 3) and its gradient.

    Positive cells have the weight alpha = negatives / positives of the batch, or 1 if the
    batch lacks either.

    logits (FloatsXd): Span logits; any value where `counted` is false. (N, L, K)
    targets (FloatsXd): 1 for a mention and 0 for another span. (N, L, K)
    counted (FloatsXd): Whether a cell is part of the loss. (N, L, K)
    RETURNS (tuple[float, FloatsXd]): The mean over the counted cells, and the gradient
        with respect to the logits. (N, L, K)
    """
    positives = float((targets * counted).sum())
    negatives = float(counted.sum()) - positives
    alpha = negatives / positives if positives and negatives else 1.0
    return weighted_bce(logits, targets, counted * (1 + (alpha - 1) * targets))


def dense_bce(
    logits: FloatsXd, targets: FloatsXd, counted: FloatsXd
) -> tuple[float, FloatsXd]:
    """Compute the binary cross-entropy with a teacher's probabilities, and its gradient
    (dense distillation, section 2.3).

    logits (FloatsXd): Span logits; any value where `counted` is false. (N, L, K)
    targets (FloatsXd): The teacher's probabilities. (N, L, K)
    counted (FloatsXd): Whether a cell is part of the loss. (N, L, K)
    RETURNS (tuple[float, FloatsXd]): The mean over the counted cells, and the gradient
        with respect to the logits. (N, L, K)
    """
    return weighted_bce(logits, targets, counted * 1.0)


def weighted_bce(
    logits: FloatsXd, targets: FloatsXd, weights: FloatsXd
) -> tuple[float, FloatsXd]:
    """Compute a weighted binary cross-entropy and its gradient.

    logits (FloatsXd): Logits; any value where the weight is 0. (N, L, K)
    targets (FloatsXd): Probabilities. (N, L, K)
    weights (FloatsXd): Weight of each cell. (N, L, K)
    RETURNS (tuple[float, FloatsXd]): The sum over the cells, divided by the number of cells
        whose weight is above 0, and the gradient with respect to the logits. (N, L, K)
    """
    xp = get_array_module(logits)
    z = xp.where(weights > 0, logits, 0)
    weights = weights / max(float((weights > 0).sum()), 1)
    loss = targets * xp.logaddexp(0, -z) + (1 - targets) * xp.logaddexp(0, z)
    gradient = xp.exp(-xp.logaddexp(0, -z)) - targets
    return float((weights * loss).sum()), (weights * gradient).astype(logits.dtype)


def united_bce(logits: FloatsXd, united: FloatsXd, count: float) -> tuple[float, FloatsXd]:
    """Compute the cross-entropy of mentions that are of one of several kinds, and its
    gradient. The odds of the kinds add up.

    logits (FloatsXd): Span logits. (N, L, K)
    united (FloatsXd): The kinds that a mention may be of; false for other spans. (N, L, K)
    count (float): What the sum is divided by.
    RETURNS (tuple[float, FloatsXd]): The loss, and the gradient with respect to the logits.
        (N, L, K)
    """
    xp = get_array_module(logits)
    gradient = xp.zeros_like(logits)
    cells = united.any(axis=-1)
    if not cells.any():
        return 0.0, gradient
    z = xp.where(united[cells], logits[cells], -xp.inf)
    top = z.max(axis=-1, keepdims=True)
    odds = xp.exp(z - top)
    total = top + xp.log(odds.sum(axis=-1, keepdims=True))
    missing = xp.exp(-xp.logaddexp(0, total)) / count
    gradient[cells] = -missing * odds / odds.sum(axis=-1, keepdims=True)
    return float(xp.logaddexp(0, -total).sum()) / count, gradient
