"""Where words begin and end, in any script."""

import re
from collections.abc import Iterator
from unicodedata import category, name

# What belongs to a word besides letters, digits and marks: the underscore, and the joiners
# of Indic scripts and of Persian.
JOINERS = "_\u200c\u200d"
# Scripts that put no space between words, as their characters are named.
UNSPACED = (
    "BOPOMOFO",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "KHMER",
    "LAO",
    "MYANMAR",
    "TAI",
    "THAI",
    "TIBETAN",
    "YI",
)


def find_words(text: str, string: str) -> tuple[list[tuple[int, int]], bool]:
    """Find the places where a string stands as whole words. One that never does so is found
    beside a digit, a letter or an underscore of another kind (`5` in `5km`), and inside a
    run of letters of a script that puts no space between words, but nowhere else inside a
    word, and never between a letter and its marks.

    string (str): The string, not empty.
    RETURNS (tuple[list[tuple[int, int]], bool]): Start and end (exclusive) of each place,
        and whether these are whole words.
    """
    places = [match.span() for match in re.finditer(re.escape(string), text)]
    whole = [place for place in places if is_whole(text, place)]
    if whole:
        return whole, True
    return [place for place in places if is_apart(text, place)], False


def is_whole(text: str, place: tuple[int, int]) -> bool:
    """Tell whether no word, and no character with marks, goes on across the edges of a
    place."""
    return not any(
        is_mark(right) or (in_word(left) and in_word(right))
        for left, right in edges(text, place)
    )


def is_apart(text: str, place: tuple[int, int]) -> bool:
    """Tell whether what stands beside the edges of a place is of another kind, or of a
    script that puts no space between words."""
    for left, right in edges(text, place):
        if is_mark(right):
            return False
        unspaced = is_unspaced(left) or is_unspaced(right)
        if in_word(left) and in_word(right) and kind(left) == kind(right) and not unspaced:
            return False
    return True


def edges(text: str, place: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """List the pairs of neighbours at the edges of a place. A letter with marks stands for
    them all: a mark on the left is replaced by its letter."""
    for border in place:
        if 0 < border < len(text):
            left = border - 1
            while left and is_mark(text[left]):
                left -= 1
            yield text[left], text[border]


def in_word(char: str) -> bool:
    """Tell whether a character is part of a word."""
    return char.isalnum() or char in JOINERS or is_mark(char)


def is_mark(char: str) -> bool:
    """Tell whether a character is written on, around or after the letter before it."""
    return not char.isascii() and (category(char)[0] == "M" or char in JOINERS)


def kind(char: str) -> str:
    """RETURNS (str): "L" for letters, "N" for digits, or else the character."""
    return "L" if char.isalpha() else "N" if char.isalnum() else char


def is_unspaced(char: str) -> bool:
    """Tell whether a character is of a script that puts no space between words."""
    return not char.isascii() and name(char, "").startswith(UNSPACED)
