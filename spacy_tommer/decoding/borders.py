"""Rules on tokens: where mentions may start and end, and what they may not cross.
Axis letters: T tokens of a Doc; M mentions.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Optional
from unicodedata import category

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, IS_ALPHA, IS_SPACE, LENGTH
from spacy.tokens import Doc

Ints = NDArray[np.intp]

# Control and format characters, such as zero-width spaces, direction marks and NUL.
INVISIBLE = ("Cc", "Cf")
# Brackets and quotes. An apostrophe can be a closing quote.
OPENING, CLOSING = ("Ps", "Pi"), ("Pe", "Pf")
BRACKETS = OPENING + CLOSING
# Quotes, commas and colons, and what joins emoji.
MARKS = frozenset("\"'`,:;\u200d")
BLANK_LINE = re.compile(r"(\r\n|\n|\r(?!\n))[^\S\r\n]*[\r\n]")
LINE_BREAK = re.compile(r"[\r\n]")
BULLET = re.compile(r"[-*+\u2022\u25aa\u2013]|\(?(\d{1,3}|[A-Za-z])[.)]")
HANDLE = re.compile(r"(?<!\S)[@#](?=[^\W\d])")
DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
# A longer one is no tag: what follows in a text decides about a bounded part of it only.
TAG = re.compile(r"</?[A-Za-z!][^<>]{0,999}>")
UNCLOSED = re.compile(r"</?([A-Za-z!][^<>]{0,999})?\Z")


def can_be_edge(doc: Doc, rules: bool = True) -> NDArray[np.bool_]:
    """Mark the tokens that a mention may start and end with.

    rules (bool): Whether brackets, quotes, commas, colons and emoji may not be edges.
    RETURNS (NDArray[bool]): False for white space, for a token that starts or ends with an
        invisible character, and by the rules. (T,)
    """
    solid = doc.to_array(IS_ALPHA) != 0
    for i in np.flatnonzero(~solid).tolist():
        solid[i] = is_solid(doc[i].text, rules)
    return solid


@lru_cache(maxsize=1 << 14)
def is_solid(text: str, rules: bool) -> bool:
    """Tell whether a mention may start and end with a token, as `can_be_edge` does."""
    if text.isspace() or any(category(char) in INVISIBLE for char in text[0] + text[-1]):
        return False
    if not rules or text.isalnum():
        return True
    return not (all(map(is_mark, text)) or is_half_open(text))


def is_half_open(text: str) -> bool:
    """Tell whether a token has a bracket without its other half, as `TODO(lisa`, or a quote
    at its edge that it does not close or open. `print()` has neither."""
    kinds = [category(char) for char in text]
    opened, closed = ([kind in side for kind in kinds] for side in (OPENING, CLOSING))
    if not any(closed):
        return opened[0] or "Ps" in kinds
    return not any(opened) and (closed[-1] or "Pe" in kinds)


def is_mark(char: str) -> bool:
    """Tell brackets, quotes, commas, colons and emoji from other characters."""
    if char in MARKS:
        return True
    kind = category(char)
    # Signs such as the degree and the trademark sign come before the arrows and emoji.
    return kind in BRACKETS or (kind in ("So", "Sk", "Mn", "Cf") and char >= "\u2190")


def has_wrong_borders(docs: Sequence[Doc], starts: Ints, ends: Ints) -> NDArray[np.bool_]:
    """Mark the mentions that contain a break of the text, a handle or hashtag after their
    first token, or a part of a date.

    docs (Sequence[Doc]): The Docs.
    starts (Ints): Start of each mention, in tokens of all Docs, concatenated. (M,)
    ends (Ints): End (exclusive) of each mention. (M,)
    RETURNS (NDArray[bool]): Whether it does. (M,)
    """
    found = [
        (find_breaks(doc, text), find_tags(doc, text), find_insides(doc, text))
        for doc, text in ((doc, doc.text) for doc in docs)
    ]
    breaks, tags, insides = (np.concatenate([*part, [False]]) for part in zip(*found))
    seen_breaks, seen_tags = (np.cumsum([0, *part]) for part in (breaks, tags))
    return (
        (seen_breaks[ends] > seen_breaks[starts])
        | (seen_tags[ends] > seen_tags[starts + 1])
        | insides[starts]
        | insides[ends]
    )


def find_tags(doc: Doc, text: str) -> NDArray[np.bool_]:
    """Mark the tokens of a Doc, whose text is given, that a handle or hashtag begins with,
    as in `@tara #Oslo`. (T,)"""
    tags = np.zeros(len(doc), dtype="bool")
    places = {match.start() for match in HANDLE.finditer(text)}
    if places:
        tags[:] = [token.idx in places for token in doc]
    return tags


def find_insides(doc: Doc, text: str) -> NDArray[np.bool_]:
    """Mark the tokens of a Doc, whose text is given, inside a date such as 2024-05-12,
    behind its first token: no mention starts there, or ends before. (T,)"""
    insides = np.zeros(len(doc), dtype="bool")
    for match in DATE.finditer(text):
        insides |= [match.start() < token.idx < match.end() for token in doc]
    return insides


def find_breaks(doc: Doc, text: str) -> NDArray[np.bool_]:
    """Mark the tokens that no mention may contain: blank lines, tabs, bars between table
    cells, line breaks before a list item, and the angle brackets of tags.

    text (str): The text of the Doc.
    RETURNS (NDArray[bool]): Whether a token is such a break. (T,)
    """
    breaks = np.zeros(len(doc), dtype="bool")
    if not text.isprintable():  # tabs and line breaks are not
        for i in np.flatnonzero(doc.to_array(IS_SPACE)).tolist():
            space = doc[i].text
            item = i + 1 < len(doc) and BULLET.fullmatch(doc[i + 1].text)
            breaks[i] = bool(
                "\t" in space
                or BLANK_LINE.search(space)
                or (item and LINE_BREAK.search(space))
            )
    if "|" in text:
        breaks |= [not token.text.strip("|") for token in doc]
    if "<" in text and TAG.search(text):
        breaks |= find_tag_brackets(doc, text)
    return breaks


def find_unclosed_tag(text: str) -> Optional[int]:
    """Find the angle bracket that begins a tag if the text behind this one closes it.

    RETURNS (Optional[int]): Its character offset; None if there is none.
    """
    match = UNCLOSED.search(text) if "<" in text else None
    return None if match is None else match.start()


def find_tag_brackets(doc: Doc, text: str) -> NDArray[np.bool_]:
    """Mark the tokens of a Doc, whose text is given, that have the angle brackets of a tag,
    as in `<b>Oslo</b>`. (T,)"""
    starts, sizes = doc.to_array([IDX, LENGTH]).astype("int64").T
    tags = np.array([match.span() for match in TAG.finditer(text)])
    opening, closing = tags[:, 0], tags[:, 1] - 1
    return (np.searchsorted(opening, starts) < np.searchsorted(opening, starts + sizes)) | (
        np.searchsorted(closing, starts) < np.searchsorted(closing, starts + sizes)
    )
