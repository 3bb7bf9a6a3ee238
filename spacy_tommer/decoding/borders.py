"""Rules on tokens: where mentions may start and end, and what they may not cross.
Axis letters: T tokens of a Doc; M mentions.
"""

import re
from collections.abc import Sequence
from unicodedata import category

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_ALPHA, IS_SPACE
from spacy.tokens import Doc

Ints = NDArray[np.intp]

# Control and format characters, such as zero-width spaces, direction marks and NUL.
INVISIBLE = ("Cc", "Cf")
# Brackets and quotes.
OPENING, CLOSING = ("Ps", "Pi"), ("Pe", "Pf")
BRACKETS = OPENING + CLOSING
# Quotes, commas and colons, and what joins emoji.
MARKS = frozenset("\"'`,:;\u200d")
BLANK_LINE = re.compile(r"(\r\n|\n|\r(?!\n))[^\S\r\n]*[\r\n]")
LINE_BREAK = re.compile(r"[\r\n]")
BULLET = re.compile(r"[-*+\u2022\u25aa\u2013]|\(?(\d{1,3}|[A-Za-z])[.)]")
TAG = re.compile(r"</?[A-Za-z!][^<>]*>")


def can_be_edge(doc: Doc, rules: bool = True) -> NDArray[np.bool_]:
    """Mark the tokens that a mention may start and end with.

    rules (bool): Whether brackets, quotes, commas, colons and emoji may not be edges.
    RETURNS (NDArray[bool]): False for white space, for a token that starts or ends with an
        invisible character, and by the rules. (T,)
    """
    solid = doc.to_array(IS_SPACE) == 0
    hidden = not doc.text.isprintable()
    if hidden or rules:
        for i in np.flatnonzero(doc.to_array(IS_ALPHA) == 0).tolist():
            text = doc[i].text
            edges = text[0] + text[-1]
            if (hidden and any(category(char) in INVISIBLE for char in edges)) or (
                rules
                and not edges.isalnum()
                and (all(map(is_mark, text)) or is_half_open(text))
            ):
                solid[i] = False
    return solid


def is_half_open(text: str) -> bool:
    """Tell whether a token begins with a bracket or quote that it does not close, as
    `(tank`, or ends with one that it does not open. `print()` does neither."""
    kinds = [category(char) for char in text]
    opened, closed = ([kind in side for kind in kinds] for side in (OPENING, CLOSING))
    return (opened[0] and not any(closed)) or (closed[-1] and not any(opened))


def is_mark(char: str) -> bool:
    """Tell brackets, quotes, commas, colons and emoji from other characters."""
    if char in MARKS:
        return True
    kind = category(char)
    # Signs such as the degree and the trademark sign come before the arrows and emoji.
    return kind in BRACKETS or (kind in ("So", "Sk", "Mn", "Cf") and char >= "\u2190")


def crosses_break(docs: Sequence[Doc], starts: Ints, ends: Ints) -> NDArray[np.bool_]:
    """Mark the mentions that contain a break of the text.

    docs (Sequence[Doc]): The Docs.
    starts (Ints): Start of each mention, in tokens of all Docs, concatenated. (M,)
    ends (Ints): End (exclusive) of each mention. (M,)
    RETURNS (NDArray[bool]): Whether it contains a break. (M,)
    """
    breaks = np.concatenate([[0], *(find_breaks(doc) for doc in docs)])
    seen = np.cumsum(breaks)
    return seen[ends] > seen[starts]


def find_breaks(doc: Doc) -> NDArray[np.bool_]:
    """Mark the tokens that no mention may contain: blank lines, tabs, bars between table
    cells, line breaks before a list item, and, in text with tags, the tokens of a tag.

    RETURNS (NDArray[bool]): Whether a token is such a break. (T,)
    """
    breaks = np.zeros(len(doc), dtype="bool")
    for i in np.flatnonzero(doc.to_array(IS_SPACE)).tolist():
        text = doc[i].text
        item = i + 1 < len(doc) and BULLET.fullmatch(doc[i + 1].text)
        breaks[i] = bool(
            "\t" in text or BLANK_LINE.search(text) or (item and LINE_BREAK.search(text))
        )
    text = doc.text
    if "|" in text:
        breaks |= [not token.text.strip("|") for token in doc]
    if "<" in text and TAG.search(text):
        breaks |= ["<" in token.text or ">" in token.text for token in doc]
    return breaks
