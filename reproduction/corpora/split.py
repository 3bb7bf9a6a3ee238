"""Split a corpus by chance: validation texts, or a share of a large set."""

import hashlib

# Neighbours are mostly of one document, and so stay together.
RUN = 20


def in_share(number: int, name: str, seed: int, share: float) -> bool:
    """Find out whether a text belongs to a share of a set. Runs of 20 go together.

    number (int): The number of the text in its set.
    name (str): Name of the set, and of the share if there are several.
    seed (int): Seed of the choice.
    share (float): The share, between 0 and 1.
    RETURNS (bool): Whether it does.
    """
    key = f"{seed} {name} {number // RUN}".encode()
    value = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return value < share * 2**64
