"""Backbone.v1: a frozen, cut language model as the model of the `transformer` pipe of
spacy-transformers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Optional

from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, WordpieceBatch
from thinc.api import Model, Ops, torch2xp
from transformers import AutoConfig
from transformers.utils import ModelOutput

from ..locks import COMPUTING
from .attention import Attention
from .language_model import CutModel
from .precision import Wanted, check_precision
from .shim import BackboneShim
from .sources import find_config
from .spec import BackboneSpec, Unit
from .states import BackboneData, tokens_checksum


def Backbone(
    name: str,
    layers: Sequence[int],
    window: int = 128,
    stride: int = 96,
    passes: int = 1,
    attention: Optional[Attention] = None,
    max_length: int = 25,
    adapter: Optional[str] = None,
    precision: Wanted = "float32",
    unit: Unit = "piece",
) -> Model[list[Doc], FullTransformerBatch]:
    """Build a frozen model that returns the outputs of some blocks of a language model.

    Only the blocks up to the last requested one are built and loaded, at initialization or
    at first use. They are saved with the pipeline, which then needs no other files.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub. An installed
        package that carries the model of that name is used before the hub.
    layers (Sequence[int]): The blocks whose outputs are returned, counted from 0.
    window (int): Tokens of a Doc that the model sees at once.
    stride (int): Tokens from the start of one window to the next.
    passes (int): How often the model reads each window: 1 or 2. With 2, the window is
        repeated in one row and the states of the second copy are returned, so that a causal
        model has seen the whole window at every unit (Just Pass Twice, arXiv 2604.05158).
        It takes about twice the time.
    attention (Optional[str]): The attention of these blocks that is also returned, for
        other matching scores (appendix D): "queries_keys" for spacy_tommer.LTQK.v1, or
        "scores" for spacy_tommer.LCAttn.v1.
    max_length (int): How many tokens, its own included, a token has attention scores for.
    adapter (Optional[str]): Folder of a LoRA adapter, as peft saves it, or the name of a
        shipped model that has one. It is merged into the weights when they are loaded.
        States of another adapter are those of another backbone.
    precision (str): The precision that the model computes in: "float32"; "bfloat16";
        "int8", in which its linear layers multiply integers; or "auto", which is
        bfloat16 where the processor computes in it, otherwise float32. States are returned,
        and weights saved, in float32.
    unit (str): "piece" to return the state of every wordpiece; "token" to return those of
        the last wordpiece of each token, so that the last block computes no others.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The model. Its predictions hold, for
        each Doc, one row per wordpiece and layer. ValueError is raised for settings out of
        range.
    """
    layers = tuple(layers)
    if not layers or min(layers) < 0 or sorted(set(layers)) != list(layers):
        raise ValueError(
            f"`layers` of spacy_tommer.Backbone.v1 is {list(layers)}, expected a list of "
            "blocks counted from 0, in rising order, such as [2]."
        )
    if not 1 <= stride <= window:
        raise ValueError(
            f"`stride` of spacy_tommer.Backbone.v1 is {stride}, expected 1 to `window` "
            f"({window}): a larger stride would skip tokens."
        )
    if passes not in (1, 2):
        raise ValueError(
            f"`passes` of spacy_tommer.Backbone.v1 is {passes}, expected 1 or 2."
        )
    if attention == "scores" and window - stride < max_length - 1:
        raise ValueError(
            f"Windows of {window} tokens that start {stride} tokens apart cut spans of "
            f"{max_length}, and attention stays inside a window. Let `window` minus "
            f"`stride` be {max_length - 1} or more."
        )
    check_precision(precision)
    if unit not in ("token", "piece"):
        raise ValueError(
            f"`unit` of spacy_tommer.Backbone.v1 is {unit!r}, expected token or piece."
        )
    model = BackboneModel(
        "backbone",
        forward,
        init=init,
        dims={"nO": None},
        attrs={
            "window": window,
            "stride": stride,
            "passes": passes,
            "attention": attention,
            "max_length": max_length,
            "unit": unit,
        },
        shims=[BackboneShim(name, layers, passes, adapter, precision)],
    )
    config = find_config(name, max(layers) + 1)
    if config is not None:
        model.set_dim("nO", AutoConfig.from_pretrained(config.parent).hidden_size)
    return model


class BackboneModel(Model[list[Doc], FullTransformerBatch]):
    """Allow the width to change: a saved pipeline may find another model at the path that
    its config names."""

    def set_dim(self, name: str, value: int, *, force: bool = False) -> None:
        """Set a dimension, even if it has another value."""
        super().set_dim(name, value, force=True)


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Load the weights, unless they are loaded."""
    cut_model(model)


def cut_model(model: Model, blocks: int = 0) -> CutModel:
    """Get the language model of a backbone. Its weights are loaded at first use.

    model (Model): A model of the architecture Backbone.v1.
    blocks (int): Least number of blocks that it holds; never fewer than `layers` need.
    """
    cut = model.shims[0].get_cut(blocks)
    model.set_dim("nO", cut.config.hidden_size)
    return cut


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[FullTransformerBatch, Callable]:
    """Run the frozen model on the Docs that do not carry its states yet."""
    states = find_states(docs, cut_model(model), spec_of(model), model.ops)
    return BackboneBatch(states), lambda d_batch: docs


