"""Join the halves of characters that a chunk boundary separates."""

from codecs import getincrementaldecoder

UTF_16 = "utf-16-le"


class Joiner:
    """Join surrogate halves, such as those of JSON's escapes, across chunks. A half without
    the other one becomes U+FFFD, as it does where Python decodes with "replace".
    """

    def __init__(self) -> None:
        self.decoder = getincrementaldecoder(UTF_16)("replace")

    def join(self, chunk: str, last: bool = False) -> str:
        """Return the characters that are complete.

        chunk (str): A piece of text. If it ends with the first half of a character, that
            half is held back.
        last (bool): Whether no chunk follows, so that nothing is held back.
        """
        return self.decoder.decode(chunk.encode(UTF_16, "surrogatepass"), last)
