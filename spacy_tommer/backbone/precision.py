"""The precision that a language model computes in."""

from typing import Any, Literal, get_args

import torch
from torch import nn

from .int8 import Int8Linear

Precision = Literal["float32", "bfloat16", "int8"]
Wanted = Literal["float32", "bfloat16", "int8", "auto"]

# What torch calls the instructions for bfloat16 of x86 and Arm processors, and those for
# sums of products of eight bits (VNNI).
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")


def check_precision(wanted: str) -> None:
    """Raise ValueError for an unknown precision, and ImportError for one that this torch
    does not compute in.

    wanted (str): The precision, or "auto".
    """
    if wanted not in get_args(Wanted):
        raise ValueError(
            f"`precision` of spacy_tommer.Backbone.v1 is {wanted!r}, expected one of "
            f"{', '.join(get_args(Wanted))}."
        )
    if wanted == "int8" and torch.__version__ < (2, 4):
        raise ImportError(
            'precision = "int8" needs torch 2.4 or a later one. Run: '
            "pip install -U 'torch>=2.4'"
        )


def resolve(wanted: Wanted, device: torch.device) -> Precision:
    """Choose the precision on a device.

    wanted (str): The precision, or "auto".
    device (torch.device): The device that computes.
    RETURNS (str): The wanted precision; for "auto" bfloat16 if the processor computes in
        it, otherwise float32. ValueError is raised for int8 on a GPU.
    """
    if wanted == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if wanted == "int8" and device.type != "cpu":
        raise ValueError(
            'precision = "int8" is for the CPU. On a GPU, write in '
            '[components.transformer.model]: precision = "bfloat16"'
        )
    return wanted


def has_bfloat16(device: torch.device) -> bool:
    """Check whether a processor has instructions for bfloat16, as far as torch tells."""
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported() is also True where bfloat16 is emulated.
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Without oneDNN, as on macOS, torch has no fast products of bfloat16.
    onednn = torch.backends.mkldnn.is_available()
    return device.type == "cpu" and onednn and has_instructions(BFLOAT16)


def has_instructions(names: tuple[str, ...]) -> bool:
    """Check whether the CPU has some of the instructions, as far as torch tells."""
    # Older versions of torch do not tell what the processor has.
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in names)


def lower(network: nn.Module, blocks: nn.ModuleList, precision: Precision) -> None:
    """Let a model compute in a precision.

    network (nn.Module): The model, in float32, changed in place. Its former weights are
        replaced and not overwritten.
    blocks (nn.ModuleList): Its blocks, whose linear layers int8 is for.
    precision (str): The precision.
    """
    if precision == "bfloat16":
        # Buffers stay: rotary embeddings lose their positions in bfloat16.
        for weight in network.parameters():
            weight.data = weight.data.to(torch.bfloat16)
    elif precision == "int8":
        quantize(blocks)


def quantize(blocks: nn.ModuleList) -> None:
    """Let linear layers multiply integers.

    blocks (nn.ModuleList): The blocks with the layers, changed in place. ValueError is
        raised if they have none.
    """
    layers = [
        (module, name, layer)
        for module in blocks.modules()
        for name, layer in module.named_children()
        if isinstance(layer, nn.Linear)
    ]
    if not layers:
        raise ValueError(
            "The blocks of this backbone have no layers of the class torch.nn.Linear, for "
            'which int8 is. Write in [components.transformer.model]: precision = "bfloat16"'
        )
    # Without VNNI, torch multiplies integers many times slower than float32, and sums of
    # two products of eight bits overflow.
    integers = has_instructions(VNNI)
    for module, name, layer in layers:
        setattr(module, name, Int8Linear(layer, integers))
