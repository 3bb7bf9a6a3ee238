"""The white space at which the tokenizer of a language model splits a text, so that what
follows does not change the wordpieces before it."""

from tokenizers import Tokenizer

BLANKS = frozenset(char for char in map(chr, range(0x3001)) if char.isspace())
# Neighbours of each kind that tokenizers join: letters, digits and other signs.
NEIGHBOURS = (("a", "b"), ("1", "2"), ("!", "?"))


def find_separators(tokenizer: Tokenizer) -> frozenset[str]:
    """Find the white space at which a tokenizer splits. The space always is one: a
    vocabulary has no wordpieces that continue behind it.

    tokenizer (Tokenizer): The tokenizer.
    RETURNS (frozenset[str]): The characters.
    """
    return frozenset(
        blank for blank in BLANKS if blank == " " or is_separator(tokenizer, blank)
    )


def is_separator(tokenizer: Tokenizer, blank: str) -> bool:
    """Check whether a tokenizer separates the neighbours of a character."""
    if tokenizer.pre_tokenizer is None:
        return False
    for left, right in NEIGHBOURS:
        text = left + blank + right
        if tokenizer.normalizer is not None:
            text = tokenizer.normalizer.normalize_str(text)
        parts = tokenizer.pre_tokenizer.pre_tokenize_str(text)
        if any(left in part and right in part for part, _ in parts):
            return False
    return True
