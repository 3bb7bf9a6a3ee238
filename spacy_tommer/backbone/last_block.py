"""Let the last block compute only the outputs that are read: its keys and values are needed
everywhere, and all else only at the wordpieces whose states are kept."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

# By family, the modules of a block that work on each position alone, except keys and
# values, and what is done with positions before and after them. Other modules are cheap.
SELECT, FILL, BOTH = "select", "fill", "both"
LLAMA = {"self_attn.q_proj": BOTH, "self_attn.o_proj": BOTH, "mlp": BOTH}
BERT = {
    "attention.self.query": BOTH,
    "attention.output.dense": BOTH,
    "intermediate": SELECT,
    "output.dense": FILL,
}
MPNET = {
    "attention.attn.q": BOTH,
    "attention.attn.o": BOTH,
    "intermediate": SELECT,
    "output.dense": FILL,
}
# Modules that a family has, and others with the names above lack.
OWN = {
    "mlp.gate_proj": LLAMA,
    "attention.self.value": BERT,
    "attention.attn.v": MPNET,
}


@contextmanager
def outputs_at(block: nn.Module, cells: Tensor, shape: tuple[int, int]) -> Iterator[None]:
    """Make a block compute its outputs at some positions. Those at others are undefined. A
    block of another family computes everything.

    block (nn.Module): The block.
    cells (Tensor): The positions, in the flattened batch. (K,)
    shape (tuple[int, int]): Shape of the batch: rows and wordpieces, B and T.
    """

    def select(part: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0].flatten(0, 1)[cells][None]  # (1, K, d)

    def fill(part: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        every = output.new_zeros(shape[0] * shape[1], output.shape[-1])
        return every.index_copy_(0, cells, output[0]).unflatten(0, shape)  # (B, T, d)

    modules = dict(block.named_modules())
    with ExitStack() as stack:
        for name, what in find_parts(modules).items():
            part = modules[name]
            if what in (SELECT, BOTH):
                stack.callback(part.register_forward_pre_hook(select).remove)
            if what in (FILL, BOTH):
                stack.callback(part.register_forward_hook(fill).remove)
        yield


def find_parts(modules: dict[str, nn.Module]) -> dict[str, str]:
    """Find the modules of a block that work on each position alone.

    modules (dict[str, nn.Module]): All modules of the block, by name.
    RETURNS (dict[str, str]): What is done before and after each; nothing for a block of
        another family.
    """
    for own, parts in OWN.items():
        if own in modules and modules.keys() >= parts.keys():
            return parts
    return {}
