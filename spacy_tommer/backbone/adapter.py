"""LoRA adapters of language models, in the format of peft. An adapter is merged into the
weights when they are loaded, so that nothing is slower and a saved pipeline needs neither
the adapter nor peft."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def import_peft() -> Any:
    """Import peft. ImportError, with the line to run, is raised if it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            "Adapters need the package peft. Run: pip install 'spacy-tommer[lora]'"
        ) from error
    return peft


def adapter_files(folder: Path) -> tuple[Path, Path]:
    """Find the files of an adapter, which both decide what is merged.

    folder (Path): The folder that peft saved it to.
    RETURNS (tuple[Path, Path]): Its config and its weights, as safetensors. ValueError is
        raised if the folder lacks one of them.
    """
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
            "saved an adapter to in `adapter` of [components.transformer.model]."
        )
    return folder / CONFIG, folder / WEIGHTS


def merge_adapter(network: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Merge an adapter into the weights of a model. Its parts for blocks that the model
    does not have are left out.

    network (PreTrainedModel): The model, changed in place.
    folder (Path): The folder that peft saved the adapter to.
    RETURNS (PreTrainedModel): The model, without any module of peft. ValueError is raised
        for an adapter of another kind or of another model.
    """
    _, path = adapter_files(folder)
    peft = import_peft()
    config = peft.PeftConfig.from_pretrained(str(folder))
    if not isinstance(config, peft.LoraConfig):
        raise ValueError(
            f"The adapter {folder} is of the kind {config.peft_type}, expected LORA."
        )
    # Layers that the adapter has no weights for stay as they are.
    config.init_lora_weights, config.layers_to_transform = True, None
    # A model for text generation has the network, and the names of its weights, inside.
    inner = f"base_model.model.{network.base_model_prefix}."
    weights = {
        name.replace(inner, "base_model.model.", 1): tensor
        for name, tensor in load_file(path).items()
    }
    try:
        with torch.random.fork_rng(devices=[]):  # it draws weights that are then replaced
            adapted = peft.PeftModel(network, config)
        result = peft.set_peft_model_state_dict(adapted, weights)
    except (RuntimeError, ValueError) as error:
        raise misfit(folder, str(error)) from error
    if len(result.unexpected_keys) == len(weights):
        one = next(iter(weights), "weights at all")
        raise misfit(folder, f"the blocks that are read have no {one}")
    return adapted.merge_and_unload()


def misfit(folder: Path, reason: str) -> ValueError:
    """Make the error for an adapter of another model."""
    return ValueError(
        f"The adapter {folder} does not fit the backbone ({reason}). Use the backbone that "
        f"`base_model_name_or_path` in its {CONFIG} names."
    )
