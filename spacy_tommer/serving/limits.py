"""How much one client may ask for."""

import re
from dataclasses import dataclass, fields

SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Limits:
    """Hold the limits of a server.

    sessions (int): Requests that are read or answered at once.
    waiting (int): Chat completions that wait for the model.
    body (int): Bytes of a body, except that of a stream.
    texts (int): Texts in one request.
    characters (int): Characters of a text, and of all messages of a chat together.
    word (int): Characters without white space in between, also in a stream.
    tokens (int): Wordpieces that the model writes.
    idle (float): Seconds in which a client sends nothing, or reads nothing.
    seconds (float): Seconds of a session.
    """

    sessions: int = 64
    waiting: int = 8
    body: int = 1_000_000
    texts: int = 64
    characters: int = 10_000
    word: int = 1_000
    tokens: int = 512
    idle: float = 60.0
    seconds: float = 900.0

    def __post_init__(self) -> None:
        """Raise ValueError for a limit that is not above 0."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"The limit `{field.name}` is above 0, and not {value!r}.")


def count_unbroken(text: str, before: int = 0) -> tuple[int, int]:
    """Count the characters of the longest word, and of the last one.

    text (str): A text, or a piece of one.
    before (int): Characters of the word that the piece continues.
    RETURNS (tuple[int, int]): The numbers. A word is what has no white space in it.
    """
    lengths = [len(word) for word in SPACE.split(text)]
    lengths[0] += before
    return max(lengths), lengths[-1]
