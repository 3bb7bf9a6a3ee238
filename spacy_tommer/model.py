"""Tommer.v1: from the states on the Docs to span logits, the thinc side of the head."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional

import numpy as np
import torch
from spacy.tokens import Doc
from thinc.api import (
    ArgsKwargs,
    Model,
    Optimizer,
    PyTorchShim,
    get_torch_default_device,
    torch2xp,
    xp2torch,
)
from thinc.types import Floats2d, FloatsXd, Ragged
from torch.nn.utils import clip_grad_norm_

from .checkpoints import head_from_bytes, head_to_bytes
from .head import MentionHead
from .states import Unit, read_states

# Units that the head scores at once, so that its memory does not grow with the batch.
BATCH_UNITS = 16384


def Tommer(
    unit: Unit = "token",
    layer: Optional[int] = None,
    rank: int = 64,
    max_length: int = 25,
    hidden: int = 128,
) -> Model[list[Doc], list[Ragged]]:
    """Build the model of the `tommer` component.

    unit (str): What a state stands for: "token" or "piece".
    layer (Optional[int]): The block that is read, counted from 0; by default the last
        one that the transformer gives.
    rank (int): Rank of the query and key projections.
    max_length (int): Longest mention, in units.
    hidden (int): Hidden units of the values that are added at the edges of a mention; 0 for
        the head of the paper.
    RETURNS (Model[List[Doc], List[Ragged]]): The model. For each Doc it gives span
        logits, one row per unit and one column per length, and how many units each
        token has.
    """
    if unit not in ("token", "piece"):
        raise ValueError(f'`unit` is "token" or "piece", not {unit!r}.')
    settings = {"rank": rank, "max_length": max_length, "hidden": hidden}
    shim = HeadShim(None, serialize_model=to_bytes, deserialize_model=from_bytes)
    return Model(
        "tommer",
        forward,
        init=init,
        dims={"nI": None},
        attrs={"unit": unit, "layer": layer, **settings},
        shims=[shim],
    )


class HeadShim(PyTorchShim):
    """Hold a head. `grad_clip` of the optimizer bounds the norm of all its gradients
    together, as in the paper (appendix B), where thinc bounds each parameter's; and weight
    decay leaves vectors alone: the mixing weights and the biases."""

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


def init(model: Model, X: Optional[Sequence[Doc]] = None, Y: Any = None) -> None:
    """Make a new head, as wide as the states of the given Docs, unless there is one."""
    if model.shims[0]._model is None:
        width = max(read(model, doc).dataXd.shape[1] for doc in X)
        attrs = model.attrs
        settings = (attrs[name] for name in ("rank", "max_length", "hidden"))
        set_head(model, MentionHead(width, *settings))


def get_head(model: Model) -> MentionHead:
    """Get the head of a model.

    model (Model): A model of the architecture Tommer.v1.
    RETURNS (MentionHead): Its head.
    """
    head = model.shims[0]._model
    if head is None:
        raise ValueError(
            "tommer has no weights yet. Load a pipeline that has them "
            '(spacy_tommer.load("minilm")), train one, or start from a shipped head '
            "and call nlp.initialize():\n"
            "    [initialize.components.tommer]\n"
            '    pretrained = "minilm"'
        )
    return head


def set_head(model: Model, head: MentionHead) -> None:
    """Give a model its head.

    model (Model): A model of the architecture Tommer.v1.
    head (MentionHead): The head, of the rank, length and so on that the model has.
    """
    have = {
        "rank": head.query.shape[1],
        "max_length": head.max_length,
        "hidden": head.hidden,
    }
    for name, value in have.items():
        if model.attrs[name] != value:
            raise ValueError(
                f"The head was made with {name} = {value}, and the config says "
                f"{model.attrs[name]}. Write in [components.tommer.model]:\n"
                f"    {name} = {value}"
            )
    model.set_dim("nI", head.query.shape[0], force=True)
    model.shims[0]._model = head.to(get_torch_default_device())


def to_bytes(head: Optional[MentionHead]) -> bytes:
    """Write the head of a model, if it has one, for thinc."""
    return head_to_bytes(head) if head is not None else b""


def from_bytes(
    head: Optional[MentionHead], data: bytes, device: torch.device
) -> Optional[MentionHead]:
    """Read the head of a model, if it had one, for thinc."""
    return head_from_bytes(data, "The saved head")[0].to(device) if data else None


def read(model: Model, doc: Doc) -> Ragged:
    """Read the states of a Doc that a model scores."""
    return read_states(doc, model.attrs["layer"], model.attrs["unit"])


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Ragged], Callable]:
    """Score the spans of Docs. No gradient goes to the states."""
    states = [read(model, doc) for doc in docs]
    if is_train:
        scores, backprop = score(model, states, is_train)
        return scores, lambda d_scores: (backprop(d_scores), list(docs))[1]
    parts = (score(model, part, is_train)[0] for part in by_size(states))
    return [scores for part in parts for scores in part], lambda d_scores: list(docs)


def score(
    model: Model, states: list[Ragged], is_train: bool
) -> tuple[list[Ragged], Callable[[Floats2d], Any]]:
    """Run the head once.

    model (Model): A model of the architecture Tommer.v1.
    states (list[Ragged]): States of each text. (units, d)
    is_train (bool): Whether gradients will be asked for.
    RETURNS (tuple): Logits of each text (units, L), and a callback that takes the
        gradient with respect to all of them, one text after the other.
    """
    head = get_head(model)
    lengths = [len(text.dataXd) for text in states]
    filled = [text.dataXd for text in states if len(text.dataXd)]
    if not filled:
        nothing = model.ops.alloc2f(0, head.max_length)
        return [Ragged(nothing, text.lengths) for text in states], lambda d_logits: None
    xp = model.ops.xp
    packed = xp.concatenate([xp.asarray(text) for text in filled], dtype="float32")
    if packed.shape[1] != head.query.shape[0]:
        raise ValueError(
            f"The head reads states of width {head.query.shape[0]}, and the transformer "
            f"gives {packed.shape[1]}: it is not the backbone that the head was trained "
            "on."
        )
    states_in = xp2torch(packed)
    lengths_in = torch.tensor(lengths, device=states_in.device)
    inputs = ArgsKwargs((states_in, lengths_in), {})
    output, backprop = model.shims[0](inputs, is_train)
    logits = torch2xp(output, ops=model.ops)
    ends = np.cumsum(lengths)
    scores = [
        Ragged(logits[end - length : end], text.lengths)
        for end, length, text in zip(ends, lengths, states)
    ]
    return scores, lambda d_logits: backprop(
        ArgsKwargs((output,), {"grad_tensors": xp2torch(d_logits)})
    )


def by_size(states: list[Ragged]) -> Iterator[list[Ragged]]:
    """Cut a list of texts into parts that the head scores at once.

    states (list[Ragged]): States of each text.
    YIELDS (list[Ragged]): Those of some texts, in order.
    """
    part: list[Ragged] = []
    units = 0
    for text in states:
        units += len(text.dataXd)
        if part and units > BATCH_UNITS:
            yield part
            part, units = [], len(text.dataXd)
        part.append(text)
    if part:
        yield part
