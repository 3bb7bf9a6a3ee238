"""The tokenizer of a pipeline for texts in any language."""

import re
from collections.abc import Callable
from typing import Any, Optional

from spacy import util
from spacy.language import Language
from spacy.tokenizer import Tokenizer

# Scripts that put no space between words: Han and kana, Thai, Lao, Myanmar and Khmer.
# The punctuation of Chinese and Japanese goes with them.
UNSPACED = (
    r"\u2e80-\u2fdf\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
    r"\u0e01-\u0e5b\u0e81-\u0edf\u1000-\u109f\u1780-\u17ff\uaa60-\uaa7f"
)
# Marks of these scripts, which stay with the character before them.
MARKS = (
    r"\u0e31\u0e33-\u0e3a\u0e45\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ece"
    r"\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074"
    r"\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3099\u309a\uff9e\uff9f"
    r"\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef\uaa7b-\uaa7d"
)
BORDER = rf"(?<=[{UNSPACED}])(?![{MARKS}])|(?=[{UNSPACED}])(?![{MARKS}])"
# Between two letters of these scripts. A rule of a tokenizer that has such letters inside,
# or at an edge, may change what stands there.
BETWEEN_LETTERS = re.compile(
    rf"(?<=[{UNSPACED}])(?<=[^\W\d]|[{MARKS}])(?=[{UNSPACED}])(?=[^\W\d])(?![{MARKS}])"
)
EDGE = re.compile(rf"\A[{UNSPACED}]|[{UNSPACED}]\Z")


def create_tokenizer() -> Callable[[Language], Tokenizer]:
    """Build spaCy's tokenizer with the rules of the pipeline's language, which also splits
    text in scripts without spaces between words (Chinese, Japanese, Thai, Lao, Burmese,
    Khmer) into characters, each with its marks: no mention is lost inside a long token.

    RETURNS (Callable[[Language], Tokenizer]): Makes the tokenizer of a pipeline.
    """

    def make_tokenizer(nlp: Language) -> Tokenizer:
        defaults = nlp.Defaults
        infixes = [*(defaults.infixes or ()), BORDER]
        return Tokenizer(
            nlp.vocab,
            rules=defaults.tokenizer_exceptions,
            prefix_search=util.compile_prefix_regex(defaults.prefixes or ()).search,
            suffix_search=util.compile_suffix_regex(defaults.suffixes or ()).search,
            infix_finditer=util.compile_infix_regex(infixes).finditer,
            token_match=defaults.token_match,
            url_match=spaced(defaults.url_match),
        )

    return make_tokenizer


def splits_letters(tokenizer: Tokenizer) -> bool:
    """Tell whether a tokenizer always splits between two letters of a script without
    spaces, so that what stands on one side does not change the tokens on the other.

    tokenizer (Tokenizer): A tokenizer of spaCy's own class.
    """
    infixes = getattr(tokenizer.infix_finditer, "__self__", None)
    return (
        BORDER in getattr(infixes, "pattern", "")
        and tokenizer.token_match is None
        # A rule of Portuguese keeps words with a hyphen whole.
        and [token.text for token in tokenizer("日本-日本")] == list("日本-日本")
        and not any(EDGE.search(r) or BETWEEN_LETTERS.search(r) for r in tokenizer.rules)
    )


def spaced(match: Optional[Callable[..., Any]]) -> Optional[Callable[..., Any]]:
    """Match only text without characters of UNSPACED: an address does not end where their
    text begins.

    match (Optional[Callable]): The method `match` of a compiled pattern.
    """
    if match is None:
        return None
    pattern = match.__self__.pattern.removeprefix("(?u)")  # type: ignore[attr-defined]
    return re.compile(rf"(?!\S*[{UNSPACED}])(?:{pattern})").match
