"""Between tokens and the units (tokens or wordpieces) whose spans the head scores.

Axis letters: T tokens of a Doc; N units; L longest span in units.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_SPACE
from spacy.tokens import Doc, Span

Ints = NDArray[np.intp]


def mention_edges(doc: Doc, lengths: Ints) -> tuple[Ints, Ints]:
    """Tell at which units a mention may begin and end: where a token does that is not
    white space.

    doc (Doc): The Doc.
    lengths (Ints): How many units each token has. (T,)
    RETURNS (tuple[Ints, Ints]): For each unit, the token that begins with it, or -1;
        and the token that ends with it, or -1. (N,), (N,)
    """
    tokens = np.flatnonzero((lengths > 0) & (doc.to_array(IS_SPACE) == 0))
    ends = np.cumsum(lengths)
    first, last = np.full((2, lengths.sum()), -1)
    first[(ends - lengths)[tokens]] = tokens
    last[ends[tokens] - 1] = tokens
    return first, last


def mark_spans(
    cells: NDArray[np.generic], spans: Iterable[Span], lengths: Ints, value: float
) -> None:
    """Set the cells of some spans; those longer than the band have none.

    cells (NDArray): One row per unit and one column per length, changed in place. (N, L)
    spans (Iterable[Span]): Spans of tokens.
    lengths (Ints): How many units each token has. (T,)
    value (float): What to write there.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    for span in spans:
        first, last = starts[span.start], ends[span.end - 1] - 1
        if 0 <= last - first < cells.shape[1]:
            cells[last, last - first] = value
