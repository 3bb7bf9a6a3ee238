"""Keep passages of OpenMentions, and the corpora that some of them come from, on one side
of a split."""

import re
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

from .report import Report

WORD = re.compile(r"\w+")
# Texts that share so many words in a row are taken for one.
RUN = 8
# Shorter texts are taken for one if all of their words are shared, so many or more.
LEAST = 3


class Sides:
    """Remember the part of OpenMentions in which a text stands.

    records (Iterable[tuple[str, str]]): Texts, and their parts: "train", "validation" or
        "test".
    """

    def __init__(self, records: Iterable[tuple[str, str]] = ()) -> None:
        passages: dict[str, list[list[str]]] = {}
        for text, part in records:
            passages.setdefault(part, []).append(words_of(text))
        self.lines = {
            part: "".join(f" {' '.join(words)} |" for words in some)
            for part, some in passages.items()
        }
        self.runs = {
            part: {run for words in some for run in runs(words)}
            for part, some in passages.items()
        }

    def find(self, text: str) -> set[str]:
        """Find the parts in which some of a text stands: eight of its words in a row, or
        all of a shorter text of three words or more.

        RETURNS (set[str]): The parts.
        """
        words = words_of(text)
        if len(words) < LEAST:
            return set()
        if len(words) < RUN:
            line = f" {' '.join(words)} "
            return {part for part, lines in self.lines.items() if line in lines}
        found = set(runs(words))
        return {part for part, known in self.runs.items() if not known.isdisjoint(found)}


def words_of(text: str) -> list[str]:
    """List the words of a text in lower case, "do n't" as "don't"."""
    joined = text.lower().replace(" n't", "n't").replace(" n\u2019t", "n\u2019t")
    return WORD.findall(joined)


def runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    """List all stretches of eight words."""
    return (tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))


def drop_held_out(docs: Iterable[Doc], sides: Sides, report: Report) -> Iterator[Doc]:
    """Drop texts that stand in the validation or test part of OpenMentions.

    docs (Iterable[Doc]): Docs of another corpus.
    sides (Sides): The passages of OpenMentions.
    report (Report): Where the dropped ones are counted.
    YIELDS (Doc): A Doc that is kept.
    """
    for doc in docs:
        held_out = bool(sides.find(doc.text) - {"train"})
        report.count("text dropped that is held out in openmentions", held_out)
        if not held_out:
            yield doc
