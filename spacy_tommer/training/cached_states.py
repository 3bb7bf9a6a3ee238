"""The hidden states of some Docs, mapped from files of the cache.

Axis letters: T tokens of the Docs; N their units; d width.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy_transformers.data_classes import WordpieceBatch
from thinc.types import Ragged
from transformers.utils import ModelOutput

from ..backbone.spec import BackboneSpec
from ..backbone.states import BackboneData, Unit
from .damage import unfit


@dataclass
class CachedStates:
    """Hold the states of a chunk of Docs in half precision, mapped from files.

    layers (list[NDArray]): States of each layer, of all Docs, concatenated. (N, d)
    attention (list[NDArray]): Attention of each layer, if the backbone returns any.
    lengths (NDArray): How many units each token has. (T,)
    spec (BackboneSpec): The backbone that computed the states.
    unit (str): What a state represents: "token" or "piece".
    """

    layers: list[NDArray[np.float16]]
    attention: list[NDArray[np.float16]]
    lengths: NDArray[np.int32]
    spec: BackboneSpec
    unit: Unit

    def __post_init__(self) -> None:
        self.bounds = np.concatenate([[0], np.cumsum(self.lengths)])

    def of_tokens(self, start: int, end: int) -> BackboneData:
        """Get the states of one Doc.

        start (int): Start of the Doc, in tokens of the chunk.
        end (int): End (exclusive) of the Doc, in tokens of the chunk.
        RETURNS (BackboneData): The value for `doc._.trf_data`.
        """
        first, last = self.bounds[start], self.bounds[end]
        arrays = [array[None, first:last] for array in self.layers]
        output = ModelOutput(last_hidden_state=arrays[-1])
        if len(arrays) > 1:
            output["layer_states"] = arrays
        if self.attention:
            output["attention"] = [array[None, first:last] for array in self.attention]
        return BackboneData(
            WordpieceBatch.empty(),
            output,
            Ragged(np.arange(last - first), self.lengths[start:end]),
            self.spec,
            self.unit,
        )


def check_states(
    path: Path,
    found: dict[str, NDArray],
    lengths: NDArray,
    width: int,
    tokens: Optional[int],
) -> None:
    """Check that the states of a file are those of its texts.

    path (Path): The file, for the error message.
    found (dict[str, NDArray]): Its tensors "states" (N, d) and "lengths" (T,).
    lengths (NDArray): Lengths in the file of the first layer. (T,)
    width (int): Expected width of the states.
    tokens (Optional[int]): Expected number of tokens, T; None to skip this check.
    RAISES (Damaged): If a dtype, a shape or the lengths are not as expected.
    """
    states, own = found["states"], found["lengths"]
    if states.dtype != "float16" or own.dtype != "int32" or own.ndim != 1:
        kinds = f"states of {states.dtype} and lengths of {own.dtype} {own.shape}"
        raise unfit(path, kinds, "float16 and one row of int32")
    if tokens is not None and len(own) != tokens:
        raise unfit(path, f"{len(own)} tokens", f"{tokens}")
    if not np.array_equal(own, lengths) or own.min(initial=0) < 0:
        raise unfit(path, "other numbers of units", "those of the first layer")
    units = int(own.sum())
    # The attention of a chunk without units has no width of its own.
    if states.ndim != 2 or len(states) != units or (units and states.shape[1] != width):
        raise unfit(path, f"states of shape {states.shape}", f"({units}, {width})")
