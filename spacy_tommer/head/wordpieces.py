"""Spans that begin or end inside a wordpiece are no mentions.

Axis letters: T tokens of a Doc; L longest span in units; K kinds and sources.
"""

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_PUNCT, IS_SPACE
from spacy.tokens import Doc
from thinc.api import Ops
from thinc.types import FloatsXd


def words_of(doc: Doc) -> NDArray[np.bool_]:
    """Mark the tokens that are neither white space nor punctuation. (T,)"""
    return ~doc.to_array([IS_SPACE, IS_PUNCT]).astype("bool").any(axis=-1)


def bar_inside(
    logits: FloatsXd, states: FloatsXd, words: NDArray[np.bool_], ops: Ops
) -> None:
    """Bar the spans that begin or end inside a wordpiece, which the head cannot tell apart:
    words that share a wordpiece, such as characters of Chinese, have the same vector. So
    has white space before a word, which bars nothing.

    logits (FloatsXd): Span logits, rows by end and columns by length - 1, changed in place.
        (units, L, K)
    states (FloatsXd): Input vectors. (units, D)
    words (NDArray[bool]): Whether the token of each unit is a word. (units,)
    """
    shared = ops.to_numpy((states[1:] == states[:-1]).all(axis=-1))
    shared = shared & words[1:] & words[:-1]  # with the unit before
    if not shared.any():
        return
    units = len(states)
    logits[np.flatnonzero(shared)] = -np.inf
    for start in np.flatnonzero(shared) + 1:
        columns = np.arange(min(logits.shape[1], units - start))
        logits[start + columns, columns] = -np.inf
