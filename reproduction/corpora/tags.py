"""Sequences of tags of the BIO and BIOES schemes."""

from collections.abc import Sequence

from .gold import Entity
from .report import Broken

REPAIRED = "I- tag that continues nothing, begins a mention"


def tag_spans(tags: Sequence[str]) -> tuple[list[Entity], list[int]]:
    """Find the spans of a sequence of tags. An I- or E- that continues nothing begins one,
    as in the older scheme IOB1.

    tags (Sequence[str]): Tags such as B-PER, I-PER, E-PER, S-PER and O.
    RETURNS (tuple[list[Entity], list[int]]): The spans, and which tags began one though
        they should continue one.
    RAISES (Broken): If a tag is of neither scheme.
    """
    spans: list[Entity] = []
    repaired: list[int] = []
    is_open = False
    for i, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        if prefix not in ("B", "I", "E", "S", "O"):
            kind = "tag that is not of the BIO or BIOES scheme"
            raise Broken(kind, detail=f" ({tag!r})")
        if prefix in ("I", "E") and is_open and spans[-1][1:] == (i, label):
            spans[-1] = (spans[-1][0], i + 1, label)
        elif prefix != "O":
            spans.append((i, i + 1, label))
            if prefix in ("I", "E"):
                repaired.append(i)
        is_open = prefix in ("B", "I")
    return spans, repaired
