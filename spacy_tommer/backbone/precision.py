"""The precision that a language model computes in."""

from typing import Any, Literal, get_args

import torch
from torch import nn

Precision = Literal["float32", "bfloat16", "int8"]
Wanted = Literal["float32", "bfloat16", "int8", "auto"]

# What torch calls the instructions for bfloat16 of x86 and Arm processors.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


def check_precision(wanted: str) -> None:
    """Raise ValueError for an unknown precision, and ImportError for one whose package is
    not installed.

    wanted (str): The precision, or "auto".
    """
    if wanted not in get_args(Wanted):
        raise ValueError(
            f"`precision` of spacy_tommer.Backbone.v1 is {wanted!r}, expected one of "
            f"{', '.join(get_args(Wanted))}."
        )
    if wanted == "int8":
        import_torchao()


def resolve(wanted: Wanted, device: torch.device) -> Precision:
    """Choose the precision on a device.

    wanted (str): The precision, or "auto".
    device (torch.device): The device that computes.
    RETURNS (str): The wanted precision; for "auto" bfloat16 if the processor computes in
        it, otherwise float32.
    """
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Check whether a processor has instructions for bfloat16, as far as torch tells."""
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported() is also True where bfloat16 is emulated.
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    # Older versions of torch do not tell what the processor has.
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in BFLOAT16)


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
    """Let linear layers multiply integers: weights that are scaled by output, and
    activations that are scaled by wordpiece.

    blocks (nn.ModuleList): The blocks with the layers, changed in place. ValueError is
        raised if they have none.
    """
    if not any(isinstance(module, nn.Linear) for module in blocks.modules()):
        raise ValueError(
            "The blocks of this backbone have no layers of the class torch.nn.Linear, for "
            'which int8 is. Write in [components.transformer.model]: precision = "bfloat16"'
        )
    torchao = import_torchao()
    device = next(blocks.parameters()).device
    # Without VNNI, sums of products of eight bits overflow.
    reduced = torchao.utils.should_reduce_range(device)
    config = torchao.quantization.Int8DynamicActivationInt8WeightConfig(
        reduce_range=reduced, set_inductor_config=False
    )
    torchao.quantization.quantize_(blocks, config)


def import_torchao() -> Any:
    """Import torchao. ImportError, with the line to run, is raised if it is missing."""
    try:
        import torchao.quantization
        import torchao.utils
    except ImportError as error:
        raise ImportError(
            'precision = "int8" needs the package torchao. Run: '
            "pip install 'spacy-tommer[int8]'"
        ) from error
    return torchao
