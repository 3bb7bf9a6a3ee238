"""Let the last block leave out what nobody reads of it: its outputs at first copies."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

# What a block of Llama's kind computes at each position alone, besides keys and values.
PARTS = ("self_attn.q_proj", "self_attn.o_proj", "mlp")
LLAMA_LIKE = {*PARTS, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}


@contextmanager
def outputs_from(block: nn.Module, column: int) -> Iterator[None]:
    """Let a block compute its outputs from one column on; those before have no meaning.
    Keys and values are computed for all columns. A block that is not of Llama's kind
    computes everything.

    block (nn.Module): The block.
    column (int): First column whose outputs are read.
    """

    def cut(part: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0][:, column:]

    def fill(part: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return pad(output, (0, 0, column, 0))

    modules = dict(block.named_modules())
    with ExitStack() as stack:
        if column and modules.keys() >= LLAMA_LIKE:
            for part in map(modules.get, PARTS):
                stack.callback(part.register_forward_pre_hook(cut).remove)
                stack.callback(part.register_forward_hook(fill).remove)
        yield
