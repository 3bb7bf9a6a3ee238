"""Compute the states of the tail of a text that grows, from the windows of a backbone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy_transformers import Transformer
from thinc.api import torch2xp
from transformers.utils import ModelOutput

from ..backbone.model import cut_model, is_backbone, spec_of
from ..backbone.states import BackboneData, tokens_checksum
from ..backbone.windows import Pieces
from .frontier import before_patterns, count_solid
from .prefixes import PrefixReader, is_causal
from .rows import Rereader, Row, RowReader
from .separators import find_separators

Ints = NDArray[np.intp]


class WindowStates:
    """Read the windows of texts that grow, as the backbone places them: the tail of a text
    begins with a window of the whole text.

    transformer (Transformer): The pipe. ValueError is raised if its model is not of the
        architecture Backbone.v1.
    layer (Optional[int]): The block whose states are read, counted from 0; by default the
        last one that the transformer writes.
    """

    def __init__(self, transformer: Transformer, layer: Optional[int] = None) -> None:
        model = transformer.model
        if not is_backbone(model):
            raise ValueError(
                "A stream reads the windows of spacy_tommer.Backbone.v1, and the "
                "transformer of the pipeline has another architecture. Use a shipped "
                'pipeline, such as spacy_tommer.load("smollm2").'
            )
        self.ops = model.ops
        self.cut = cut_model(model)
        spec = spec_of(model)
        layer = spec.layers[-1] if layer is None else layer
        self.spec = replace(spec, layers=(layer,), attention=None, max_length=0)
        self.separators = find_separators(self.cut.tokenizer)
        kind = PrefixReader if is_causal(self.cut) else Rereader
        self.reader: RowReader = kind(self.cut, layer)
        self.causal = self.reader.causal

    def read(self, docs: Sequence[Doc], known: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """Write the states of tails to their Docs.

        docs (Sequence[Doc]): The tails of texts, which are not empty.
        known (Sequence[Sequence[Row]]): The rows of each that were read before.
        RETURNS (list[list[Row]]): The rows of each, for the next time.
        """
        spec = self.spec
        pieces = [
            self.cut.tokenize([doc], spec.window, spec.stride, spec.unit) for doc in docs
        ]
        rows = self.reader.read(known, [split_rows(one) for one in pieces])
        for doc, one, own in zip(docs, pieces, rows):
            doc._.trf_data = self.make_data(doc, one, own)
        return rows

    def make_data(self, doc: Doc, pieces: Pieces, rows: Sequence[Row]) -> BackboneData:
        """Build the states of one Doc from its rows."""
        every = torch.cat([row.states for row in rows])
        place = torch.from_numpy(pieces.row_bounds[pieces.row] + pieces.column)
        states = torch2xp(every[place.to(every.device)], ops=self.ops)
        ((_, wordpieces, align),) = pieces.by_doc()
        output = ModelOutput(last_hidden_state=states[None])
        checksum = tokens_checksum(doc)
        return BackboneData(wordpieces, output, align, self.spec, self.spec.unit, checksum)

    def count_final(self, doc: Doc) -> int:
        """Count the tokens at the start of a tail whose states no further token changes.

        doc (Doc): The tail of a text, whose tokens are complete, with states.
        """
        if self.causal:
            whole = len(doc)
        else:
            window, stride = self.spec.window, self.spec.stride
            rest = len(doc) - window
            whole = window + rest // stride * stride if rest >= 0 else 0
        return count_solid(doc, whole)

    def find_start(self, doc: Doc, text: str, lengths: Ints, settled: int) -> int:
        """Find where the tail can begin from now on, without changing the states of the
        tokens that it needs.

        doc (Doc): The tail of a text.
        text (str): Its text.
        lengths (Ints): How many units each token has. (T,)
        settled (int): First token whose mentions can still change. The unit before it is
            needed, too.
        RETURNS (int): The first token of a window.
        """
        window, stride = self.spec.window, self.spec.stride
        units = np.flatnonzero(lengths[:settled])
        if not len(units):
            return 0
        # Tokens that an earlier window holds have their states from there.
        start = (int(units[-1]) - (window - stride)) // stride * stride
        return before_patterns(doc, text, start, stride)


def split_rows(pieces: Pieces) -> list[NDArray[np.int64]]:
    """Split the wordpieces of all rows by row."""
    return np.split(pieces.ids, pieces.row_bounds[1:-1])
