"""TypeScorer.v1: the thinc model of the head that assigns types to mentions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, torch2xp, xp2torch
from thinc.types import Floats2d
from thinc.util import get_array_module

from ..backbone.states import read_states
from ..head.shim import HeadShim, place_head
from ..tensors import from_bytes, to_bytes
from .head import TypeHead

# Mentions that are scored at once. This bounds the memory, whatever the size of a Doc.
BATCH_MENTIONS = 4096


@dataclass
class TypeQuestion:
    """Hold mentions, and the types that they are compared with.

    docs (Sequence[Doc]): Docs with states.
    spans (Sequence[NDArray]): For each Doc, start and end (exclusive) of its mentions, in
        tokens. (m, 2)
    definitions (NDArray): The vector of each type. (C, d)
    """

    docs: Sequence[Doc]
    spans: Sequence[NDArray[np.intp]]
    definitions: NDArray[np.float32]


def TypeScorer(
    layer: Optional[int] = None,
    definition_layer: Optional[int] = None,
    hidden: int = 512,
) -> Model[TypeQuestion, Floats2d]:
    """Build the model of the `tommer_zeroshot` component.

    layer (Optional[int]): The block whose states represent mentions, counted from 0; by
        default that of a shipped head, or the last one that the transformer writes.
    definition_layer (Optional[int]): The block whose states represent definitions, with the
        same default. It may be deeper than the blocks that Backbone.v1 writes.
    hidden (int): Hidden units of the projection of mentions.
    RETURNS (Model[TypeQuestion, Floats2d]): The model. It returns the logits of each type
        against none, one row per mention. (M, C)
    """
    shim = HeadShim(None, serialize_model=write, deserialize_model=read)
    return Model(
        "type_scorer",
        forward,
        dims={"nI": None},
        attrs={
            "layer": layer,
            "definition_layer": definition_layer,
            "hidden": hidden,
            "threshold": 0.5,
            "vectors": {},
            "precision": "float32",
        },
        shims=[shim],
    )


def set_type_head(model: Model, head: TypeHead) -> None:
    """Put a head into a model.

    model (Model): A model of the architecture TypeScorer.v1.
    head (TypeHead): The head. ValueError is raised if its `hidden` is not the model's.
    """
    place_head(model, head, {"hidden": head.hidden}, "tommer_zeroshot")


def write(head: Optional[TypeHead], **metadata: str) -> bytes:
    """Write a head as safetensors.

    metadata (str): Further entries of the file's metadata, such as the backbone.
    RETURNS (bytes): A whole safetensors file; no bytes without a head.
    """
    return b"" if head is None else to_bytes(head.state_dict(), metadata)


def read_type_head(data: bytes, origin: str) -> tuple[TypeHead, dict[str, str]]:
    """Read a head from safetensors.

    data (bytes): A whole safetensors file.
    origin (str): Where the bytes come from, for error messages.
    RETURNS (tuple[TypeHead, dict[str, str]]): The head and the file's metadata. ValueError
        is raised for bytes that do not hold a valid head.
    """
    weights, metadata = from_bytes(data, origin)
    if "mention.5.weight" not in weights or "centre" not in weights:
        raise ValueError(
            f"{origin} holds no head that types mentions: expected the tensors "
            "'mention.5.weight' and 'centre'."
        )
    width, hidden = weights["mention.5.weight"].shape
    head = TypeHead(width, hidden)
    try:
        head.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{origin} is damaged: its tensors do not make a head ({error})."
        ) from error
    return head.eval(), metadata


def read(head: Any, data: bytes, device: torch.device) -> Optional[TypeHead]:
    """Read what `write` wrote: a head, or None for a model without one."""
    return read_type_head(data, "The saved head")[0].to(device) if data else None


def forward(
    model: Model, question: TypeQuestion, is_train: bool
) -> tuple[Floats2d, Callable]:
    """Score mentions against types. No gradient flows back to the states."""
    vectors = mention_vectors(model, question)
    definitions = model.ops.asarray2f(question.definitions)
    if is_train:
        return score(model, vectors, definitions, True)
    starts = range(0, len(vectors), BATCH_MENTIONS)
    parts = (vectors[start : start + BATCH_MENTIONS] for start in starts)
    scores = [score(model, part, definitions, False)[0] for part in parts]
    nothing = model.ops.alloc2f(0, len(definitions))
    return model.ops.xp.concatenate([nothing, *scores]), lambda d_scores: question


def score(
    model: Model, vectors: Floats2d, definitions: Floats2d, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], Any]]:
    """Run the head once.

    model (Model): A model of the architecture TypeScorer.v1.
    vectors (Floats2d): Vectors of mentions. (M, 3d)
    definitions (Floats2d): Vectors of types. (C, d)
    is_train (bool): Whether gradients are needed.
    RETURNS (tuple): Logits (M, C), and a callback that takes their gradient (M, C).
    """
    inputs = tuple(xp2torch(array) for array in (vectors, definitions))
    output, backprop = model.shims[0](ArgsKwargs(inputs, {}), is_train)
    return torch2xp(output, ops=model.ops), lambda d_scores: backprop(
        ArgsKwargs((output,), {"grad_tensors": xp2torch(d_scores)})
    )


def mention_vectors(model: Model, question: TypeQuestion) -> Floats2d:
    """Build the vectors of mentions from the states of their Docs.

    model (Model): A model of the architecture TypeScorer.v1.
    question (TypeQuestion): The mentions. ValueError is raised if the width of their states
        is not that of the head.
    RETURNS (Floats2d): For each mention the states of its first and last unit, and the mean
        of all its states; zeros in a Doc without wordpieces. (M, 3d)
    """
    width = model.get_dim("nI")
    rows = [model.ops.alloc2f(0, 3 * width)]
    for doc, spans in zip(question.docs, question.spans):
        if len(spans):
            states = read_states(doc, model.attrs["layer"])
            if not len(states.dataXd):
                rows.append(model.ops.alloc2f(len(spans), 3 * width))
                continue
            if states.dataXd.shape[1] != width:
                raise ValueError(
                    f"The head that types mentions reads states of width {width}, and the "
                    f"transformer writes {states.dataXd.shape[1]}. Use the backbone that "
                    "the head was trained on in [components.transformer.model]."
                )
            rows.append(span_vectors(states.dataXd, states.lengths, spans))
    return model.ops.xp.concatenate([model.ops.asarray2f(part) for part in rows])


def edge_rows(lengths: NDArray, spans: NDArray) -> NDArray[np.intp]:
    """Find the states at both edges of spans.

    lengths (NDArray): 1 for a token that has a state, otherwise 0. (T,)
    spans (NDArray): Start and end (exclusive) of each span, in tokens. (m, 2)
    RETURNS (NDArray): Numbers of the states of the first and of the last token. A token
        without a state uses that of the token before it. (2, m)
    """
    place = np.maximum(np.cumsum(lengths) - 1, 0)
    return np.stack([place[spans[:, 0]], place[spans[:, 1] - 1]])


def span_vectors(states: Any, lengths: NDArray, spans: NDArray) -> Any:
    """Concatenate the states at both edges of spans and the mean of their states.

    states (Floats2d): The state of each token that has one. (N, d)
    lengths (NDArray): 1 for a token that has a state, otherwise 0. (T,)
    spans (NDArray): Start and end (exclusive) of each span, in tokens. (m, 2)
    RETURNS (Floats2d): The vectors, with the states of `edge_rows`. (m, 3d)
    """
    xp = get_array_module(states)
    first, last = xp.asarray(edge_rows(lengths, spans))
    total = xp.cumsum(states, axis=0, dtype="float64")
    count = (last + 1 - first)[:, None]
    mean = (total[last] - total[first] + states[first]) / count
    return xp.concatenate([states[first], states[last], mean], axis=1, dtype="float32")
