"""Read Re-DocRED: documents as JSON, with the mentions of each entity by sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .gold import gold_doc


def read_redocred(path: Path, vocab: Vocab) -> Iterator[Doc]:
    """Read a file of Re-DocRED.

    path (Path): The file.
    vocab (Vocab): Vocabulary of the Docs.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    for document in json.loads(path.read_text(encoding="utf-8")):
        entities: list[list[tuple[int, int, str]]] = [[] for _ in document["sents"]]
        for entity in document["vertexSet"]:
            for mention in entity:
                start, end = mention["pos"]
                entities[mention["sent_id"]].append((start, end, mention["type"]))
        for words, found in zip(document["sents"], entities):
            yield gold_doc(vocab, words, found)
