"""Tommer.v1: the thinc model that turns the states of Docs into span logits."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Optional, Union

import numpy as np
import torch
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from thinc.api import (
    ArgsKwargs,
    Model,
    torch2xp,
    xp2torch,
)
from thinc.types import FloatsXd, Ragged
from thinc.util import get_array_module

from ..backbone.spec import BackboneSpec
from ..backbone.states import Unit, read_attention, read_states
from ..keys import MENTION
from .checkpoints import head_from_bytes, head_to_bytes
from .head import MentionHead, check_kinds
from .matching import MatchingSlot, ToMSlot, as_slot
from .shim import HeadShim, find_head, has_head, place_head
from .wordpieces import bar_inside, words_of

# Units that the head scores at once. This bounds its memory, whatever the batch size, and
# lets the blocks of a batch use the same memory in turn.
BATCH_UNITS = 2048

DEFAULT_MATCHING = ToMSlot()


def Tommer(
    unit: Unit = "token",
    layer: Optional[int] = None,
    rank: Optional[int] = None,
    max_length: int = 25,
    hidden: int = 128,
    matching: Union[str, MatchingSlot] = DEFAULT_MATCHING,
    kinds: Union[str, Sequence[str]] = (MENTION,),
    sources: Optional[Sequence[str]] = None,
) -> Model[list[Doc], list[Ragged]]:
    """Build the model of the `tommer` component.

    unit (str): What a state represents: "token" or "piece".
    layer (Optional[int]): The block whose states are read, counted from 0; by default the
        last one that the transformer writes.
    rank (Optional[int]): Rank of `matching`; overrides its own setting.
    max_length (int): Longest mention, in units.
    hidden (int): Hidden units of the values that are added at the edges of a mention; 0 for
        the head of the paper.
    matching (MatchingSlot): How the start and the end of a mention are matched:
        spacy_tommer.ToM.v1, spacy_tommer.LTQK.v1, spacy_tommer.LCAttn.v1 or your own.
    kinds (Union[str, List[str]]): The kinds of mentions that are told apart, such as NAME,
        TERM and QUANTITY; one by default.
    sources (Optional[List[str]]): Names of corpora that each mark only some mentions, and
        that the model learns apart. The mean of their probabilities scores entities.
    RETURNS (Model[List[Doc], List[Ragged]]): The model. For each Doc it returns span
        logits (units, max_length, kinds and sources), and how many units each token has.
        ValueError is raised for settings that do not go together.
    """
    slot = as_slot(matching, rank)
    if unit not in ("token", "piece"):
        raise ValueError(f'`unit` is {unit!r}, expected "token" or "piece".')
    if slot.attention == "scores" and unit != "token":
        raise ValueError(
            'LCAttn reads the attention scores between tokens. Write `unit = "token"`.'
        )
    shim = HeadShim(
        None, serialize_model=to_bytes, deserialize_model=partial(from_bytes, slot=slot)
    )
    return Model(
        "tommer",
        forward,
        init=partial(init, slot=slot),
        dims={"nI": None},
        attrs={
            "unit": unit,
            "layer": layer,
            "rank": slot.rank,
            "max_length": max_length,
            "hidden": hidden,
            "kinds": list(check_kinds(kinds)),
            "sources": list(sources or ()),
            "matching": slot.kind,
            "attention": slot.attention,
        },
        shims=[shim],
    )


def init(
    model: Model,
    X: Optional[Sequence[Doc]] = None,
    Y: Any = None,
    slot: MatchingSlot = DEFAULT_MATCHING,
) -> None:
    """Make a new head, as wide as the states of the Docs, unless the model has one."""
    if not has_head(model):
        doc = next(doc for doc in X or () if len(doc))
        attrs = model.attrs
        width = read_states(doc, attrs["layer"], attrs["unit"]).dataXd.shape[1]
        data = doc._.trf_data
        check_attention(model, data)
        length = attrs["max_length"]
        spec = getattr(data, "spec", BackboneSpec(layers=(0,)))
        matching = slot.build(width, length, spec.layers, spec.heads)
        outputs = attrs["kinds"], attrs["sources"]
        set_head(model, MentionHead(width, matching, attrs["hidden"], *outputs))


def get_head(model: Model) -> MentionHead:
    """Get the head of a model.

    model (Model): A model of the architecture Tommer.v1.
    RETURNS (MentionHead): The head. ValueError is raised if the model has no weights.
    """
    head = find_head(model)
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
    """Put a head into a model.

    model (Model): A model of the architecture Tommer.v1.
    head (MentionHead): The head. ValueError is raised if its settings are not those of the
        model.
    """
    have = {
        "matching": head.matching.kind,
        "max_length": head.max_length,
        "hidden": head.hidden,
        "kinds": list(head.kinds),
        "sources": list(head.sources),
    }
    if hasattr(head.matching, "query"):
        have["rank"] = head.matching.query.shape[-1]
    place_head(model, head, have, "tommer")


def to_bytes(head: Optional[MentionHead]) -> bytes:
    """Write the head of a model for thinc; nothing if the model has no head."""
    return head_to_bytes(head) if head is not None else b""


def from_bytes(
    head: Optional[MentionHead], data: bytes, device: torch.device, slot: MatchingSlot
) -> Optional[MentionHead]:
    """Read what `to_bytes` wrote: a head, or None for a model without one."""
    return head_from_bytes(data, "The saved head", slot)[0].to(device) if data else None


def read(model: Model, doc: Doc) -> Ragged:
    """Read the input vectors of a Doc.

    model (Model): A model of the architecture Tommer.v1.
    doc (Doc): A Doc with states.
    RETURNS (Ragged): A vector for each unit: the state, followed by any attention that the
        matching reads (units, D); and how many units each token has.
    """
    layer, unit = model.attrs["layer"], model.attrs["unit"]
    states = read_states(doc, layer, unit)
    wanted = model.attrs["attention"]
    if wanted is None or not len(states.dataXd):
        return states
    data = doc._.trf_data
    check_attention(model, data)
    layers = data.spec.layers if wanted == "scores" else [data.spec.layer(layer)]
    extra = read_attention(doc, layers, unit)
    xp = get_array_module(states.dataXd)
    both = xp.concatenate([states.dataXd, extra.dataXd], axis=1)
    return Ragged(both, states.lengths)


def check_attention(model: Model, data: TransformerData) -> None:
    """Raise ValueError for states without the attention that a model reads.

    model (Model): A model of the architecture Tommer.v1.
    data (TransformerData): The transformer's output for a Doc.
    """
    wanted = model.attrs["attention"]
    spec = getattr(data, "spec", BackboneSpec())
    if wanted is not None and spec.attention != wanted:
        raise ValueError(
            f"The matching {model.attrs['matching']!r} reads attention ({wanted}), and the "
            f"transformer writes {spec.attention or 'none'}. Write in "
            "[components.transformer.model]:\n"
            f'    @architectures = "spacy_tommer.Backbone.v1"\n    attention = "{wanted}"'
        )
    if wanted != "scores":
        return
    if spec.max_length != model.attrs["max_length"]:
        raise ValueError(
            f"The transformer writes attention scores for {spec.max_length} tokens, and "
            f"the head reads {model.attrs['max_length']}. Set the same `max_length` for "
            "both."
        )
    head = find_head(model)
    if head is not None and head.matching.layers != spec.layers:
        raise ValueError(
            f"The head reads the attention of `layers = {list(head.matching.layers)}`, and "
            f"the transformer writes that of {list(spec.layers)}. Set the same `layers` in "
            "[components.transformer.model]."
        )


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Ragged], Callable]:
    """Score the spans of Docs. No gradient flows back to the states."""
    states = [read(model, doc) for doc in docs]
    if is_train:
        scores, backprop = score(model, states, is_train)
        return scores, lambda d_scores: (backprop(d_scores), list(docs))[1]
    parts = (score(model, part, is_train)[0] for part in by_size(states))
    scores = [one for part in parts for one in part]
    for doc, one, text in zip(docs, scores, states):
        words = np.repeat(words_of(doc), model.ops.to_numpy(text.lengths))
        bar_inside(one.dataXd, text.dataXd, words, model.ops)
    return scores, lambda d_scores: list(docs)


def score(
    model: Model, states: list[Ragged], is_train: bool
) -> tuple[list[Ragged], Callable[[FloatsXd], Any]]:
    """Run the head once.

    model (Model): A model of the architecture Tommer.v1.
    states (list[Ragged]): Input vectors of each text. (units, D)
    is_train (bool): Whether gradients are needed.
    RETURNS (tuple): Logits of each text (units, L, K), and a callback that takes the
        gradient with respect to the logits of all texts, concatenated. ValueError is
        raised for input vectors of another width than the head's.
    """
    head = get_head(model)
    lengths = [len(text.dataXd) for text in states]
    filled = [text.dataXd for text in states if len(text.dataXd)]
    if not filled:
        nothing = model.ops.alloc3f(0, head.max_length, len(head.kinds) + len(head.sources))
        return [Ragged(nothing, text.lengths) for text in states], lambda d_logits: None
    xp = model.ops.xp
    packed = xp.concatenate([xp.asarray(text) for text in filled], dtype="float32")
    if packed.shape[1] != head.matching.reads:
        raise ValueError(
            f"The head reads vectors of width {head.matching.reads}, and the transformer "
            f"writes {packed.shape[1]}. Use the backbone that the head was trained on in "
            "[components.transformer.model]."
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
    """Split a list of texts into batches of at most BATCH_UNITS units.

    states (list[Ragged]): Input vectors of each text. (units, D)
    YIELDS (list[Ragged]): The input vectors of a batch, in order. A longer text makes a
        batch of its own.
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
