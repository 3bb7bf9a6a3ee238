"""Which backbone made hidden states, as states, caches and shipped heads tell it."""

from dataclasses import dataclass
from typing import Optional

from .attention import Attention, Heads


@dataclass(frozen=True)
class BackboneSpec:
    """All that changes the states of a text.

    sha256 (str): Hash of the weights; empty where nobody knows them.
    layers (tuple[int, ...]): The blocks whose outputs are kept, counted from 0.
    window (int): Tokens in a window.
    stride (int): Tokens from the start of one window to the next.
    passes (int): How often each window is read.
    attention (Optional[str]): What of the attention of each block is kept besides:
        "queries_keys" or "scores".
    max_length (int): Tokens, its own included, that a token has attention scores to; 0
        without these.
    heads (tuple[int, int, int]): Heads of the queries, heads of the keys, and their width.
    """

    sha256: str = ""
    layers: tuple[int, ...] = ()
    window: int = 0
    stride: int = 0
    passes: int = 1
    attention: Optional[Attention] = None
    max_length: int = 0
    heads: Heads = (1, 1, 1)

    def layer(self, wanted: Optional[int]) -> Optional[int]:
        """Resolve the default of a component that reads one block.

        wanted (Optional[int]): The block that it asks for; None for the last.
        RETURNS (Optional[int]): The block; None where there is none.
        """
        return (self.layers or (None,))[-1] if wanted is None else wanted
