"""Check that the model which generates is the backbone of a head."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..backbone.language_model import CutModel, find_blocks


def check_model(
    model: PreTrainedModel, cut: CutModel, layer: int, allow_other: bool
) -> None:
    """Raise ValueError for a model whose states the head was not trained on.

    model (PreTrainedModel): The model that generates.
    cut (CutModel): The backbone of the head.
    layer (int): The block whose outputs the head reads, counted from 0.
    allow_other (bool): Whether another model with states of the same width is allowed.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise ValueError(
            f"A {type(model).__name__} has an encoder and a decoder. Use a model with one "
            "stack of blocks."
        )
    width, wanted = model.config.hidden_size, cut.config.hidden_size
    blocks = len(find_blocks(model.base_model))
    if width != wanted or layer >= blocks:
        raise ValueError(
            f"The head reads states of width {wanted} from block {layer}, and the model "
            f"has {blocks} blocks of width {width}. Use a pipeline for this model."
        )
    if not allow_other and not is_same(model.base_model, cut):
        raise ValueError(
            f"The head was trained on a backbone with the SHA-256 {cut.sha256}, and the "
            "model that generates has other weights. Load the model from the same files, "
            "or write allow_other=True to read its states nevertheless."
        )


def is_same(network: PreTrainedModel, cut: CutModel) -> bool:
    """Tell whether a model has the weights of a backbone, in the precision of the model."""
    own: dict[str, Tensor] = cut.loaded or cut.network.state_dict()
    other = network.state_dict()
    return all(
        name in other
        and other[name].shape == weight.shape
        and torch.equal(other[name], weight.to(other[name]))
        for name, weight in own.items()
    )
