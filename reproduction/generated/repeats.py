"""Whether a pipeline finds the same mentions where a text repeats itself."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_tommer.keys import MENTIONS

# Shorter sentences, such as "1.", have little to find.
TOKENS = 5
Found = frozenset[tuple[int, int, str]]


def agreement(docs: Iterable[Doc], sentences: Language) -> dict[str, Any]:
    """Compare the mentions of sentences that stand in a text twice or more.

    docs (Iterable[Doc]): Docs with mentions.
    sentences (Language): A pipeline that sets sentence starts.
    RETURNS (dict[str, Any]): How many "texts" have such sentences, how many of these there
        are ("sentences", each text's once) and "pairs" of them; the mentions that both of
        a pair have, over the mean of what the two have, in "f"; and the share of pairs with
        the very same mentions, "same".
    """
    texts = different = pairs = same = both = either = 0
    for doc in docs:
        groups = [found for found in repeated(doc, sentences) if len(found) > 1]
        texts += bool(groups)
        different += len(groups)
        for found in groups:
            for first, second in combinations(found, 2):
                pairs += 1
                same += first == second
                both += len(first & second)
                either += len(first) + len(second)
    return {
        "texts": texts,
        "sentences": different,
        "pairs": pairs,
        "f": 2 * both / max(either, 1),
        "same": same / max(pairs, 1),
    }


def repeated(doc: Doc, sentences: Language) -> Iterable[list[Found]]:
    """Collect what was found in each sentence or line of a text.

    sentences (Language): A pipeline that sets sentence starts.
    RETURNS (Iterable[list[Found]]): For each different sentence its occurrences: start, end
        (exclusive), by characters from the start of the sentence, and kind of each mention.
    """
    mentions: list[Span] = list(doc.spans[MENTIONS])
    groups: dict[str, list[Found]] = defaultdict(list)
    for start, text in lines_of(doc.text, sentences):
        end = start + len(text)
        groups[text].append(
            frozenset(
                (one.start_char - start, one.end_char - start, one.label_)
                for one in mentions
                if start <= one.start_char and one.end_char <= end
            )
        )
    return groups.values()


def lines_of(text: str, sentences: Language) -> Iterable[tuple[int, str]]:
    """Cut a text into sentences that end at line breaks, too.

    sentences (Language): A pipeline that sets sentence starts.
    YIELDS (tuple[int, str]): The first character of each, and its text, if it has at least
        TOKENS tokens.
    """
    for sentence in sentences(text).sents:
        start = sentence.start_char
        for line in sentence.text.splitlines(keepends=True):
            first = start + len(line) - len(line.lstrip())
            start += len(line)
            if len(sentences.make_doc(line.strip())) >= TOKENS:
                yield first, line.strip()
