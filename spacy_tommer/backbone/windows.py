"""Split Docs into windows of tokens, tokenize them, and find each token's own wordpieces.

Axis letters: R rows, each a window or a part of one; K kept wordpieces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc
from spacy_transformers.data_classes import WordpieceBatch
from thinc.types import Ragged
from tokenizers import Tokenizer

from .alignment import align_pieces, last_pieces
from .batches import batch_rows, pad_rows
from .encoding import Ints, encode
from .spec import Unit

# SentencePiece puts a space before each text. Where no wordpiece begins with that space, as
# in languages without spaces, it is one of its own, and said to cover the first character.
MARK = "\u2581"


@dataclass
class Pieces:
    """Hold the wordpieces of a batch of Docs: the rows that a model reads, and the
    wordpieces in them that are kept, in text order.

    ids (Ints): Ids of all rows, concatenated.
    strings (list[str]): The strings of these wordpieces.
    row_bounds (Ints): Where each row starts in `ids`, followed by their number. (R+1,)
    row (Ints): Row of each kept wordpiece. (K,)
    column (Ints): Column of each kept wordpiece in its row. (K,)
    align (list[Ragged]): For each Doc, the kept wordpieces of each token, counted from
        the Doc's first one.
    doc_bounds (Ints): Where the kept wordpieces of each Doc start, followed by K.
    units (Ints): Positions in `ids` of the wordpieces that represent the tokens of a row.
    """

    ids: Ints
    strings: list[str]
    row_bounds: Ints
    row: Ints
    column: Ints
    align: list[Ragged]
    doc_bounds: Ints
    units: Ints

    def batches(self, max_pieces: int) -> Iterator[Ints]:
        """Sort the rows by length and split them into batches, as `batch_rows` does."""
        return batch_rows(np.diff(self.row_bounds), max_pieces)

    def padded(self, rows: Ints, pad: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Build the input of the model for some rows.

        rows (Ints): Indices of the rows, the longest row last.
        pad (int): Id that pads shorter rows, on the right.
        RETURNS (tuple): Ids (B, T) and attention mask (B, T); the indices of the kept
            wordpieces in these rows, and their positions in the flattened batch.
        """
        lengths = np.diff(self.row_bounds)[rows]
        ids, mask = pad_rows(self.ids[ranges(self.row_bounds[rows], lengths)], lengths, pad)
        first = np.searchsorted(self.row, rows)
        counts = np.searchsorted(self.row, rows, side="right") - first
        kept = ranges(first, counts)
        cells = np.repeat(np.arange(len(rows)) * mask.shape[1], counts) + self.column[kept]
        return ids, mask.astype("int64"), kept, cells

    def steps_back(self, kept: Ints, length: int) -> Ints:
        """Compute the distances, in wordpieces, to the tokens up to one in its row.

        kept (Ints): Indices of kept wordpieces. Only those that represent a token matter;
            one that represents several tokens counts from the last of them. (M,)
        length (int): How many tokens, its own included, L.
        RETURNS (Ints): How many wordpieces before it each token is, nearest first; -1
            where the row has no more tokens. (M, L)
        """
        row_start = self.row_bounds[self.row[kept]]
        position = (row_start + self.column[kept])[:, None]
        token = np.searchsorted(self.units, position, side="right") - 1 - np.arange(length)
        unit = self.units[np.maximum(token, 0)]
        return np.where((token >= 0) & (unit >= row_start[:, None]), position - unit, -1)

    def by_doc(self) -> Iterator[tuple[slice, WordpieceBatch, Ragged]]:
        """Split the kept wordpieces by Doc.

        YIELDS (tuple): Their slice of all kept wordpieces, their ids and strings, and their
            alignment with tokens.
        """
        position = self.row_bounds[self.row] + self.column
        ids = self.ids[position]
        strings = [self.strings[i] for i in position.tolist()]
        for start, end, align in zip(self.doc_bounds, self.doc_bounds[1:], self.align):
            batch = WordpieceBatch(
                strings=[strings[start:end]],
                input_ids=ids[None, start:end],
                attention_mask=np.ones((1, end - start), dtype="f"),
                lengths=[int(end - start)],
                token_type_ids=None,
            )
            yield slice(start, end), batch, align


def window_starts(length: int, window: int, stride: int) -> range:
    """Place windows on a Doc so that every token is in one.

    length (int): Tokens in the Doc.
    window (int): Tokens in a window.
    stride (int): Tokens from the start of one window to the next.
    RETURNS (range): Start of each window.
    """
    return range(0, max(length - window + stride, 1), stride)


