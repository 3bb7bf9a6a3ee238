"""Read `doc._.trf_data`: hidden states of one layer, by token or by wordpiece."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from spacy_transformers.pipeline_component import install_extensions
from thinc.types import Ragged
from thinc.util import get_array_module

from .alignment import last_pieces
from .spec import BackboneSpec, Unit

# White space at the start of a wordpiece, as tokenizers write it: byte-level BPE (space,
# line feed, tab) and SentencePiece.
BLANK = "ĠĊĉ▁ \t\r\n"

install_extensions()


@dataclass
class BackboneData(TransformerData):
    """Hold the states that `spacy_tommer.Backbone.v1` writes to a Doc: one row per
    wordpiece, from the first window that holds its token, aligned with that token.

    In `model_output`, `last_hidden_state` has the last of the blocks, `layer_states` lists
    all blocks if there are several, and `attention` lists their attention.

    spec (BackboneSpec): The backbone that computed the states.
    unit (str): "piece", or "token" if only the last wordpiece of each token is kept.
    checksum (Optional[int]): The `tokens_checksum` of the Doc that the states were computed
        for; None if it is not known.
    """

    spec: BackboneSpec = field(default_factory=BackboneSpec)
    unit: Unit = "piece"
    checksum: Optional[int] = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "BackboneData":
        """Share the states between copies of a Doc. They are never changed."""
        return self


def tokens_checksum(doc: Doc) -> int:
    """Compute a checksum of the token offsets of a Doc, to detect merged or split tokens.

    RETURNS (int): The same number for the same tokens, in every process.
    """
    return crc32(doc.to_array([IDX, LENGTH]).tobytes())


def check_tokens(doc: Doc) -> None:
    """Raise ValueError for states that do not belong to the tokens of their Doc.

    doc (Doc): A Doc with states.
    """
    data = doc._.trf_data
    checksum = getattr(data, "checksum", None)
    if len(data.align.lengths) != len(doc) or (
        checksum is not None and checksum != tokens_checksum(doc)
    ):
        raise ValueError(
            "The tokens of the Doc were merged or split after the transformer ran, so its "
            "hidden states (doc._.trf_data) belong to other tokens. Put components such as "
            "merge_entities, merge_noun_chunks or a retokenizer before the transformer, or "
            "after the components that read its states."
        )


def read_states(doc: Doc, layer: Optional[int] = None, unit: Unit = "token") -> Ragged:
    """Read the states of a Doc from `doc._.trf_data`.

    doc (Doc): A Doc that a transformer has annotated.
    layer (Optional[int]): The block, counted from 0; by default the last one available.
    unit (str): "token" for one state per token, that of its own last wordpiece; "piece"
        for the states of all its own wordpieces.
    RETURNS (Ragged): The states (units, d), and how many units each token has: none
        for a token without wordpieces. ValueError is raised for a Doc without states, with
        states of other tokens, or without those of the layer or unit.
    """
    data = doc._.trf_data
    if data is None and len(doc):
        raise ValueError(
            "The Doc has no hidden states (doc._.trf_data is empty). A transformer must "
            "run before the component that reads them, and tommer_cleaner after it. Add "
            "both at once:\n"
            '    spacy_tommer.add(nlp, "minilm")\n'
            "In training, the transformer is frozen and annotates the Docs:\n"
            "    [training]\n"
            '    frozen_components = ["transformer"]\n'
            '    annotating_components = ["transformer"]'
        )
    if len(doc) and not isinstance(data, TransformerData):
        raise ValueError(
            f"doc._.trf_data is a {type(data).__module__}.{type(data).__name__}, expected "
            "the output of a pipe of spacy-transformers. Pipelines on curated-transformers "
            "hold another transformer; use this one:\n"
            "    [components.transformer.model]\n"
            '    @architectures = "spacy_tommer.Backbone.v1"'
        )
    if not len(doc) or "last_hidden_state" not in data.model_output:
        return Ragged(np.zeros((0, 0), dtype="f"), np.zeros(len(doc), dtype="i"))
    if unit == "piece" and isinstance(data, BackboneData) and data.unit == "token":
        raise ValueError(
            "The Doc carries one state per token, and the head reads wordpieces. "
            'Write `unit = "piece"` in [components.transformer.model], and in the corpus '
            "if it caches them."
        )
    check_tokens(doc)
    rows, lengths = unit_rows(data, unit)
    return Ragged(take(layer_states(data, layer), rows), lengths)


def read_attention(doc: Doc, layers: Sequence[int], unit: Unit = "token") -> Ragged:
    """Read the attention that the transformer wrote to a Doc.

    doc (Doc): A Doc that a transformer with `attention` has annotated.
    layers (Sequence[int]): The blocks, counted from 0.
    unit (str): What a vector represents: "token" or "piece".
    RETURNS (Ragged): The vectors of these blocks, concatenated by unit, and how many units
        each token has.
    """
    data = doc._.trf_data
    rows, lengths = unit_rows(data, unit)
    arrays = [
        data.model_output["attention"][data.spec.layers.index(layer)] for layer in layers
    ]
    xp = get_array_module(arrays[0])
    return Ragged(xp.concatenate([take(a, rows) for a in arrays], axis=1), lengths)


def unit_rows(data: TransformerData, unit: Unit) -> tuple[NDArray, NDArray]:
    """Find the rows of the units.

    data (TransformerData): The output of a transformer.
    unit (str): What a unit is: "token" or "piece".
    RETURNS (tuple[NDArray, NDArray]): The row of each unit, and how many units each token
        has.
    """
    pieces = data.align if isinstance(data, BackboneData) else own_pieces(data)
    return rows_of(pieces, unit)


def rows_of(pieces: Ragged, unit: Unit) -> tuple[NDArray, NDArray]:
    """Find the rows of the units among those of wordpieces.

    pieces (Ragged): The rows of each token's own wordpieces.
    unit (str): What a unit is: "token" or "piece".
    RETURNS (tuple[NDArray, NDArray]): The row of each unit, and how many units each token
        has.
    """
    rows, lengths = pieces.dataXd, pieces.lengths
    return last_pieces(rows, lengths) if unit == "token" else (rows, lengths)


def take(states: Any, rows: NDArray) -> Any:
    """Select rows of the states of all windows, on the device of the states."""
    xp = get_array_module(states)
    return states.reshape(-1, states.shape[-1])[xp.asarray(rows)]


def layer_states(data: TransformerData, layer: Optional[int]):
    """Get the states of one block.

    data (TransformerData): The output of a transformer.
    layer (Optional[int]): The block, counted from 0; by default the last one available.
    RETURNS (Floats3d): Its states, by window and wordpiece. ValueError is raised if the
        output lacks the block.
    """
    output = data.model_output
    if layer is None:
        return output["last_hidden_state"]
    if isinstance(data, BackboneData):
        layers = data.spec.layers
        if layer == layers[-1]:
            return output["last_hidden_state"]
        if layer in layers:
            return output["layer_states"][layers.index(layer)]
        have = f"the backbone writes `layers = {list(layers)}`"
    else:
        # The last one of `hidden_states` is the output of the final norm.
        hidden = output.get("hidden_states") or [None]
        if 0 <= layer < len(hidden) - 2:
            return hidden[layer + 1]
        have = (
            f"spacy-transformers writes blocks 0 to {len(hidden) - 3}"
            if len(hidden) > 2
            else "spacy-transformers writes no layers without "
            'transformer_config = {"output_hidden_states": true}'
        )
    raise ValueError(
        f"There are no states of block {layer} on the Doc: {have}. Ask for one of "
        "these, or for more in [components.transformer.model]."
    )


def own_pieces(data: TransformerData) -> Ragged:
    """Remove the superfluous alignments of spacy-transformers.

    It aligns a token with the wordpieces of every window that holds it, and also with the
    first wordpiece of the next token if wordpieces start with the space before them.

    data (TransformerData): The output of a transformer.
    RETURNS (Ragged): Rows of each token's own wordpieces in the first window that
        holds it.
    """
    rows, lengths = data.align.dataXd.ravel(), data.align.lengths
    token = np.repeat(np.arange(len(lengths)), lengths)
    width = data.model_output["last_hidden_state"].shape[1]
    window = rows // width
    first = np.full(len(lengths), -1)
    first[lengths > 0] = window[np.cumsum(lengths)[lengths > 0] - lengths[lengths > 0]]
    here = window == first[token]
    total = len(data.wordpieces.strings) * width
    own = here & ~np.isin((token + 1) * total + rows, token * total + rows)
    strings = [string for window in data.wordpieces.strings for string in window]
    solid = own & np.array([strings[i].strip(BLANK) != "" for i in rows], dtype="bool")
    kept = solid
    for looser in (own, here):
        lacking = np.bincount(token[kept], minlength=len(lengths)) == 0
        kept = kept | (looser & lacking[token])
    return Ragged(rows[kept], np.bincount(token[kept], minlength=len(lengths)).astype("i"))
