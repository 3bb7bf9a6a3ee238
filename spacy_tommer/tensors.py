"""Tensors and their metadata as safetensors, in bytes or in a file."""

import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


def to_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Write tensors.

    tensors (dict[str, Tensor]): Tensors by name.
    metadata (dict[str, str]): Further entries for the header.
    RETURNS (bytes): A whole safetensors file.
    """
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(tensors, metadata)


def from_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Map the tensors of a file into memory. Changes of them are not written to it.

    path (Path): A safetensors file.
    RETURNS (tuple): Tensors by name, on the CPU, and the metadata. ValueError is raised for
        a file that is missing, truncated or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file_:
            tensors = {name: file_.get_tensor(name) for name in file_.keys()}  # noqa: SIM118
            return tensors, file_.metadata() or {}
    except (SafetensorError, FileNotFoundError) as error:
        raise ValueError(
            f"The file {path} is missing, cut off or damaged ({error}). Copy or download "
            "it again."
        ) from error


def from_bytes(data: bytes, origin: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors.

    data (bytes): A whole safetensors file.
    origin (str): Where the bytes come from, for the error message.
    RETURNS (tuple): Tensors by name, on the CPU, and the metadata. ValueError is raised for
        bytes that are truncated or damaged.
    """
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        raise ValueError(
            f"{origin} is cut off or damaged ({error}). Copy or download it again."
        ) from error
    # The first eight bytes are the length of the header, which is JSON. The library returns
    # the metadata of files only, not of bytes.
    length = int.from_bytes(data[:8], "little")
    return tensors, json.loads(data[8 : 8 + length]).get("__metadata__", {})
