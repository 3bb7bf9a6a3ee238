"""Split a growing text into tokens, and hand out those that nothing behind them changes."""

from typing import Optional

from spacy.language import Language
from spacy.tokenizer import Tokenizer

from ..tokenizer import BETWEEN_LETTERS, splits_letters

# A token, and whether a space follows it.
Word = tuple[str, bool]


class Tokens:
    """Tokenize a text that arrives in pieces. spaCy's tokenizer splits at white space
    first, so that a word is complete when white space follows it, and white space when a
    word does. Text in scripts without spaces is complete up to the last two letters, if the
    tokenizer splits between all of them.

    nlp (Language): The pipeline with the tokenizer. ValueError is raised for a tokenizer of
        another class than spaCy's own, or with special cases that contain white space.
    separators (frozenset[str]): The white space that ends a word for the language model,
        too.
    letters (bool): Whether the text may end between two letters for the language model.
    """

    def __init__(
        self, nlp: Language, separators: frozenset[str], letters: bool = False
    ) -> None:
        check_tokenizer(nlp)
        self.nlp = nlp
        self.separators = separators
        self.letters = letters and splits_letters(nlp.tokenizer)
        # What is held back, in parts: to join it at each push would take quadratic time.
        self.held: list[str] = []
        self.length = 0  # of it, in characters
        self.before = ""  # its last character
        self.blanks: set[str] = set()  # the characters of the white space at its end

    def push(self, text: str, last: bool = False) -> list[Word]:
        """Add to the text.

        text (str): What follows.
        last (bool): Whether the text ends here.
        RETURNS (list[Word]): The tokens that have become complete.
        """
        place = self.find_place(text)
        rest = len(text) - place if place is not None else self.length + len(text)
        # No text of that length is read as one word: `nlp(text)` would refuse it.
        if last or rest > self.nlp.max_length:
            place = len(text)
        if place is None:
            self.held.append(text)
            self.length += len(text)
            return []
        complete = "".join([*self.held, text[:place]])
        self.hold(text[place:])
        return [
            (token.text, bool(token.whitespace_)) for token in self.nlp.tokenizer(complete)
        ]

    def hold(self, text: str) -> None:
        """Hold back what stands behind the complete tokens."""
        self.held, self.length = [text], len(text)
        self.before = text[-1:]
        self.blanks = set(text[len(text.rstrip()) :])

    def find_place(self, text: str) -> Optional[int]:
        """Find the last place where the text can be split: behind a space that ends a word,
        behind white space that ends a word for both tokenizers, or between two letters.

        text (str): What follows.
        RETURNS (Optional[int]): The place, counted from its start.
        """
        place = None
        between = self.between_letters(text)
        for i, char in enumerate(text):
            if char.isspace():
                if char == " " and self.before and not self.before.isspace():
                    place = i + 1
                self.blanks.add(char)
            elif self.blanks:
                if not self.separators.isdisjoint(self.blanks):
                    place = i
                self.blanks.clear()
            self.before = char
        return place if between is None else max(place or 0, between)

    def between_letters(self, text: str) -> Optional[int]:
        """Find the last place between two letters of a script without spaces."""
        place = None
        if self.letters and not text.isascii():
            for match in BETWEEN_LETTERS.finditer(self.before + text):
                place = match.start() - len(self.before)
        return place


def check_tokenizer(nlp: Language) -> None:
    """Raise ValueError for a tokenizer that does not split at white space first."""
    kind = type(nlp.tokenizer)
    if kind is not Tokenizer:
        raise ValueError(
            f"A stream needs spaCy's own tokenizer, which splits at white space first, and "
            f"the pipeline has a {kind.__module__}.{kind.__name__}. Use a language whose "
            "words are separated by spaces."
        )
    joined = next((rule for rule in nlp.tokenizer.rules if len(rule.split()) > 1), None)
    if joined is not None:
        raise ValueError(
            f"A stream needs a tokenizer that joins no words, and that of {nlp.lang!r} "
            f"makes one token of {joined!r}. Read whole texts with nlp(text)."
        )