def read_at(model: Model, docs: Sequence[Doc], layer: Optional[int]) -> list[BackboneData]:
    """Compute the states of all wordpieces of Docs at one block, which may be deeper than
    `layers`. If the model holds fewer blocks, they are loaded, and saved with it from then
    on.

    model (Model): A model of the architecture Backbone.v1.
    docs (Sequence[Doc]): The Docs, which are not modified.
    layer (Optional[int]): The block, counted from 0; by default the last of `layers`.
    RETURNS (list[BackboneData]): The states of each Doc. ValueError is raised for a block
        that the language model does not have, or whose weights are not found.
    """
    if layer is None:
        layer = model.shims[0].layers[-1]
    if layer < 0:
        raise ValueError(
            f"The block to read is {layer}, expected a number counted from 0. Write "
            "another `definition_layer` in [components.tommer_zeroshot.model]."
        )
    cut = cut_model(model, layer + 1)
    spec = replace(
        spec_of(model), layers=(layer,), attention=None, max_length=0, unit="piece"
    )
    return find_states(docs, cut, spec, model.ops)


def is_backbone(model: Model) -> bool:
    """Check whether a model is of the architecture Backbone.v1."""
    return bool(model.shims) and isinstance(model.shims[0], BackboneShim)


def backbone_name(model: Model) -> str:
    """Return the `name` of a backbone's config: where its weights come from."""
    return model.shims[0].name


def spec_of(model: Model) -> BackboneSpec:
    """Describe a backbone. Its weights are loaded at first use.

    model (Model): The model of a transformer pipe.
    RETURNS (BackboneSpec): The description; an empty one for a model of any architecture
        other than Backbone.v1.
    """
    if not is_backbone(model):
        return BackboneSpec()
    cut, attrs = cut_model(model), model.attrs
    return BackboneSpec(
        sha256=cut.sha256,
        layers=model.shims[0].layers,
        window=attrs["window"],
        stride=attrs["stride"],
        passes=attrs["passes"],
        attention=attrs["attention"],
        max_length=attrs["max_length"] if attrs["attention"] == "scores" else 0,
        heads=cut.heads,
        precision=cut.precision,
        unit=attrs["unit"],
    )


def carried(doc: Doc, spec: BackboneSpec) -> Optional[BackboneData]:
    """Get the states that a Doc carries, if an equal backbone computed them.

    doc (Doc): The Doc.
    spec (BackboneSpec): The expected backbone.
    RETURNS (Optional[BackboneData]): The states; empty ones for an empty Doc; None if the
        states must be computed.
    """
    if not len(doc):
        return BackboneData.empty()
    data = doc._.trf_data
    same = (
        isinstance(data, BackboneData)
        and data.spec == spec
        and len(data.align.lengths) == len(doc)
        and data.checksum in (None, tokens_checksum(doc))
    )
    return data if same else None


def find_states(
    docs: Sequence[Doc], cut: CutModel, spec: BackboneSpec, ops: Ops
) -> list[BackboneData]:
    """Get the states of Docs: those that they carry, or else new ones.

    docs (Sequence[Doc]): The Docs, which are not modified.
    cut (CutModel): The language model.
    spec (BackboneSpec): The settings, including layers and attention.
    ops (Ops): The backend of new arrays.
    RETURNS (list[BackboneData]): The states of each Doc.
    """
    found = [carried(doc, spec) for doc in docs]
    new = [doc for doc, data in zip(docs, found) if data is None]
    made = iter(compute_states(new, cut, spec, ops) if new else ())
    return [next(made) if data is None else data for data in found]


def compute_states(
    docs: Sequence[Doc], cut: CutModel, spec: BackboneSpec, ops: Ops
) -> list[BackboneData]:
    """Compute the states of Docs.

    docs (Sequence[Doc]): Docs that are not empty.
    cut (CutModel): The language model.
    spec (BackboneSpec): The settings, including layers and attention.
    ops (Ops): The backend of the returned arrays.
    RETURNS (list[BackboneData]): The states of each Doc.
    """
    with COMPUTING:
        pieces = cut.tokenize(docs, spec.window, spec.stride, spec.unit)
        made = cut.states(pieces, spec.layers, spec.attention, spec.max_length)
    arrays, attention = ([torch2xp(array, ops=ops) for array in part] for part in made)
    data = []
    for doc, (part, wordpieces, align) in zip(docs, pieces.by_doc()):
        output = ModelOutput(last_hidden_state=arrays[-1][None, part])
        if len(arrays) > 1:
            output["layer_states"] = [array[None, part] for array in arrays]
        if attention:
            output["attention"] = [array[None, part] for array in attention]
        checksum = tokens_checksum(doc)
        data.append(BackboneData(wordpieces, output, align, spec, spec.unit, checksum))
    return data


class BackboneBatch(FullTransformerBatch):
    """Hold the states of a batch of Docs. No gradient flows back through it."""

    def __init__(self, doc_data: list[BackboneData]) -> None:
        super().__init__(
            spans=[],
            wordpieces=WordpieceBatch.empty(),
            model_output=ModelOutput(),
            align=BackboneData.empty().align,
            cached_doc_data=doc_data,
        )

    def unsplit_by_doc(self, arrays: Any) -> "BackboneBatch":
        """Ignore the gradients of listeners: the model is frozen."""
        return self
