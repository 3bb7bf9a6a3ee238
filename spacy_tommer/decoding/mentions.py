"""Scored mentions of a batch of Docs, as arrays.

Axis letters: M mentions of all Docs; T tokens of all Docs, one Doc after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_SPACE
from spacy.tokens import Doc

from .decode import greedy_decode, logit, threshold_decode
from .units import edge_tokens

Ints = NDArray[np.intp]
Floats = NDArray[np.floating]


@dataclass
class Mentions:
    """Spans of tokens, in the order of the texts. Tokens are counted over all Docs.

    starts (Ints): First token of each mention. (M,)
    ends (Ints): Its last token. (M,)
    logits (Floats): Its logit. (M,)
    offsets (Ints): First token of each Doc, and T.
    """

    starts: Ints
    ends: Ints
    logits: Floats
    offsets: Ints

    def __getitem__(self, which: NDArray) -> "Mentions":
        """Take some of the mentions.

        which (NDArray): Their indices, in order, or a mask.
        RETURNS (Mentions): These mentions.
        """
        starts, ends, logits = self.starts[which], self.ends[which], self.logits[which]
        return Mentions(starts, ends, logits, self.offsets)

    def above(self, threshold: float) -> "Mentions":
        """Take the mentions above a threshold.

        threshold (float): Probability that a mention must exceed.
        RETURNS (Mentions): These mentions.
        """
        return self[self.logits > logit(threshold)]

    def greedy(self, free: NDArray[np.bool_]) -> Ints:
        """Pick mentions that do not overlap, by greedy decoding.

        free (NDArray[bool]): Whether a token may be taken. (T,)
        RETURNS (Ints): Indices of the picked mentions, in order.
        """
        return greedy_decode(self.starts, self.ends, self.logits, free)

    def flat(self) -> "Mentions":
        """Pick mentions that do not overlap, by greedy decoding, where no token is taken.

        RETURNS (Mentions): These mentions.
        """
        return self[self.greedy(np.ones(self.offsets[-1], dtype="bool"))]

    def places(self, doc: Doc) -> list[tuple[int, int]]:
        """Find the characters of the mentions of one Doc.

        doc (Doc): The Doc, whose tokens are counted from 0 as `by_doc` does.
        RETURNS (list[tuple[int, int]]): First character of each mention, and the one behind
            its last.
        """
        return [
            (doc[start].idx, doc[end].idx + len(doc[end]))
            for start, end in zip(self.starts.tolist(), self.ends.tolist())
        ]

    def by_doc(self) -> Iterator["Mentions"]:
        """Split the mentions by Doc.

        YIELDS (Mentions): Those of one Doc, their tokens counted in that Doc.
        """
        bounds = np.searchsorted(self.starts, self.offsets).tolist()
        for i, offset in enumerate(self.offsets[:-1].tolist()):
            part = slice(bounds[i], bounds[i + 1])
            yield Mentions(
                self.starts[part] - offset,
                self.ends[part] - offset,
                self.logits[part],
                self.offsets[i : i + 2] - offset,
            )


def find_mentions(
    docs: Sequence[Doc], logits: Floats, lengths: Ints, threshold: float
) -> Mentions:
    """Find the spans above a threshold that can be mentions: those that begin and end
    where a token does, and not with white space.

    docs (Sequence[Doc]): The Docs.
    logits (Floats): Span logits of all their units, rows by end and columns by length - 1;
        -inf where a span would begin before its Doc.
    lengths (Ints): How many units each token has. (T,)
    threshold (float): Probability that a span must exceed.
    RETURNS (Mentions): The mentions.
    """
    offsets = np.cumsum([0, *map(len, docs)])
    starts, ends, found = threshold_decode(logits, threshold)
    solid = np.concatenate([doc.to_array(IS_SPACE) == 0 for doc in docs])
    first, last = edge_tokens(lengths, solid)
    starts, ends = first[starts], last[ends]
    kept = np.flatnonzero((starts >= 0) & (ends >= 0))
    kept = kept[np.lexsort((ends[kept], starts[kept]))]
    return Mentions(starts[kept], ends[kept], found[kept], offsets)
