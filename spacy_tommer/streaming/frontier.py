"""How far the mentions of a text that grows can still change.

Axis letters: T tokens of a Doc; M mentions; L longest span in units.
"""

from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX
from spacy.tokens import Doc

from ..decoding.borders import DATE, TAG, find_breaks, find_unclosed_tag

Ints = NDArray[np.intp]


def count_solid(doc: Doc, whole: int) -> int:
    """Count the tokens at the start of a Doc up to the last one that is no white space and
    has a wordpiece of its own: wordpieces of white space, and those that are shared with a
    later token, can still change.

    doc (Doc): The Doc, with states.
    whole (int): How many of its tokens count.
    """
    align = doc._.trf_data.align
    counted = np.flatnonzero(align.lengths)
    ends = np.cumsum(align.lengths)[counted]
    last, first = align.dataXd[ends - 1], align.dataXd[ends - align.lengths[counted]]
    shared = np.append(last[:-1] >= first[1:], False)
    for token in counted[~shared[: len(counted)] & (counted < whole)][::-1].tolist():
        if not doc[token].is_space:
            return token + 1
    return 0


def count_scored(lengths: Ints, final: int) -> int:
    """Count the tokens at the start of a text up to which the scores of all spans are
    final: a score needs the state of the unit behind the span.

    lengths (Ints): How many units each token has. (T,)
    final (int): How many tokens at the start have states that do not change.
    RETURNS (int): Largest end (exclusive) of a span whose score does not change.
    """
    ends = np.cumsum(lengths)
    units = int(ends[final - 1]) if final else 0
    return int(np.searchsorted(ends, units - 1, side="right")) if units else 0


def before_unclosed_tag(doc: Doc, text: str, scored: int) -> int:
    """Exclude spans that contain a bracket which may become that of a tag.

    text (str): The text of the Doc.
    scored (int): Largest end (exclusive) of a span, in tokens.
    RETURNS (int): The number, or that of the token with the bracket.
    """
    place = find_unclosed_tag(text)
    if place is None:
        return scored
    starts = doc.to_array(IDX).astype("int64")
    return min(scored, int(np.searchsorted(starts, place, side="right")) - 1)


def find_reach(
    doc: Doc, text: str, lengths: Ints, scored: int, longest: int, rules: bool
) -> int:
    """Find the first token that a span whose score is not final can start with.

    text (str): The text of the Doc.
    lengths (Ints): How many units each token has. (T,)
    scored (int): Largest end (exclusive) of a span whose score is final.
    longest (int): Longest span, in units, L.
    rules (bool): Whether no mention contains a break of the text.
    """
    ends = np.cumsum(lengths)
    first = (int(ends[scored - 1]) if scored else 0) - (longest - 1)
    reach = min(int(np.searchsorted(ends - lengths, first)), scored)
    if rules:
        breaks = np.flatnonzero(find_breaks(doc, text)[reach:scored])
        reach += int(breaks[-1]) + 1 if len(breaks) else 0
    return reach


def find_uncrossed(low: int, high: int, starts: Ints, ends: Ints) -> int:
    """Find the last place between two tokens that no span crosses.

    low (int): The first place: the token behind it. No span crosses it.
    high (int): The last place.
    starts (Ints): Start of each span, in tokens. (M,)
    ends (Ints): End (exclusive) of each span. (M,)
    RETURNS (int): The place.
    """
    crossed = np.zeros(high - low + 1, dtype="bool")
    for start, end in zip((starts - low).tolist(), (ends - low).tolist()):
        crossed[start + 1 : end] = True
    return low + int(np.flatnonzero(~crossed)[-1])


def before_patterns(doc: Doc, text: str, start: int, step: int = 1) -> int:
    """Find a place where a text can be cut without cutting a tag or a date, which rules on
    tokens look at as a whole.

    text (str): The text of the Doc.
    start (int): The last place, in tokens.
    step (int): Tokens from one place to the next.
    RETURNS (int): The last such place, or 0.
    """
    if start <= 0:
        return 0
    found = chain(TAG.finditer(text), DATE.finditer(text))
    spans = [match.span() for match in found]
    while start > 0 and any(first < doc[start].idx < end for first, end in spans):
        start -= step
    return max(start, 0)
