"""An estimate of the memory that training needs, from the shapes of the model alone."""

import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from spacy_tommer.backbone.language_model import find_blocks
from spacy_tommer.backbone.sources import find_config, find_folder, is_packed, local_path
from spacy_tommer.entities.head import TypeHead

from .model import BATCH_PIECES, adapted_layers, linear_layers
from .recipe import Recipe

# Wordpieces of a token, about.
PIECES_PER_TOKEN = 1.4
# Weight, gradient and two moments in float32.
TRAINED = 16


def estimate_memory(recipe: Recipe) -> dict[str, int]:
    """Estimate the memory that training needs.

    recipe (Recipe): The settings. The config of the model suffices, except for a file that
        must be converted.
    RETURNS (dict[str, int]): Bytes by what needs them. ValueError is raised if the model
        has too few blocks, OSError if there is no such model.
    """
    blocks = recipe.layer + 1
    path = find_config(recipe.backbone, blocks)
    if path is None and is_packed(local_path(recipe.backbone)):
        path = find_folder(recipe.backbone, blocks) / "config.json"
    config = AutoConfig.from_pretrained(recipe.backbone if path is None else path.parent)
    if config.num_hidden_layers < blocks:
        raise ValueError(
            f"{recipe.backbone!r} has blocks 0 to {config.num_hidden_layers - 1}, and "
            f"--layer is {recipe.layer}."
        )
    config.num_hidden_layers = blocks
    with torch.device("meta"):
        network = AutoModel.from_config(config)
        head = TypeHead(config.hidden_size)
    names = adapted_layers(network)
    layers = list(linear_layers(network))
    size = 2 if recipe.precision == "bfloat16" else 4
    linear = sum(count(layer) for _, layer in layers)
    lora = sum(
        recipe.rank * (layer.in_features + layer.out_features)
        for name, layer in layers
        if name in names
    )
    pieces = recipe.batch_words * recipe.passes * PIECES_PER_TOKEN
    inside = sum(
        layer.in_features + layer.out_features
        for _, layer in linear_layers(find_blocks(network)[0])
    )
    return {
        "weights": linear * size + (count(network) - linear) * 4,
        "adapter, its gradient and moments": lora * TRAINED,
        "head, its gradient and moments": count(head) * TRAINED,
        "outputs of all blocks": round(pieces * blocks * config.hidden_size * 4),
        "inside of one block": round(min(pieces, BATCH_PIECES) * inside * (size + 4)),
    }


def count(module: nn.Module) -> int:
    """Count the weights of a module."""
    return sum(weights.numel() for weights in module.parameters())


def describe_memory(parts: dict[str, int]) -> str:
    """Write an estimate as lines of text."""
    lines = {**parts, "together": sum(parts.values())}
    return "Memory in training, about:\n" + "\n".join(
        f"{size / 2**30:8.2f} GiB  {name}" for name, size in lines.items()
    )
