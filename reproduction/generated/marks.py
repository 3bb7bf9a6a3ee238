"""Read the mentions that an annotator listed as strings, and find them in their texts.

A passage begins with "#" and its id. A line has a letter for the kind, N, T or Q, and
strings, separated by "|". A string stands for all its occurrences at the borders of words,
or, with "@2" behind it, for the second of them only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Mark = tuple[int, int, str]
KINDS = {"N": "name", "T": "term", "Q": "quantity"}
OCCURRENCE = re.compile(r"(.+)@(\d+)")


def read_marks(path: Path, texts: Mapping[str, str]) -> dict[str, list[Mark]]:
    """Read a file of marks.

    texts (Mapping[str, str]): The texts by id.
    RETURNS (dict[str, list[Mark]]): Start, end (exclusive) and kind of each mention in
        document order, by id. ValueError is raised, with the number of the line, for a
        string that its text has not, for an unknown id or kind, for a place that is marked
        twice, and for mentions that cross.
    """
    found: dict[str, dict[tuple[int, int], str]] = {}
    id_ = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            if line.startswith("#"):
                id_ = line[1:]
                if id_ in found or id_ not in texts:
                    raise ValueError(f"The id {id_!r} is not that of a text, or not new.")
                found[id_] = {}
            elif line:
                kind, *strings = line.split("|")
                for place in places_of(strings, texts[id_]):
                    if place in found[id_]:
                        raise ValueError(f"{texts[id_][slice(*place)]!r} is marked twice.")
                    found[id_][place] = KINDS[kind]
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    for id_, places in found.items():
        for first, second in crossing(sorted(places)):
            pair = [texts[id_][slice(*place)] for place in (first, second)]
            raise ValueError(f"{path}, {id_}: {pair[0]!r} and {pair[1]!r} cross.")
    return {
        id_: [(start, end, kind) for (start, end), kind in in_order(places)]
        for id_, places in found.items()
    }


def places_of(strings: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Find strings in a text. ValueError is raised for one that is not there.

    YIELDS (tuple[int, int]): Start and end (exclusive) of each occurrence that is meant.
    """
    for string in strings:
        numbered = OCCURRENCE.fullmatch(string)
        wanted = numbered[1] if numbered else string
        pattern = rf"(?<!\w){re.escape(wanted)}(?!\w)"
        places = [match.span() for match in re.finditer(pattern, text)]
        if numbered:
            at = int(numbered[2]) - 1
            places = places[at : at + 1]
        if not places:
            raise ValueError(f"{string!r} is not in the text.")
        yield from places


def crossing(
    places: list[tuple[int, int]],
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Find the places that overlap, none of which lies in the other.

    places (list[tuple[int, int]]): The places, sorted.
    """
    for i, first in enumerate(places):
        for second in places[i + 1 :]:
            if first[0] < second[0] < first[1] < second[1]:
                yield first, second


def in_order(
    places: Mapping[tuple[int, int], str],
) -> list[tuple[tuple[int, int], str]]:
    """Sort places with their kinds as they stand in the text, a longer one first."""
    return sorted(places.items(), key=lambda item: (item[0][0], -item[0][1]))
