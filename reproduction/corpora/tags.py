"""Sequences of tags of the schemes BIO, IOB1, BIOES and BILUO."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Optional

from .gold import Entity
from .report import Broken

REPAIRED = "I- tag that continues nothing, begins a mention"
BIO, IOB1, BIOES, BILUO = "BIO", "IOB1", "BIOES", "BILUO"
TAG = re.compile(r"O|[BIELSU](-.*)?")
# One free B- in so many I- that begin a mention is taken for a mistake in IOB1.
FREE = 10


def is_tag(text: str) -> bool:
    """Tell whether a text is a tag of one of the schemes."""
    return bool(TAG.fullmatch(text))


def find_scheme(rows: Iterable[Sequence[str]]) -> Optional[str]:
    """Recognise the scheme of the tags of a file. In IOB1, a B- only parts a mention from
    one of the same type right before it.

    rows (Iterable[Sequence[str]]): The tags of each sentence.
    RETURNS (Optional[str]): The scheme, or None if no token is tagged.
    """
    prefixes: set[str] = set()
    begun = free = 0
    for tags in rows:
        for before, tag in pairwise(["O", *tags]):
            prefix, _, label = tag.partition("-")
            prefixes.add(prefix)
            joins = before != "O" and before.partition("-")[2] == label
            begun += prefix == "I" and not joins
            free += prefix == "B" and not joins
    last, single = prefixes & {"L", "U"}, prefixes & {"E", "S"}
    if last or single:
        return f"{BIOES} and {BILUO}" if last and single else BILUO if last else BIOES
    if not prefixes & {"B", "I"}:
        return None
    return IOB1 if begun and begun >= FREE * free else BIO


def tag_spans(tags: Sequence[str]) -> tuple[list[Entity], list[int]]:
    """Find the spans of a sequence of tags. An I-, E- or L- that continues nothing begins
    one, as in IOB1.

    tags (Sequence[str]): Tags such as B-PER, I-PER, E-PER or L-PER, S-PER or U-PER, and O.
    RETURNS (tuple[list[Entity], list[int]]): The spans, and which tags began one though
        they should continue one.
    RAISES (Broken): If a tag is of no scheme.
    """
    spans: list[Entity] = []
    repaired: list[int] = []
    is_open = False
    for i, tag in enumerate(tags):
        if not is_tag(tag):
            kind = "tag that is not of the BIO, IOB1, BIOES or BILUO scheme"
            raise Broken(kind, detail=f" ({tag!r})")
        prefix, _, label = tag.partition("-")
        inside = prefix in ("I", "E", "L")
        if inside and is_open and spans[-1][1:] == (i, label):
            spans[-1] = (spans[-1][0], i + 1, label)
        elif prefix != "O":
            spans.append((i, i + 1, label))
            if inside:
                repaired.append(i)
        is_open = prefix in ("B", "I")
    return spans, repaired
