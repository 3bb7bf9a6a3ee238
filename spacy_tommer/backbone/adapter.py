"""LoRA adapters of language models, in the format of peft. An adapter is merged into the
weights when they are loaded, so that nothing is slower and a saved pipeline does not need
the adapter. The package peft is for training only."""

import json
from math import sqrt
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from ..tensors import from_bytes

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# Shipped models; the adapter of one is in its folder "adapter".
MODELS = Path(__file__).parents[1] / "models"
# What peft puts before and after the name of a layer.
ROOT = "base_model.model."
PARTS = (".lora_A.weight", ".lora_B.weight")
# Settings that ask for more than a product of two matrices, and the beginnings of values of
# `init_lora_weights` that change the weights of the model before training.
MORE = ("alora_invocation_tokens", "alpha_pattern", "layer_replication", "use_dora")
CHANGES_MODEL = ("corda", "loftq", "lora_ga", "olora", "pissa")


def adapter_files(place: Path) -> tuple[Path, Path]:
    """Find the files of an adapter, which both decide what is merged.

    place (Path): The folder that peft saved it to; or the name of a shipped model that has
        one, unless a folder of that name holds an adapter.
    RETURNS (tuple[Path, Path]): Its config and its weights, as safetensors. ValueError is
        raised if the folder lacks one of them.
    """
    shipped = MODELS / place / "adapter"
    folder = shipped if shipped.is_dir() and not (place / CONFIG).is_file() else place
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing == [WEIGHTS] and any(folder.glob("*.bin")):
        raise ValueError(
            f"The weights of the adapter {folder} are pickled, and loading them could run "
            "any code. Load the adapter with peft where you trust it, and save it with "
            "model.save_pretrained(folder, safe_serialization=True)."
        )
    if missing:
        raise ValueError(
            f"The adapter {folder} lacks {' and '.join(missing)}. Name a folder that peft "
            "saved an adapter to, or a shipped model that has one, in `adapter` of "
            "[components.transformer.model]."
        )
    return folder / CONFIG, folder / WEIGHTS


def merge_adapter(network: PreTrainedModel, place: Path) -> PreTrainedModel:
    """Merge an adapter into the weights of a model. Its parts for blocks that the model
    does not have are left out.

    network (PreTrainedModel): The model, changed in place.
    place (Path): The folder of the adapter, or the name of a shipped model that has one.
    RETURNS (PreTrainedModel): The model. ValueError is raised for an adapter of another
        kind or of another model, and for damaged files.
    """
    config, path = adapter_files(place)
    settings = read_settings(config)
    weights, _ = from_bytes(path.read_bytes(), f"The file {path}")
    # A model for text generation has the network, and the names of its layers, inside.
    inner = f"{network.base_model_prefix}."
    modules = dict(network.named_modules())
    pairs = {
        name: pair
        for layer, pair in pair_up(weights, config.parent).items()
        if (name := layer.removeprefix(inner)) in modules
    }
    if not pairs:
        one = next(iter(weights), "weights at all")
        raise misfit(config.parent, f"the blocks that are read have no {one}")
    for name, (first, second) in pairs.items():
        product = second @ first
        change = product.T if settings.get("fan_in_fan_out") else product
        own = getattr(modules[name], "weight", None)
        if own is None or own.shape != change.shape:
            raise misfit(config.parent, f"the layer {name} has another shape")
        size = sqrt(len(first)) if settings.get("use_rslora") else len(first)
        own.data += change * (settings["lora_alpha"] / size)
    return network


def read_settings(path: Path) -> dict[str, Any]:
    """Read the config of an adapter.

    path (Path): The file that peft wrote.
    RETURNS (dict[str, Any]): Its settings. ValueError is raised for a damaged file, and for
        an adapter that is not the product of two matrices for each layer.
    """
    try:
        settings = json.loads(path.read_text("utf-8"))
        kind = settings["peft_type"]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"The file {path} is damaged ({type(error).__name__}: {error}). Copy the "
            "adapter again."
        ) from error
    if kind != "LORA":
        raise unmergeable(path.parent, f"is of the kind {kind}, expected LORA")
    more = [name for name in MORE if settings.get(name)]
    if str(settings.get("init_lora_weights")).startswith(CHANGES_MODEL):
        more.append("init_lora_weights")
    if not isinstance(settings.get("lora_alpha"), (int, float)):
        more.append("lora_alpha")
    if more:
        raise unmergeable(path.parent, f"has a value of `{more[0]}` that is not known here")
    return settings


def pair_up(weights: dict[str, Tensor], folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Find both matrices of each layer.

    weights (dict[str, Tensor]): The tensors of an adapter by the names that peft gives.
    folder (Path): The folder of the adapter, for error messages.
    RETURNS (dict[str, tuple[Tensor, Tensor]]): By the name of the layer, a matrix of shape
        (rank, inputs), which comes first, and one of shape (outputs, rank), in float32.
        ValueError is raised for other tensors.
    """
    names = {
        name.removesuffix(part): [name.removesuffix(part) + one for one in PARTS]
        for name in weights
        for part in PARTS
        if name.endswith(part)
    }
    for name in sorted(weights.keys() ^ {name for both in names.values() for name in both}):
        raise unmergeable(folder, f"{'has' if name in weights else 'lacks'} {name}")
    pairs = {}
    for layer, (first, second) in names.items():
        pair = weights[first].float(), weights[second].float()
        if pair[0].dim() != 2 or pair[1].shape[1:] != pair[0].shape[:1]:
            raise unmergeable(folder, f"has no matrices for {layer} that can be multiplied")
        pairs[layer.removeprefix(ROOT)] = pair
    return pairs


def unmergeable(folder: Path, reason: str) -> ValueError:
    """Make the error for an adapter of another kind."""
    return ValueError(
        f"The adapter {folder} {reason}. Merge it with peft, by model.merge_and_unload(), "
        "and name the folder of the merged model in `name` of "
        "[components.transformer.model], without `adapter`."
    )


def misfit(folder: Path, reason: str) -> ValueError:
    """Make the error for an adapter of another model."""
    return ValueError(
        f"The adapter {folder} does not fit the backbone ({reason}). Use the backbone that "
        f"`base_model_name_or_path` in its {CONFIG} names."
    )
