"""How long texts and mentions are in wordpieces."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.util import minibatch
from tokenizers import Tokenizer

Lengths = Counter[int]


def count_lengths(docs: Iterable[Doc], tokenizer: Tokenizer) -> tuple[Lengths, Lengths]:
    """Count how many texts and mentions have each length.

    docs (Iterable[Doc]): Docs with gold mentions.
    tokenizer (Tokenizer): The tokenizer, which neither truncates nor pads.
    RETURNS (tuple[Lengths, Lengths]): How many texts, and how many mentions, have how many
        wordpieces. A wordpiece that is partly in a mention counts as one of it.
    """
    texts: Lengths = Counter()
    mentions: Lengths = Counter()
    for batch in minibatch(docs, 256):
        encodings = tokenizer.encode_batch(
            [doc.text for doc in batch], add_special_tokens=False
        )
        for doc, encoding in zip(batch, encodings):
            texts[len(encoding)] += 1
            # (P, 2): P wordpieces, start and end (exclusive) in characters.
            pieces = np.array(encoding.offsets, dtype=int).reshape(-1, 2)
            pieces = pieces[pieces[:, 0] < pieces[:, 1]]
            for span in doc.spans["mentions"]:
                first = np.searchsorted(pieces[:, 1], span.start_char, side="right")
                end = np.searchsorted(pieces[:, 0], span.end_char, side="left")
                mentions[int(end - first)] += 1
    return texts, mentions


def describe_lengths(lengths: Lengths, limit: int) -> dict[str, Any]:
    """Describe a distribution of lengths.

    lengths (Lengths): How often each length occurs.
    limit (int): The length up to which the share is counted.
    RETURNS (dict[str, Any]): Their number, mean, median, maximum, the share of those up
        to the limit, and how often each occurs.
    """
    total = lengths.total()
    if not total:
        return {"count": 0}
    order = sorted(lengths)
    reached = np.cumsum([lengths[length] for length in order])
    return {
        "count": total,
        "mean": sum(length * number for length, number in lengths.items()) / total,
        "median": order[int(np.searchsorted(reached, total / 2))],
        "max": order[-1],
        f"share_up_to_{limit}": sum(n for length, n in lengths.items() if length <= limit)
        / total,
        "counts": {length: lengths[length] for length in order},
    }
