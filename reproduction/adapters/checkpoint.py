"""The state of a training that was interrupted, as safetensors."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spacy_tommer.files import write_aside

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(
    path: Path,
    weights: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
    identity: dict[str, Any],
) -> None:
    """Write a checkpoint. It appears whole or not at all.

    path (Path): The file.
    weights (dict[str, Tensor]): Whatever has been learnt, by name.
    optimizer (Optimizer): AdamW over the first of these weights, in this order.
    progress (dict[str, Any]): Where training is, with "step".
    identity (dict[str, Any]): All that a training must share to go on from it.
    """
    states = optimizer.state_dict()["state"]
    tensors = {f"weights.{name}": tensor.detach() for name, tensor in weights.items()}
    for i, state in states.items():
        tensors.update({f"{moment}.{i}": state[moment] for moment in MOMENTS})
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"progress": json.dumps(progress), "identity": json.dumps(identity)}
    write_aside(path, lambda aside: save_file(tensors, aside, metadata))


def load_checkpoint(
    path: Path,
    weights: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> dict[str, Any]:
    """Put a checkpoint into the weights and the optimizer.

    path (Path): The file.
    weights (dict[str, Tensor]): The weights by name, changed in place.
    optimizer (Optimizer): The optimizer, changed in place.
    identity (dict[str, Any]): What this training is.
    RETURNS (dict[str, Any]): Where training was. ValueError is raised for a checkpoint of
        another training.
    """
    with safe_open(path, "pt") as file:
        kept = set(file.keys())
        metadata = file.metadata()
        before = json.loads(metadata["identity"])
        for key, value in identity.items():
            if before.get(key) != value:
                raise ValueError(
                    f"The file {path} is of a training with {key} = {before.get(key)!r}, "
                    f"and this one has {value!r}. Give the same settings to go on with it, "
                    "or remove the file to start anew."
                )
        progress = json.loads(metadata["progress"])
        for name, tensor in weights.items():
            tensor.data.copy_(file.get_tensor(f"weights.{name}"))
        state = optimizer.state_dict()
        indices = [i for group in state["param_groups"] for i in group["params"]]
        state["state"] = {
            i: {moment: file.get_tensor(f"{moment}.{i}") for moment in MOMENTS}
            for i in indices
            if f"step.{i}" in kept
        }
    optimizer.load_state_dict(state)
    return progress
