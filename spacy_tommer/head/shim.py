"""How thinc holds a head, a torch module: it learns as the paper does, and predicts in
several threads."""

import json
from typing import Any, Optional

import torch
from thinc.api import ArgsKwargs, Model, Optimizer, PyTorchShim, get_torch_default_device
from thinc.types import FloatsXd
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ..locks import COMPUTING


class HeadShim(PyTorchShim):
    """Hold a head. `grad_clip` of the optimizer bounds the norm of all its gradients
    together, as in the paper (appendix B), where thinc bounds each parameter's; and weight
    decay leaves vectors alone: the mixing weights and the biases.

    The head is in evaluation mode, but while it learns. thinc switches the mode with each
    prediction, which other threads that share the head would see.
    """

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the head without gradients."""
        with COMPUTING, torch.no_grad():
            return self._model(*inputs.args, **inputs.kwargs)

    def begin_update(self, inputs: ArgsKwargs) -> Any:
        """Run the head with gradients, and with its dropout."""
        try:
            return super().begin_update(inputs)
        finally:
            self._model.eval()

    def finish_update(self, optimizer: Optimizer) -> None:
        """Update the weights."""
        if optimizer.grad_clip:
            clip_grad_norm_(self._model.parameters(), optimizer.grad_clip)
        decay = optimizer.L2

        def update(key: tuple, weights: FloatsXd, gradient: FloatsXd) -> tuple:
            optimizer.L2 = decay if weights.ndim > 1 else 0.0
            return optimizer(key, weights, gradient)

        super().finish_update(update)
        optimizer.L2 = decay


def find_head(model: Model) -> Optional[nn.Module]:
    """RETURNS (Optional[nn.Module]): The head of a model; None before it has weights."""
    return model.shims[0]._model


def has_head(model: Model) -> bool:
    """RETURNS (bool): Whether a model with a `HeadShim` has its weights."""
    return find_head(model) is not None


def place_head(model: Model, head: Any, have: dict[str, Any], component: str) -> None:
    """Put a head into a model whose config says the same of it.

    model (Model): A model with a `HeadShim`.
    head (Any): The head, a torch module with a `width`.
    have (dict[str, Any]): Its settings, which attributes of the model hold, too.
    component (str): Name of the component, for the error.
    """
    for name, value in have.items():
        if model.attrs[name] != value:
            raise ValueError(
                f"The head was made with {name} = {value!r}, and the config says "
                f"{model.attrs[name]!r}. Write in [components.{component}.model]:\n"
                f"    {name} = {json.dumps(value)}"
            )
    model.set_dim("nI", head.width, force=True)
    model.shims[0]._model = head.eval().to(get_torch_default_device())
