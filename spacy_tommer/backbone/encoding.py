"""Tokenize texts into wordpieces, long ones in overlapping parts."""

from typing import Optional

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

Ints = NDArray[np.int64]


def limit_pieces(tokenizer: Tokenizer, most: Optional[int]) -> int:
    """Configure a tokenizer to split long texts into overlapping parts.

    tokenizer (Tokenizer): The tokenizer, with its special tokens.
    most (Optional[int]): Most wordpieces in a part, without special tokens; None for any
        number.
    RETURNS (int): How many wordpieces of the previous part a part repeats.
    """
    if most is None:
        return 0
    overlap = most // 4
    longest = most + tokenizer.num_special_tokens_to_add(False)
    tokenizer.enable_truncation(longest, stride=overlap)
    return overlap


def encode(
    tokenizer: Tokenizer, texts: list[str], overlap: int
) -> tuple[list[Encoding], Ints, Ints]:
    """Tokenize texts, long ones in overlapping parts.

    tokenizer (Tokenizer): The tokenizer, configured by `limit_pieces`.
    texts (list[str]): The texts.
    overlap (int): How many wordpieces of the previous part a part repeats.
    RETURNS (tuple): The parts; the index of the text of each part (R,); and the column of
        its first wordpiece that is in no earlier part (R,).
    """
    parts: list[Encoding] = []
    text_of, repeated = [], []
    for i, encoding in enumerate(tokenizer.encode_batch(texts)):
        parts.append(encoding)
        text_of.append(i)
        repeated.append(0)
        for part in encoding.overflowing:
            parts.append(part)
            text_of.append(i)
            repeated.append(part.special_tokens_mask.index(0) + overlap)
    return parts, np.array(text_of), np.array(repeated)
