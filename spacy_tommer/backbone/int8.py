"""A linear layer that multiplies integers of eight bits.

Axis letters: N wordpieces; I inputs; O outputs.
"""

import torch
from torch import Tensor, nn

LARGEST = 127
TINY = torch.finfo(torch.float32).tiny


class Int8Linear(nn.Module):
    """Compute nearly what a linear layer computes. The weights of each output are rounded
    to multiples of a step, and so are the distances of the inputs of each wordpiece from
    the middle of their range. A wordpiece has the same outputs in every batch.

    linear (nn.Linear): The layer, in float32.
    integers (bool): Whether the products are of integers of eight bits, for which a
        processor needs instructions to be fast; otherwise of the same numbers in float32.
    """

    def __init__(self, linear: nn.Linear, integers: bool = True) -> None:
        super().__init__()
        self.integers = integers
        weight = linear.weight.data
        steps = weight.abs().amax(1).div_(LARGEST).clamp_(min=TINY)
        whole = (weight / steps[:, None]).round_()
        bias = torch.zeros_like(steps) if linear.bias is None else linear.bias.data
        self.register_buffer("weight", whole.to(torch.int8).T)  # (I, O)
        self.register_buffer("steps", steps)  # (O,)
        self.register_buffer("sums", whole.sum(1) * steps)  # (O,)
        self.register_buffer("bias", bias)  # (O,)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs. (..., I) -> (..., O)"""
        rows = inputs.flatten(0, -2)  # (N, I)
        high, low = rows.amax(1, keepdim=True), rows.amin(1, keepdim=True)
        middle = (high + low) / 2  # (N, 1)
        steps = ((high - low) / (2 * LARGEST)).clamp_(min=TINY)  # (N, 1)
        whole = (rows - middle).mul_(1 / steps).round_()
        outputs = self.multiply(whole).mul_(steps)  # (N, O)
        torch.addcmul(self.bias, outputs, self.steps, out=outputs)
        outputs.addcmul_(middle, self.sums)
        return outputs.unflatten(0, inputs.shape[:-1])

    def multiply(self, whole: Tensor) -> Tensor:
        """Multiply whole numbers with the weights. (N, I) -> (N, O)"""
        if not self.integers:
            return whole @ self.weight.float()
        products = torch._int_mm(whole.to(torch.int8), self.weight)
        # In the same memory: new memory of this size costs as much as the conversion.
        return products.view(torch.float32).copy_(products)
