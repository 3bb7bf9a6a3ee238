"""Scored mentions of a batch of Docs, as arrays.

Axis letters: M mentions of all Docs; T tokens of all Docs, concatenated; N units; L longest
span in units; K kinds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .borders import can_be_edge, has_wrong_borders
from .decode import FlatDecoder, greedy_decode, log_sum_exp, logit, threshold_decode
from .units import count_cut, edge_tokens

Ints = NDArray[np.intp]
Floats = NDArray[np.floating]


@dataclass
class Mentions:
    """Hold spans of tokens, in text order. Tokens are numbered across all Docs.

    starts (Ints): Start of each mention. (M,)
    ends (Ints): End (exclusive) of each mention. (M,)
    logits (Floats): Logit of each mention. (M,)
    kinds (Ints): Number of the likeliest kind of each mention. (M,)
    entity_logits (Floats): Logit of each mention as an entity of a flat segmentation. (M,)
    offsets (Ints): Start of each Doc, followed by T.
    cut (int): How many spans were left out since they start or end inside a token.
    """

    starts: Ints
    ends: Ints
    logits: Floats
    kinds: Ints
    entity_logits: Floats
    offsets: Ints
    cut: int = 0

    def __getitem__(self, which: NDArray) -> "Mentions":
        """Select some of the mentions.

        which (NDArray): Their indices, in order, or a mask.
        RETURNS (Mentions): The selected mentions.
        """
        return Mentions(
            self.starts[which],
            self.ends[which],
            self.logits[which],
            self.kinds[which],
            self.entity_logits[which],
            self.offsets,
        )

    def above(self, threshold: float) -> "Mentions":
        """Select the mentions above a threshold.

        threshold (float): Probability that a mention must exceed.
        RETURNS (Mentions): The selected mentions.
        """
        return self[self.logits > logit(threshold)]

    def as_entities(self) -> "Mentions":
        """Score the mentions as entities.

        RETURNS (Mentions): The same mentions, with `entity_logits` as their logits.
        """
        return replace(self, logits=self.entity_logits)

    def flat(
        self,
        decoder: FlatDecoder = greedy_decode,
        free: Optional[NDArray[np.bool_]] = None,
    ) -> "Mentions":
        """Pick mentions that do not overlap.

        decoder (FlatDecoder): The function that picks them.
        free (Optional[NDArray[bool]]): Whether a token may be taken; by default all. (T,)
        RETURNS (Mentions): The picked mentions.
        """
        free = np.ones(self.offsets[-1], dtype="bool") if free is None else free
        return self[decoder(self.starts, self.ends, self.logits, free)]

    def places(self, doc: Doc) -> list[tuple[int, int]]:
        """Compute the character offsets of the mentions of one Doc.

        doc (Doc): The Doc of these mentions, as `by_doc` returns them.
        RETURNS (list[tuple[int, int]]): Start and end (exclusive) of each mention, in
            characters.
        """
        return [
            (doc[start].idx, doc[end - 1].idx + len(doc[end - 1]))
            for start, end in zip(self.starts.tolist(), self.ends.tolist())
        ]

    def by_doc(self) -> Iterator["Mentions"]:
        """Split the mentions by Doc.

        YIELDS (Mentions): The mentions of one Doc, their tokens numbered in that Doc.
        """
        bounds = np.searchsorted(self.starts, self.offsets).tolist()
        for i, offset in enumerate(self.offsets[:-1].tolist()):
            part = slice(bounds[i], bounds[i + 1])
            yield Mentions(
                self.starts[part] - offset,
                self.ends[part] - offset,
                self.logits[part],
                self.kinds[part],
                self.entity_logits[part],
                self.offsets[i : i + 2] - offset,
            )


def find_mentions(
    docs: Sequence[Doc],
    logits: Floats,
    lengths: Ints,
    threshold: float,
    columns: Sequence[int] = (0,),
    kinds: int = 1,
    rules: bool = True,
) -> Mentions:
    """Find the spans above a threshold that can be mentions: those that start and end at
    token boundaries, not with white space or an invisible character.

    docs (Sequence[Doc]): The Docs.
    logits (Floats): Span logits of all units, rows by end and columns by length - 1; -inf
        where a span would start before its Doc. (N, L, K)
    lengths (Ints): How many units each token has. (T,)
    threshold (float): Probability that a span must exceed.
    columns (Sequence[int]): Numbers of the kinds that are wanted.
    kinds (int): How many outputs are kinds. Entities are scored by the mean probability of
        the others, the sources, and as mentions if there is none.
    rules (bool): Whether mentions obey the rules on tokens of `borders`.
    RETURNS (Mentions): The mentions.
    """
    offsets = np.cumsum([0, *map(len, docs)])
    wanted = logits[..., list(columns)]
    starts, ends, found = threshold_decode(wanted, threshold)
    cells = ends - 1, ends - starts - 1
    best = wanted[cells].argmax(-1)
    sources = logits[..., kinds:][cells]  # (M, S)
    entities = mean_logit(sources) if sources.shape[-1] else found
    edge = np.concatenate([can_be_edge(doc, rules) for doc in docs])
    cut = count_cut(starts, ends, lengths)
    first, last = edge_tokens(lengths, edge)
    starts, ends = first[starts], last[ends - 1] + 1
    kept = np.flatnonzero((starts >= 0) & (ends > 0))
    if rules:
        kept = kept[~has_wrong_borders(docs, starts[kept], ends[kept])]
    kept = kept[np.lexsort((ends[kept], starts[kept]))]
    likeliest = np.asarray(columns, dtype="int")[best[kept]]
    return Mentions(
        starts[kept], ends[kept], found[kept], likeliest, entities[kept], offsets, cut
    )


def mean_logit(logits: Floats) -> Floats:
    """Compute the logit of the mean probability of several outputs.

    logits (Floats): Their logits. (M, S)
    RETURNS (Floats): Logits. (M,)
    """
    yes = log_sum_exp(-np.logaddexp(0, -logits))
    no = log_sum_exp(-np.logaddexp(0, logits))
    return yes - no
