"""Read GUM: CoNLL-U with the brackets of entities in the last column, as in
`Entity=(1-person-new(2-place-new)` and `Entity=1)`. A sentence with a broken line or
bracket is left out as a whole."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from spacy_tommer.keys import NAME

from .bio import sentences
from .gold import Entity, gold_doc, set_gold
from .report import Broken, Report

FORM, TAG, HEAD, MISC = 1, 3, 6, 9
# Those whose text may be used for any purpose: CC BY and CC BY-SA.
FREE_GENRES = frozenset({"academic", "bio", "court", "interview", "news", "voyage"})
BRACKET = re.compile(r"\([^()]+\)?|[^()]+\)")


def read_gum(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file of GUM, GUM_{genre}_{name}.conllu.

    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken sentences are counted.
    YIELDS (Doc): A sentence with its gold mentions and its own spaces.
    """
    genre = path.stem.split("_")[1]
    if genre not in FREE_GENRES:
        report.count(f"document of the genre {genre} left out: its text is not free")
        return
    for rows in sentences(path, report):
        with report.skipping(path, rows[0][0]):
            words: list[str] = []
            spaces: list[bool] = []
            heads: list[Optional[int]] = []
            proper: list[bool] = []
            entities: list[Entity] = []
            opened: list[tuple[str, int, str]] = []
            joined = (0, False)  # last word of a multiword token; does a space follow
            for line, row in rows:
                if row[0].startswith("#"):
                    continue
                if len(row) <= MISC:
                    raise Broken("sentence with a line of too few columns", line)
                features = dict(part.partition("=")[::2] for part in row[MISC].split("|"))
                spaced = features.get("SpaceAfter") != "No"
                if "-" in row[0]:
                    joined = int(row[0].partition("-")[2]), spaced
                elif "." not in row[0]:  # no empty node, which is not in the text
                    words.append(row[FORM])
                    number = int(row[0])
                    head = row[HEAD]
                    heads.append(int(head) - 1 if head.isdecimal() else None)
                    proper.append(row[TAG] == "PROPN")
                    if number <= joined[0]:
                        spaced = number == joined[0] and joined[1]
                    spaces.append(spaced)
                    brackets = features.get("Entity", "")
                    entities += close_brackets(brackets, len(words) - 1, opened)
            if opened:
                raise Broken("sentence with an entity that does not end")
            if words:
                spaces[-1] = False
                doc = gold_doc(nlp.vocab, words, [], spaces)
                yield set_gold(doc, entities, name_labels(entities, heads, proper))


def close_brackets(
    brackets: str, token: int, opened: list[tuple[str, int, str]]
) -> Iterator[Entity]:
    """Read the brackets of a token.

    brackets (str): The value of the feature Entity.
    opened (list[tuple[str, int, str]]): Name, first token and type of the entities that
        are open; changed.
    YIELDS (Entity): An entity that ends with this token.
    """
    for bracket in BRACKET.findall(brackets):
        name, _, features = bracket.strip("()").partition("-")
        if bracket.startswith("("):
            opened.append((name, token, features.partition("-")[0]))
        if bracket.endswith(")"):
            found = [i for i, (other, _, _) in enumerate(opened) if other == name]
            if not found:
                raise Broken("sentence with an entity that does not begin")
            _, start, label = opened.pop(found[-1])
            yield start, token + 1, label


def name_labels(
    entities: Sequence[Entity], heads: Sequence[Optional[int]], proper: Sequence[bool]
) -> dict[tuple[int, int], str]:
    """Label the mentions whose head is a proper noun as NAME.

    entities (Sequence[Entity]): The entities of a sentence.
    heads (Sequence[Optional[int]]): The head of each token, counted from 0, -1 for the root
        of the sentence; None if it is not known.
    proper (Sequence[bool]): Whether each token is a proper noun.
    RETURNS (dict[tuple[int, int], str]): The labels by start and end (exclusive).
    """
    labels = {}
    for start, end, _ in entities:
        inside = (None, *range(start, end))
        roots = [i for i in range(start, end) if heads[i] not in inside]
        if roots and proper[roots[0]]:
            labels[start, end] = NAME
    return labels
