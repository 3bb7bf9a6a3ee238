"""The settings on which an adapter depends."""

from dataclasses import dataclass
from typing import Literal

from thinc.api import get_torch_default_device

from spacy_tommer.backbone.precision import has_bfloat16

Precision = Literal["float32", "bfloat16"]
AnyPrecision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """Hold the settings on which an adapter depends, besides its texts and types.

    backbone (str): A folder, a GGUF file, or a name on the Hugging Face hub.
    layer (int): The block whose states are read, counted from 0.
    passes (int): How often the model reads each window.
    rank (int): Rank of the adapter.
    alpha (int): The adapter's output is multiplied by alpha / rank.
    steps (int): How many steps training takes.
    batch_words (int): Tokens of the texts of a step.
    learn_rate (float): Highest learning rate of the adapter.
    seed (int): Seed of the weights, of the order of texts and of all sampling.
    precision (str): In what the blocks are computed: "float32" or "bfloat16".
    """

    backbone: str
    layer: int
    passes: int = 1
    rank: int = 32
    alpha: int = 64
    steps: int = 3000
    batch_words: int = 1000
    learn_rate: float = 2e-4
    seed: int = 0
    precision: Precision = "float32"


def best_precision() -> Precision:
    """Choose bfloat16 where the processor computes in it, otherwise float32."""
    return "bfloat16" if has_bfloat16(get_torch_default_device()) else "float32"
