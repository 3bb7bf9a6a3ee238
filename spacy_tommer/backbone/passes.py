"""Feed each window twice, so that in the second copy every unit of a causal model has seen
the whole window (Just Pass Twice, arXiv 2604.05158; echo embeddings, arXiv 2402.15449).

Axis letters: R rows, each a window or a part of one.
"""

from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from .windows import Ints, Pieces


@dataclass
class Frame:
    """Hold the special tokens around the text of a row.

    prefix (int): How many special tokens precede the text.
    suffix (int): How many special tokens follow the text.
    separator (list[int]): Ids between the two copies of the text.
    strings (list[str]): The strings of these ids.
    """

    prefix: int
    suffix: int
    separator: list[int]
    strings: list[str]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Frame":
        """Find out how a tokenizer frames texts. The copies are separated by the special
        tokens that it puts between the texts of a pair, except those that start any text,
        or by a line break if there are none.

        tokenizer (Tokenizer): The tokenizer, without truncation.
        """
        once, pair = tokenizer.encode("a"), tokenizer.encode("a", "a")
        prefix = once.special_tokens_mask.index(0)
        suffix = once.special_tokens_mask[::-1].index(0)
        inside = slice(prefix, len(pair) - suffix)
        separator = [
            id_
            for id_, special in zip(pair.ids[inside], pair.special_tokens_mask[inside])
            if special and id_ not in once.ids[:prefix]
        ] or tokenizer.encode("\n", add_special_tokens=False).ids
        return cls(prefix, suffix, separator, list(map(tokenizer.id_to_token, separator)))

    def longest_text(self, most: int, passes: int) -> int:
        """Compute the longest text that fits in a row.

        most (int): Most wordpieces in a row.
        passes (int): How often the row repeats the text.
        RETURNS (int): Most wordpieces in the text.
        """
        separators = (passes - 1) * len(self.separator)
        return (most - self.prefix - self.suffix - separators) // passes


def feed_twice(pieces: Pieces, frame: Frame) -> Pieces:
    """Repeat the text of each row, and keep the wordpieces of its second copy.

    pieces (Pieces): Rows with their text once.
    frame (Frame): The special tokens around the texts.
    RETURNS (Pieces): Rows with their text twice.
    """
    starts, ends = pieces.row_bounds[:-1], pieces.row_bounds[1:]
    separator = len(pieces.ids) + np.arange(len(frame.separator))
    source: Ints = np.concatenate(
        [
            part
            for start, end in zip(starts.tolist(), ends.tolist())
            for part in (
                np.arange(start, end - frame.suffix),
                separator,
                np.arange(start + frame.prefix, end),
            )
        ]
    )
    shift = ends - starts - frame.prefix - frame.suffix + len(frame.separator)  # (R,)
    row_bounds = np.concatenate(([0], np.cumsum(ends - starts + shift)))
    row_of_unit = np.searchsorted(ends, pieces.units, side="right")
    moved = (row_bounds[:-1] - starts + shift)[row_of_unit]
    strings = [*pieces.strings, *frame.strings]
    return replace(
        pieces,
        ids=np.concatenate((pieces.ids, np.array(frame.separator, dtype="int64")))[source],
        strings=[strings[i] for i in source.tolist()],
        row_bounds=row_bounds,
        column=pieces.column + shift[pieces.row],
        units=pieces.units + moved,
    )
