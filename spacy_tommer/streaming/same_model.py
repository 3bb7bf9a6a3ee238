"""Check that the model which generates is the backbone of a head."""

from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..backbone.language_model import CutModel, find_blocks

# The backbones whose weights a model was found to have. To compare them takes as long as to
# generate some wordpieces.
SAME: WeakKeyDictionary[PreTrainedModel, WeakSet[CutModel]] = WeakKeyDictionary()


def check_model(
    model: PreTrainedModel, cut: CutModel, layer: int, allow_other: bool
) -> PreTrainedModel:
    """Check that the head was trained on the states of a model.

    model (PreTrainedModel): The model that generates.
    cut (CutModel): The backbone of the head.
    layer (int): The block whose outputs the head reads, counted from 0.
    allow_other (bool): Whether another model with states of the same width is allowed.
    RETURNS (PreTrainedModel): The part of the model that has the blocks. ValueError is
        raised for a model whose states the head was not trained on.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise ValueError(
            f"A {type(model).__name__} has an encoder and a decoder. Use a model with one "
            "stack of blocks."
        )
    network = find_text_model(model)
    width, wanted = network.config.hidden_size, cut.config.hidden_size
    blocks = len(find_blocks(network))
    if width != wanted or layer >= blocks:
        raise ValueError(
            f"The head reads states of width {wanted} from block {layer}, and the model "
            f"has {blocks} blocks of width {width}. Use a pipeline for this model."
        )
    if not allow_other and not is_same(network, cut):
        raise ValueError(
            f"The head was trained on a backbone with the SHA-256 {cut.sha256}, and the "
            "model that generates has other weights. Load the model from the same files "
            "(the hub's float weights are others than those of a GGUF file), or write "
            "allow_other=True to read its states nevertheless."
        )
    return network


def find_text_model(model: PreTrainedModel) -> PreTrainedModel:
    """Find the part of a model that reads text: of one that reads images, too, the part
    with the configuration of the text. ValueError is raised if there is none."""
    config = model.config.get_text_config()
    if config is model.config:
        return model.base_model
    for module in model.modules():
        if isinstance(module, PreTrainedModel) and type(module.config) is type(config):
            return module.base_model
    raise ValueError(f"A {type(model).__name__} has no part that reads text only.")


def is_same(network: PreTrainedModel, cut: CutModel) -> bool:
    """Tell whether a model has the weights of a backbone, in the precision of the model."""
    same = SAME.setdefault(network, WeakSet())
    if cut not in same and has_weights(network, cut):
        same.add(cut)
    return cut in same


def has_weights(network: PreTrainedModel, cut: CutModel) -> bool:
    """Compare the weights of a model with those of a backbone."""
    own: dict[str, Tensor] = cut.loaded or cut.network.state_dict()
    other = network.state_dict()
    return all(
        name in other
        and other[name].shape == weight.shape
        and torch.equal(other[name], weight.to(other[name]))
        for name, weight in own.items()
    )
