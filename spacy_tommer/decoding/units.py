"""Map tokens to the units (tokens or wordpieces) whose spans the head scores.

Axis letters: T tokens of a Doc; N units; L longest span in units; K kinds; M spans.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Span

Ints = NDArray[np.intp]


def edge_tokens(lengths: Ints, solid: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Find the token, if any, that starts or ends with each unit.

    lengths (Ints): How many units each token has. (T,)
    solid (NDArray[bool]): Whether a mention may start or end with the token. (T,)
    RETURNS (tuple[Ints, Ints]): For each unit, the solid token that starts with it, or -1,
        and the solid token that ends with it, or -1. (N,), (N,)
    """
    tokens = np.flatnonzero((lengths > 0) & solid)
    ends = np.cumsum(lengths)
    first, last = np.full((2, lengths.sum()), -1)
    first[(ends - lengths)[tokens]] = tokens
    last[ends[tokens] - 1] = tokens
    return first, last


def count_cut(starts: Ints, ends: Ints, lengths: Ints) -> int:
    """Count the spans that start or end inside a token.

    starts (Ints): Start of each span, in units. (M,)
    ends (Ints): End (exclusive) of each span, in units. (M,)
    lengths (Ints): How many units each token has. (T,)
    """
    bounds = np.zeros(lengths.sum() + 1, dtype="bool")
    bounds[np.cumsum(lengths)] = bounds[0] = True
    return int(np.count_nonzero(~(bounds[starts] & bounds[ends])))


def mark_spans(
    cells: NDArray[np.generic], spans: Iterable[Span], lengths: Ints, value: Any
) -> None:
    """Set the cells of spans to a value. Spans of more than L units are skipped.

    cells (NDArray): One row per last unit and one column per length - 1, changed in place.
        (N, L) or (N, L, K)
    spans (Iterable[Span]): Spans of tokens.
    lengths (Ints): How many units each token has. (T,)
    value (Any): The value to write, or one for each kind. (K,)
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    for span in spans:
        first, last = starts[span.start], ends[span.end - 1] - 1
        if 0 <= last - first < cells.shape[1]:
            cells[last, last - first] = value
