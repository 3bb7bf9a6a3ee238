"""Weights in four bits, as Q4_0 of GGUF has them: blocks of neighbours that share a step.

Axis letters: V rows of a table; d width; G blocks of a row, d / 32; ... any shape.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Weights in a block.
BLOCK = 32
# The step in half precision, then two weights a byte: the low halves of the bytes are the
# first 16 weights, the high halves the others.
LAYOUT = np.dtype([("step", "<f2"), ("codes", "u1", BLOCK // 2)])


def split_blocks(data: bytes, width: int) -> tuple[Tensor, Tensor]:
    """Split the bytes of a table into codes and steps.

    data (bytes): The blocks, row by row.
    width (int): Weights in a row, a multiple of 32.
    RETURNS (tuple[Tensor, Tensor]): Codes (V, G, 16), two in each uint8, and steps (V, G)
        in float32.
    """
    blocks: NDArray = np.frombuffer(data, LAYOUT).reshape(-1, width // BLOCK)
    codes = np.ascontiguousarray(blocks["codes"])
    return torch.from_numpy(codes), torch.from_numpy(blocks["step"].astype("f4"))


def unpack(codes: Tensor, steps: Tensor) -> Tensor:
    """Compute weights from their codes.

    codes (Tensor): Two codes in each uint8. (..., G, 16)
    steps (Tensor): The steps. (..., G)
    RETURNS (Tensor): The weights, in the precision of the steps. (..., d)
    """
    whole = torch.cat((codes & 15, codes >> 4), dim=-1).to(steps.dtype)  # (..., G, 32)
    return whole.sub_(8).mul_(steps[..., None]).flatten(-2)


class FourBitEmbedding(nn.Module):
    """Look up rows of a table that stays in four bits, an eighth of its size in float32.

    rows (int): How many rows it has, V.
    width (int): Weights in a row, d.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        shape = (rows, width // BLOCK)
        self.register_buffer("codes", torch.empty(*shape, BLOCK // 2, dtype=torch.uint8))
        self.steps = nn.Parameter(torch.empty(shape), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up rows. (...) -> (..., d)"""
        flat = ids.flatten()
        codes, steps = (table.index_select(0, flat) for table in (self.codes, self.steps))
        return unpack(codes, steps).unflatten(0, ids.shape)
