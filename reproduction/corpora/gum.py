"""Read GUM: CoNLL-U with the brackets of entities in the last column, as in
`Entity=(1-person-new(2-place-new)` and `Entity=1)`. A sentence with a broken line or
bracket is left out as a whole."""

import re
from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .bio import sentences
from .gold import Entity, gold_doc
from .report import Broken, Report

FORM, MISC = 1, 9
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
                    if number <= joined[0]:
                        spaced = number == joined[0] and joined[1]
                    spaces.append(spaced)
                    brackets = features.get("Entity", "")
                    entities += close_brackets(brackets, len(words) - 1, opened)
            if opened:
                raise Broken("sentence with an entity that does not end")
            if words:
                spaces[-1] = False
                yield gold_doc(nlp.vocab, words, entities, spaces)


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
