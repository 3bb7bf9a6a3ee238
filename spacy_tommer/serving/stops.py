"""Hold back text that may become a stop string."""

from collections.abc import Sequence
from typing import NamedTuple


class Released(NamedTuple):
    """Hold what stands before any stop string.

    ids (list[int]): Wordpieces.
    text (str): Their text.
    rest (str): Text of the wordpiece in which a stop string begins.
    found (bool): Whether there is a stop string.
    """

    ids: list[int]
    text: str
    rest: str = ""
    found: bool = False


class StopStrings:
    """Look for strings at which a text ends.

    strings (Sequence[str]): The strings, which are not empty.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = strings
        self.held: list[tuple[int, str]] = []

    def push(self, id_: int, piece: str) -> Released:
        """Add to the text.

        id_ (int): A wordpiece.
        piece (str): Its text; none inside a character.
        RETURNS (Released): What no stop string can begin in any more.
        """
        self.held.append((id_, piece))
        text = "".join(piece for _, piece in self.held)
        places = [text.find(string) for string in self.strings]
        found = [place for place in places if place >= 0]
        if found:
            return self.release(min(found), True)
        return self.release(len(text) - self.count_begun(text), False)

    def count_begun(self, text: str) -> int:
        """Count the characters at the end of a text with which a stop string may begin."""
        return max(
            (
                length
                for string in self.strings
                for length in range(1, len(string))
                if text.endswith(string[:length])
            ),
            default=0,
        )

    def release(self, end: int, found: bool) -> Released:
        """Release the wordpieces that end at a character of what is held, or before."""
        ids, text = [], ""
        while self.held and len(text) + len(self.held[0][1]) <= end:
            id_, piece = self.held.pop(0)
            ids.append(id_)
            text += piece
        rest = self.held[0][1][: end - len(text)] if found and self.held else ""
        return Released(ids, text, rest, found)

    def close(self) -> Released:
        """Release all that is held."""
        held, self.held = self.held, []
        return Released([id_ for id_, _ in held], "".join(piece for _, piece in held))
