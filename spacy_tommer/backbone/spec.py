"""The description of a backbone that is kept with its states."""

from dataclasses import dataclass
from typing import Literal, Optional

from .attention import Attention, Heads
from .precision import Precision

Unit = Literal["token", "piece"]


@dataclass(frozen=True)
class BackboneSpec:
    """Hold every setting on which the states of a text depend.

    sha256 (str): SHA-256 of the weights; empty if it is not known.
    layers (tuple[int, ...]): The blocks whose outputs are kept, counted from 0.
    window (int): Tokens in a window.
    stride (int): Tokens from the start of one window to the next.
    passes (int): How often each window is read.
    attention (Optional[str]): The attention of each block that is also kept:
        "queries_keys" or "scores".
    max_length (int): How many tokens, its own included, a token has attention scores for;
        0 without scores.
    heads (tuple[int, int, int]): Query heads, key heads, and width of a head.
    precision (str): The precision that the model computes in.
    unit (str): "piece", or "token" if only the last wordpiece of each token is kept.
    """

    sha256: str = ""
    layers: tuple[int, ...] = ()
    window: int = 0
    stride: int = 0
    passes: int = 1
    attention: Optional[Attention] = None
    max_length: int = 0
    heads: Heads = (1, 1, 1)
    precision: Precision = "float32"
    unit: Unit = "piece"

    def layer(self, wanted: Optional[int]) -> Optional[int]:
        """Resolve the `layer` setting of a component that reads one block.

        wanted (Optional[int]): The requested block; None for the last one.
        RETURNS (Optional[int]): The block; None if the backbone is unknown.
        """
        return (self.layers or (None,))[-1] if wanted is None else wanted
