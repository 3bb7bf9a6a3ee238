"""The shim through which thinc trains a head, a torch module, and predicts with it."""

import json
from typing import Any, Optional

import torch
from thinc.api import ArgsKwargs, Model, Optimizer, PyTorchShim, get_torch_default_device
from thinc.types import FloatsXd
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ..locks import COMPUTING


class HeadShim(PyTorchShim):
    """Hold a head. `grad_clip` of the optimizer bounds the norm of all gradients together,
    as in the paper (appendix B), while thinc bounds each parameter's norm. Weight decay
    does not apply to vectors, that is, to the mixing weights and the biases.

    The head stays in evaluation mode except during an update. thinc would switch the mode
    at each prediction, and other threads that share the head would see it.
    """

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the head without gradients."""
        with COMPUTING, torch.no_grad():
            return self._model(*inputs.args, **inputs.kwargs)

    def begin_update(self, inputs: ArgsKwargs) -> Any:
        """Run the head with gradients and with dropout."""
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
    """Get the head of a model with a `HeadShim`, or None before it has weights."""
    return model.shims[0]._model


def has_head(model: Model) -> bool:
    """Check whether a model with a `HeadShim` has weights."""
    return find_head(model) is not None


def place_head(model: Model, head: Any, have: dict[str, Any], component: str) -> None:
    """Put a head into a model whose settings match it.

    model (Model): A model with a `HeadShim`.
    head (Any): The head, a torch module with a `width`.
    have (dict[str, Any]): Settings of the head. ValueError is raised if an attribute of the
        model has another value.
    component (str): Name of the component, for the error message.
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