def tokenize_windows(
    tokenizer: Tokenizer,
    docs: Sequence[Doc],
    window: int,
    stride: int,
    overlap: int,
    unit: Unit = "piece",
) -> Pieces:
    """Tokenize Docs by windows. Nothing is truncated: a window with too many wordpieces
    becomes several overlapping rows.

    A wordpiece belongs to the token that contains its last character, and is kept from
    the first window that holds that token. A token without a wordpiece of its own shares
    the one that covers it. A space that the tokenizer put before a text belongs to none.

    tokenizer (Tokenizer): The tokenizer, configured by `limit_pieces`.
    docs (Sequence[Doc]): Docs that are not empty.
    window (int): Tokens in a window.
    stride (int): Tokens from the start of one window to the next.
    overlap (int): How many wordpieces of the previous row a row repeats, if a window has
        too many for one row.
    unit (str): "piece" to keep all these wordpieces; "token" for the last of each token.
    """
    texts: list[str] = []
    text_offset: list[int] = []  # of each window, in the texts of all Docs
    first_new: list[int] = []  # first token of each window that is in no earlier window
    token_offset, char_offset = [0], 0
    token_start, token_end = [], []
    for doc in docs:
        text = doc.text
        starts, sizes = doc.to_array([IDX, LENGTH]).astype("int64").T
        ends = starts + sizes
        for first in window_starts(len(doc), window, stride):
            last = min(first + window, len(doc)) - 1
            texts.append(text[starts[first] : ends[last]])
            text_offset.append(char_offset + int(starts[first]))
            seen = first + window - stride if first else 0
            first_new.append(token_offset[-1] + seen)
        token_start.append(starts + char_offset)
        token_end.append(ends + char_offset)
        token_offset.append(token_offset[-1] + len(doc))
        char_offset += len(text) + 1
    token_starts, token_ends = np.concatenate(token_start), np.concatenate(token_end)

    parts, row_window, repeated = encode(tokenizer, texts, overlap)
    sizes = np.array([len(part) for part in parts])
    row_bounds = np.concatenate(([0], np.cumsum(sizes)))
    row = np.repeat(np.arange(len(parts)), sizes)
    column = ranges(np.zeros_like(sizes), sizes)
    offsets = np.fromiter(
        chain.from_iterable(chain.from_iterable(part.offsets for part in parts)),
        dtype="int64",
    ).reshape(-1, 2)
    shift = np.array(text_offset)[row_window][row]
    start, end = offsets[:, 0] + shift, offsets[:, 1] + shift
    owner = np.searchsorted(token_starts, end - 1, side="right") - 1
    ids = np.fromiter(chain.from_iterable(part.ids for part in parts), dtype="int64")
    mark = tokenizer.token_to_id(MARK)
    owned = np.flatnonzero(
        (start < end)  # special tokens have no width
        & (start < token_ends[owner])  # spaces between tokens have no owner
        & ~((ids == (-1 if mark is None else mark)) & starts_again(start, end))
    )
    units = unit_positions(owned, owner[owned], row[owned], start[owned], token_starts)
    kept = owned[
        (owner >= np.array(first_new)[row_window][row])[owned]
        & (column >= repeated[row])[owned]
    ]
    start, end, owner = start[kept], end[kept], owner[kept]

    indices, counts = align_pieces(start, end, owner, token_starts, token_ends)
    if unit == "token":
        final, counts = last_pieces(indices, counts)
        used, indices = np.unique(final, return_inverse=True)
        kept, owner = kept[used], owner[used]

    doc_bounds = np.searchsorted(owner, token_offset)
    align_bounds = np.concatenate(([0], np.cumsum(counts)))[token_offset]
    return Pieces(
        ids=ids,
        strings=list(chain.from_iterable(part.tokens for part in parts)),
        row_bounds=row_bounds,
        row=row[kept],
        column=column[kept],
        align=[
            Ragged(
                (indices[part] - doc_bounds[i]).astype("i"),
                counts[token_offset[i] : token_offset[i + 1]].astype("i"),
            )
            for i, part in enumerate(map(slice, align_bounds[:-1], align_bounds[1:]))
        ],
        doc_bounds=doc_bounds,
        units=units,
    )


def starts_again(start: Ints, end: Ints) -> NDArray[np.bool_]:
    """Tell of each wordpiece whether the next one, unless that is a special token, starts
    with the same character.

    start (Ints): The first character of each wordpiece.
    end (Ints): The end (exclusive) of each wordpiece.
    """
    again = (start[:-1] == start[1:]) & (start[1:] < end[1:])
    return np.append(again, False)


def unit_positions(
    pieces: Ints, owners: Ints, rows: Ints, starts: Ints, token_starts: Ints
) -> Ints:
    """Find the wordpieces that represent tokens in each row: a token's own last one, or,
    for a token without its own, the one that covers it.

    pieces (Ints): The wordpieces that belong to tokens, row by row. (P,)
    owners (Ints): The token of each wordpiece. (P,)
    rows (Ints): The row of each wordpiece. (P,)
    starts (Ints): The first character of each wordpiece. (P,)
    token_starts (Ints): The first character of each token.
    RETURNS (Ints): The representing wordpieces, once for each token.
    """
    changes = (np.diff(owners) != 0) | (np.diff(rows) != 0)
    is_last = np.append(changes, True)[: len(pieces)]
    before = np.where(np.diff(rows, prepend=-1), -1, np.roll(owners, 1))
    first_covered = np.maximum(before + 1, np.searchsorted(token_starts, starts))
    bare = np.maximum(owners - first_covered, 0)
    return np.repeat(pieces, bare + is_last)


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Concatenate ranges of integers.

    starts (Ints): Start of each range.
    counts (Ints): Length of each range.
    RETURNS (Ints): The numbers of all ranges.
    """
    shift = np.repeat(starts - np.cumsum(counts) + counts, counts)
    return shift + np.arange(len(shift))
