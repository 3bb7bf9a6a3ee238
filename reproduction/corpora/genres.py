"""Sort passages of OpenMentions by broad groups of their genres."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import spacy
from spacy.tokens import Doc

from .records import read_records
from .report import Report
from .sets import find_files, read_set

# Beside the corpus: the genres of each group.
GROUPS = "genres.json"


def read_part(part: str) -> Iterator[Doc]:
    """Read the passages of a part of OpenMentions.

    part (str): "validation" or "test".
    YIELDS (Doc): A passage with its gold mentions.
    """
    return read_set(Path(), f"openmentions_{part}", spacy.blank("en"))


def by_group(docs: Iterable[Doc]) -> dict[str, list[Doc]]:
    """Sort passages of OpenMentions by the group of their genre, which their text tells.

    docs (Iterable[Doc]): The passages.
    RETURNS (dict[str, list[Doc]]): The passages of each group that has any. ValueError is
        raised for a text that is no passage, and for a genre without a group.
    """
    (corpus,), _ = find_files(Path(), "openmentions")
    groups = json.loads(corpus.with_name(GROUPS).read_text("utf-8"))
    group_of = {genre: name for name, genres in groups.items() for genre in genres}
    genre_of = {r["text"]: r["genre"] for _, r in read_records(corpus, Report())}
    found: dict[str, list[Doc]] = {name: [] for name in groups}
    for doc in docs:
        if doc.text not in genre_of:
            raise ValueError(
                f"The text {doc.text[:40]!r} is no passage of OpenMentions. Name the "
                "folder of it that `python -m reproduction convert training` wrote."
            )
        genre = genre_of[doc.text]
        if genre not in group_of:
            raise ValueError(f"Write the genre {genre!r} in a group of {GROUPS}.")
        found[group_of[genre]].append(doc)
    return {name: passages for name, passages in found.items() if passages}
