"""Scored mentions of a batch of Docs, as arrays.

Axis letters: M mentions of all Docs; T tokens of all Docs, one Doc after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .borders import can_be_edge, crosses_break
from .decode import FlatDecoder, greedy_decode, logit, threshold_decode
from .units import edge_tokens

Ints = NDArray[np.intp]
Floats = NDArray[np.floating]


@dataclass
class Mentions:
    """Spans of tokens, in the order of the texts. Tokens are counted over all Docs.

    starts (Ints): First token of each mention. (M,)
    ends (Ints): Its end, exclusive. (M,)
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

    def flat(
        self,
        decoder: FlatDecoder = greedy_decode,
        free: Optional[NDArray[np.bool_]] = None,
    ) -> "Mentions":
        """Pick mentions that do not overlap.

        decoder (FlatDecoder): How they are picked.
        free (Optional[NDArray[bool]]): Whether a token may be taken; by default all. (T,)
        RETURNS (Mentions): These mentions.
        """
        free = np.ones(self.offsets[-1], dtype="bool") if free is None else free
        return self[decoder(self.starts, self.ends, self.logits, free)]

    def places(self, doc: Doc) -> list[tuple[int, int]]:
        """Find the characters of the mentions of one Doc.

        doc (Doc): The Doc, whose tokens are counted from 0 as `by_doc` does.
        RETURNS (list[tuple[int, int]]): Start and end (exclusive) of each mention, in
            characters.
        """
        return [
            (doc[start].idx, doc[end - 1].idx + len(doc[end - 1]))
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
    where a token does, not with white space or an invisible character, and that do not
    cross a blank line, a table cell, a list item or a tag.

    docs (Sequence[Doc]): The Docs.
    logits (Floats): Span logits of all their units, rows by end and columns by length - 1;
        -inf where a span would begin before its Doc.
    lengths (Ints): How many units each token has. (T,)
    threshold (float): Probability that a span must exceed.
    RETURNS (Mentions): The mentions.
    """
    offsets = np.cumsum([0, *map(len, docs)])
    starts, ends, found = threshold_decode(logits, threshold)
    edge = np.concatenate([can_be_edge(doc) for doc in docs])
    first, last = edge_tokens(lengths, edge)
    starts, ends = first[starts], last[ends - 1] + 1
    kept = np.flatnonzero((starts >= 0) & (ends > 0))
    kept = kept[~crosses_break(docs, starts[kept], ends[kept])]
    kept = kept[np.lexsort((ends[kept], starts[kept]))]
    return Mentions(starts[kept], ends[kept], found[kept], offsets)
