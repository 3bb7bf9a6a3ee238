"""Find the wordpieces of each token.

Axis letters: T tokens; K wordpieces; U units.
"""

import numpy as np
from numpy.typing import NDArray

from .encoding import Ints


def align_pieces(
    starts: Ints, ends: Ints, owners: Ints, token_starts: Ints, token_ends: Ints
) -> tuple[Ints, Ints]:
    """Find the wordpieces of each token: those that it owns, or else the first one that
    covers it.

    starts (Ints): The first character of each wordpiece. (K,)
    ends (Ints): Its end (exclusive), in rising order. (K,)
    owners (Ints): The token that contains its last character. (K,)
    token_starts (Ints): The first character of each token. (T,)
    token_ends (Ints): Its end (exclusive). (T,)
    RETURNS (tuple[Ints, Ints]): The wordpieces of all tokens, and how many each has. (T,)
    """
    counts = np.bincount(owners, minlength=len(token_starts))
    bare = np.flatnonzero((counts == 0) & (token_starts < token_ends))
    cover = np.searchsorted(ends, token_starts[bare], side="right")
    covered = cover < len(ends)
    covered[covered] = starts[cover[covered]] <= token_starts[bare][covered]
    bare, cover = bare[covered], cover[covered]
    pieces = np.insert(np.arange(len(ends)), np.cumsum(counts)[bare], cover)
    counts[bare] = 1
    return pieces, counts


def last_pieces(pieces: NDArray, counts: NDArray) -> tuple[NDArray, NDArray]:
    """Keep the last wordpiece of each token.

    pieces (NDArray): The wordpieces of all tokens.
    counts (NDArray): How many each token has. (T,)
    RETURNS (tuple[NDArray, NDArray]): The last ones (U,), and how many each token has:
        1 or 0. (T,)
    """
    return pieces[np.cumsum(counts)[counts > 0] - 1], np.minimum(counts, 1)
