"""Build the network of a language model: from a folder, or from weights in memory."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import MODEL_MAPPING, PreTrainedModel
from transformers.modeling_utils import no_init_weights
from transformers.utils import logging

from .four_bits import FourBitEmbedding


def load_network(folder: Path, config: Any) -> nn.Module:
    """Load the first blocks of a model; the others are not built.

    folder (Path): A folder in the format of the Hugging Face hub, or one that was converted
        from a file whose table of wordpieces has four bits a weight.
    config (PretrainedConfig): The config, with the number of blocks to load.
    RETURNS (nn.Module): The model, in float32. ValueError is raised for damaged weights.
    """
    try:
        if has_four_bits(config):
            return build_network(config, load_file(folder / "model.safetensors"))
        network, missing = load_blocks(folder, config)
    except (SafetensorError, FileNotFoundError) as error:
        raise ValueError(
            f"The weights in {folder} are truncated or damaged ({error}). Remove the "
            "folder and get the model again."
        ) from error
    if missing:
        raise ValueError(f"The weights in {folder} lack {', '.join(missing)}.")
    return network


def load_blocks(folder: Path, config: Any) -> tuple[nn.Module, list[str]]:
    """Load a model as transformers does.

    RETURNS (tuple[nn.Module, list[str]]): The model, and the names of the weights that are
        missing, without those of the pooler, which is not used.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # do not warn about the blocks that are left out
    try:
        network, info = network_class(config).from_pretrained(
            folder,
            config=config,
            torch_dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    return network, [key for key in info["missing_keys"] if "pooler" not in key]


def build_network(config: Any, weights: dict[str, Tensor]) -> nn.Module:
    """Build a model around weights, which are not copied.

    config (PretrainedConfig): The config.
    weights (dict[str, Tensor]): All weights by name, without those of a pooler.
    RETURNS (nn.Module): The model, in float32.
    """
    with no_init_weights():
        network = network_class(config)(config)
    drop_pooler(network)
    if has_four_bits(config):
        table = FourBitEmbedding(config.vocab_size, config.hidden_size)
        network.set_input_embeddings(table)
    network.load_state_dict(weights, assign=True)
    return network


def network_class(config: Any) -> type[PreTrainedModel]:
    """Find the class of a model. AutoModel would import every family to find it.

    config (PretrainedConfig): The config.
    RETURNS (type[PreTrainedModel]): The class. ValueError is raised if there is none.
    """
    if type(config) not in MODEL_MAPPING:
        raise ValueError(f"transformers has no model for a {type(config).__name__}.")
    found = MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def has_four_bits(config: Any) -> bool:
    """Check whether the table of wordpieces of a model has four bits a weight."""
    return getattr(config, "four_bit_vocabulary", False)


def drop_pooler(network: nn.Module) -> None:
    """Remove the pooler that BERT-like models have after their blocks.

    network (nn.Module): A model of transformers, changed in place.
    """
    if hasattr(network, "pooler"):
        network.pooler = None
