"""Backbone.v1: a frozen, cut language model as the model of the `transformer` pipe of
spacy-transformers."""

from collections.abc import Callable, Sequence
from typing import Any, Optional

from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, WordpieceBatch
from thinc.api import Model, Ops, Shim, get_torch_default_device, torch2xp
from transformers import AutoConfig
from transformers.utils import ModelOutput

from ..locks import COMPUTING
from .attention import Attention
from .language_model import CutModel
from .sources import find_config, find_folder
from .spec import BackboneSpec
from .states import BackboneData, tokens_checksum


def Backbone(
    name: str,
    layers: Sequence[int],
    window: int = 128,
    stride: int = 96,
    passes: int = 1,
    attention: Optional[Attention] = None,
    max_length: int = 25,
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
        },
        shims=[BackboneShim(name, layers, passes)],
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


def cut_model(model: Model) -> CutModel:
    """Get the language model of a backbone. Its weights are loaded at first use.

    model (Model): A model of the architecture Backbone.v1.
    """
    cut = model.shims[0].get_cut()
    model.set_dim("nO", cut.config.hidden_size)
    return cut


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[FullTransformerBatch, Callable]:
    """Run the frozen model on the Docs that do not carry its states yet."""
    cut = cut_model(model)
    spec = spec_of(model)
    found = [carried(doc, spec) for doc in docs]
    new = [doc for doc, data in zip(docs, found) if data is None]
    made = iter(compute_states(new, cut, spec, model.ops) if new else ())
    states = [next(made) if data is None else data for data in found]
    return BackboneBatch(states), lambda d_batch: docs


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
        pieces = cut.tokenize(docs, spec.window, spec.stride)
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
        data.append(BackboneData(wordpieces, output, align, spec, checksum=checksum))
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


class BackboneShim(Shim):
    """Hold a language model that no optimizer changes.

    name (str): Where its weights come from, as for `Backbone`.
    layers (tuple[int, ...]): The blocks whose outputs are returned, counted from 0.
    passes (int): How often the model reads each window.
    """

    def __init__(self, name: str, layers: tuple[int, ...], passes: int) -> None:
        super().__init__(None)
        self.name = name
        self.layers = layers
        self.passes = passes
        self.cut: Optional[CutModel] = None

    def get_cut(self) -> CutModel:
        """Get the model. It is loaded at first use."""
        with COMPUTING:
            if self.cut is None:
                blocks = max(self.layers) + 1
                folder = find_folder(self.name, blocks)
                self.cut = CutModel.from_folder(folder, blocks, self.passes)
            return self.cut

    def to_bytes(self) -> bytes:
        """Write the model; nothing if its weights are not on this machine."""
        if self.cut is None and find_config(self.name, max(self.layers) + 1) is not None:
            self.get_cut()
        return b"" if self.cut is None else self.cut.to_bytes()

    def from_bytes(self, data: bytes) -> "BackboneShim":
        """Read what `to_bytes` wrote."""
        if data:
            origin = f"The saved backbone {self.name!r}"
            self.cut = CutModel.from_bytes(data, origin, self.passes)
        return self

    def finish_update(self, optimizer: Any) -> None:
        """Leave the weights as they are."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the weights to the device that thinc uses."""
        if self.cut is not None:
            self.cut.network.to(get_torch_default_device())
