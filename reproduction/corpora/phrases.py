"""Noun phrases without their determiners, for sets that mark "the president" where others
mark "president"."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .gold import Entity, mention_labels, set_gold
from .report import Report

Reader = Callable[[Path, Language, Report], Iterator[Doc]]

DETERMINERS = (
    "a all an another any both each either every neither no some such that the these this "
    "those what which"
)
POSSESSIVES = "her his its my our their thy thine your whose"
PERSONAL = (
    "he her hers herself him himself his i it its itself me mine my myself our ours "
    "ourselves she thee their theirs them themselves they thou thy thyself us we ye you "
    "your yours yourself yourselves 'em"
)
OTHER_PRONOUNS = (
    "anybody anyone anything everybody everyone everything nobody nothing one oneself "
    "somebody someone something that there these this those what which who whoever whom "
    "whose"
)
LEADING = frozenset(f"{DETERMINERS} {POSSESSIVES}".split())
PRONOUNS = frozenset(f"{PERSONAL} {OTHER_PRONOUNS}".split())
MARKS = frozenset({"'s", "\u2019s", "'", "\u2019"})
PRONOUN_PAIRS = frozenset({"each other", "no one", "one another"})


def bare_phrases(reader: Reader) -> Reader:
    """Let a reader strip the determiners of mentions and the mark of the possessive after
    them, and drop those that are pronouns.

    RETURNS (Reader): A reader of the same files.
    """

    def read_bare(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
        for doc in reader(path, nlp, report):
            words = [token.lower_ for token in doc]
            entities: list[Entity] = []
            labels = mention_labels(doc)
            bare: dict[tuple[int, int], str] = {}
            for span in doc.spans["entities"]:
                start = bare_start(words[span.start : span.end])
                if start is None:
                    report.count("mention dropped that is a pronoun or a determiner")
                    continue
                report.count("mention stripped of determiners", start > 0)
                marked = words[span.end - 1] in MARKS and len(span) > start + 1
                report.count("mention stripped of a possessive mark", marked)
                place = (span.start + start, span.end - marked)
                entities.append((*place, span.label_))
                bare.setdefault(place, labels[span.start, span.end])
            yield set_gold(doc, entities, bare)

    return read_bare


def bare_start(words: Sequence[str]) -> Optional[int]:
    """Find where a phrase begins without its determiners and possessives. One stays in
    front of "of", as in "all of Europe".

    words (Sequence[str]): The words of the phrase in lower case.
    RETURNS (Optional[int]): The number of its first word, or None if nothing remains or
        it is a pronoun.
    """
    if " ".join(words) in PRONOUNS | PRONOUN_PAIRS:
        return None
    start = 0
    while start < len(words) and words[start] in LEADING:
        if words[start + 1 : start + 2] == ["of"]:
            break
        start += 1
    return None if " ".join(words[start:]) in PRONOUNS | {""} else start
