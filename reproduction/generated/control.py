"""How far an annotator agrees with the annotation of OpenMentions."""

from pathlib import Path

from spacy_tommer.evaluation.counts import measure

from .marks import read_marks
from .passages import OPENMENTIONS
from .texts import read_lines_of


def compare_with_corpus(path: Path) -> dict[str, float]:
    """Compare marks of passages of OpenMentions with the mentions that the corpus has.

    path (Path): The marks, by ids of the corpus.
    RETURNS (dict[str, float]): What `measure` returns for the marks as what was found;
        the number of "passages"; and the share of common places with the same kind,
        "kinds".
    """
    records = {record["id"]: record for record in read_lines_of(OPENMENTIONS)}
    marks = read_marks(path, {id_: record["text"] for id_, record in records.items()})
    right = found = gold = same = 0
    for id_, own in marks.items():
        theirs: dict[tuple[int, int], str] = {}
        for start, end, kind, *_ in records[id_]["mentions"]:
            theirs.setdefault((start, end), kind)
        ours = {(start, end): kind for start, end, kind in own}
        common = ours.keys() & theirs.keys()
        right, found, gold = right + len(common), found + len(ours), gold + len(theirs)
        same += sum(ours[place] == theirs[place] for place in common)
    shares = {"passages": len(marks), "kinds": same / max(right, 1)}
    return {**measure(right, found, gold), **shares}
