"""Split a growing text into tokens, and hand out those that nothing behind them changes."""

from spacy.language import Language
from spacy.tokenizer import Tokenizer

# A token, and whether a space follows it.
Word = tuple[str, bool]


class Tokens:
    """Tokenize a text that arrives in pieces. spaCy's tokenizer splits at white space
    first, so that a word is complete when white space follows it, and white space when a
    word does.

    nlp (Language): The pipeline with the tokenizer. ValueError is raised for a tokenizer of
        another class than spaCy's own, or with special cases that contain white space.
    separators (frozenset[str]): The white space that ends a word for the language model,
        too.
    """

    def __init__(self, nlp: Language, separators: frozenset[str]) -> None:
        check_tokenizer(nlp)
        self.nlp = nlp
        self.separators = separators
        self.text = ""
        self.places: list[int] = []

    def push(self, text: str, last: bool = False) -> list[Word]:
        """Add to the text.

        text (str): What follows.
        last (bool): Whether the text ends here.
        RETURNS (list[Word]): The tokens that have become complete.
        """
        known = len(self.text)
        self.text += text
        self.find_places(known)
        end = self.places[-1] if self.places else 0
        # No text of that length is read as one word: `nlp(text)` would refuse it.
        if last or len(self.text) - end > self.nlp.max_length:
            end = len(self.text)
        complete, self.text = self.text[:end], self.text[end:]
        self.places = [place - end for place in self.places if place > end]
        return [
            (token.text, bool(token.whitespace_)) for token in self.nlp.tokenizer(complete)
        ]

    def find_places(self, known: int) -> None:
        """Find the places where the text can be split.

        known (int): How many characters were seen before.
        """
        for i in range(max(known, 1), len(self.text)):
            before, char = self.text[i - 1], self.text[i]
            if char == " " and not before.isspace():
                self.places.append(i + 1)
            elif before.isspace() and not char.isspace() and self.is_separated(i):
                self.places.append(i)

    def is_separated(self, place: int) -> bool:
        """Tell whether the white space before a place ends a word for both tokenizers."""
        blank = self.text[len(self.text[:place].rstrip()) : place]
        return not self.separators.isdisjoint(blank)


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
