"""Split a corpus by chance: validation texts, or a share of a large set."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Optional

from spacy.tokens import Doc

from .sides import Sides

# Neighbours are mostly of one document, and so stay together: so many sentences, or
# passages of some sentences.
RUN, PASSAGE_RUN = 20, 4


def in_share(number: int, name: str, seed: int, share: float, run: int = RUN) -> bool:
    """Find out whether a text belongs to a share of a set.

    number (int): The number of the text in its set.
    name (str): Name of the set, and of the share if there are several.
    seed (int): Seed of the choice.
    share (float): The share, between 0 and 1.
    run (int): How many neighbours go together.
    RETURNS (bool): Whether it does.
    """
    key = f"{seed} {name} {number // run}".encode()
    value = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return value < share * 2**64


def by_chance(
    docs: Iterable[Doc],
    name: str,
    seed: int,
    dev_share: float,
    share: float = 1.0,
    sides: Optional[Sides] = None,
    run: int = RUN,
) -> Iterator[tuple[Doc, bool]]:
    """Split a share of some Docs into texts to train on and texts for validation.

    docs (Iterable[Doc]): The Docs of a set.
    name (str): Name of the set.
    seed (int): Seed of the choice.
    dev_share (float): Share of the texts for validation.
    share (float): Share of the texts that are kept.
    sides (Optional[Sides]): Passages of OpenMentions. Texts that stand in those that are
        trained on are, too.
    run (int): How many neighbours go together.
    YIELDS (tuple[Doc, bool]): A Doc that is kept, and whether it is for validation.
    """
    for number, doc in enumerate(docs):
        if in_share(number, f"{name} kept", seed, share, run):
            is_dev = in_share(number, name, seed, dev_share, run)
            yield doc, is_dev and not (sides and sides.find(doc.text))
