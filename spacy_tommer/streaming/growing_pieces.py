"""Wordpieces of a text that grows, with states from any engine.

Axis letters: T tokens of a tail; P wordpieces; d width of a state.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, LENGTH, SPACY
from spacy.tokens import Doc
from spacy_transformers.data_classes import WordpieceBatch
from thinc.api import Ops
from thinc.types import Ragged
from transformers.utils import ModelOutput

from ..backbone.alignment import align_pieces, last_pieces
from ..backbone.spec import BackboneSpec
from ..backbone.states import BackboneData, tokens_checksum

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass
class GrowingPieces:
    """Hold the wordpieces of the tail of a text, and the states that are known so far.

    starts (list[int]): The first character of each wordpiece, in the text.
    ends (list[int]): Its end (exclusive).
    states (list[Floats]): States of the first ones. (d,) each
    """

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    states: list[Floats] = field(default_factory=list)

    def annotate(self, doc: Doc, first_char: int, spec: BackboneSpec, ops: Ops) -> bool:
        """Write the states to a Doc.

        doc (Doc): The complete tokens of the tail.
        first_char (int): Where it begins in the text.
        spec (BackboneSpec): What the states are of.
        ops (Ops): The backend of the states.
        RETURNS (bool): Whether the states of some tokens are not known yet.
        """
        starts, ends = np.array([self.starts, self.ends], dtype="int64") - first_char
        pieces, lengths = find_pieces(doc, starts, ends)
        if spec.unit == "token":
            pieces, lengths = last_pieces(pieces, lengths)
        counted = np.flatnonzero(lengths)
        last = pieces[np.cumsum(lengths)[counted] - 1]
        lacking = counted[last >= len(self.states)]
        pieces = pieces[~np.isin(np.repeat(np.arange(len(doc)), lengths), lacking)]
        lengths[lacking] = 0
        used, rows = np.unique(pieces, return_inverse=True)
        output = ModelOutput()
        if len(used):
            states = np.stack([self.states[piece] for piece in used])
            output["last_hidden_state"] = ops.asarray(states)[None]
        doc._.trf_data = BackboneData(
            WordpieceBatch.empty(),
            output,
            Ragged(rows.astype("i"), lengths.astype("i")),
            spec,
            spec.unit,
            tokens_checksum(doc),
        )
        return bool(len(lacking))

    def drop(self, first_char: int) -> None:
        """Drop the wordpieces that end before a character of the text, and have states."""
        count = int(np.searchsorted(self.ends, first_char, side="right"))
        count = min(count, len(self.states))
        del self.starts[:count], self.ends[:count], self.states[:count]


def find_pieces(doc: Doc, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Find the wordpieces of each token, as `align_pieces` does.

    doc (Doc): Tokens at the start of the text of the wordpieces.
    starts (Ints): The first character of each wordpiece. (P,)
    ends (Ints): Its end (exclusive), in rising order. (P,)
    RETURNS (tuple[Ints, Ints]): The wordpieces of all tokens, and how many each has. (T,)
    """
    token_starts, sizes, spaces = doc.to_array([IDX, LENGTH, SPACY]).astype("int64").T
    token_ends = token_starts + sizes
    # What follows the Doc is not split into tokens yet.
    bounds = np.append(token_starts, (token_ends + spaces)[-1:])
    owner = np.searchsorted(bounds, ends - 1, side="right") - 1
    inside = (owner >= 0) & (owner < len(doc)) & (starts < ends)
    inside[inside] = starts[inside] < token_ends[owner[inside]]  # not between tokens
    kept = np.flatnonzero(inside)
    pieces, counts = align_pieces(
        starts[kept], ends[kept], owner[kept], token_starts, token_ends
    )
    return kept[pieces], counts
