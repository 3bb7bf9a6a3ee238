"""Shipped heads that assign types to mentions, and the states that they read."""

from collections.abc import Sequence

from safetensors import safe_open
from spacy.tokens import Doc
from spacy_transformers import Transformer
from thinc.api import Model

from ..backbone.model import spec_of
from ..backbone.states import BackboneData
from ..head.checkpoints import MODELS
from .head import TypeHead
from .model import read_type_head, set_type_head

FILE = "types.safetensors"
# The blocks for mentions and for definitions.
BLOCKS = ("layer", "definition_layer")


def shipped_types() -> list[str]:
    """List the names of the shipped models that have a head which types mentions."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{FILE}"))


def set_shipped(model: Model, head: TypeHead, metadata: dict[str, str]) -> None:
    """Put a shipped head, its threshold and the blocks that it reads into a model.

    model (Model): A model of the architecture TypeScorer.v1.
    head (TypeHead): The head.
    metadata (dict[str, str]): Metadata of the head, with "threshold" and the BLOCKS.
    """
    set_type_head(model, head)
    model.attrs["threshold"] = float(metadata["threshold"])
    model.attrs["vectors"] = {}
    model.attrs.update({name: int(metadata[name]) for name in BLOCKS})


def find_shipped(transformer: Transformer, model: Model) -> tuple[TypeHead, dict[str, str]]:
    """Find the shipped head for a backbone.

    transformer (Transformer): The pipe with the backbone.
    model (Model): The model that reads its states.
    RETURNS (tuple[TypeHead, dict[str, str]]): The head and its metadata. ValueError is
        raised if no shipped head was trained on these states.
    """
    for name in shipped_types():
        with safe_open(MODELS / name / FILE, "pt") as file:
            fits = not misfits(file.metadata(), transformer, model)
        if fits:
            return read_type_head((MODELS / name / FILE).read_bytes(), name)
    place = reads(transformer, model)
    raise ValueError(
        "tommer_zeroshot has no weights, and none of the shipped ones "
        f"({', '.join(shipped_types()) or 'there are none'}) is for the states that it "
        f"reads: block {place['layer']}, passes {place['passes']}, definitions at block "
        f"{place['definition_layer']}. Use the transformer of a shipped pipeline, such as "
        'spacy_tommer.load("minilm"), or train a head of your own.'
    )


def read_shipped_types(
    name: str, transformer: Transformer, model: Model
) -> tuple[TypeHead, dict[str, str]]:
    """Read a head that ships with the package.

    name (str): Name of a shipped model.
    transformer (Transformer): The pipe with the backbone.
    model (Model): The model that reads its states.
    RETURNS (tuple[TypeHead, dict[str, str]]): The head and its metadata. ValueError is
        raised for another name, and for a head that was trained on other states.
    """
    if name not in shipped_types():
        raise ValueError(
            f"There is no shipped head {name!r} that types mentions. Choose one of "
            f"{', '.join(shipped_types())}."
        )
    head, metadata = read_type_head((MODELS / name / FILE).read_bytes(), name)
    for key in misfits(metadata, transformer, model):
        raise ValueError(
            f"The head {name!r} was trained on {key} {metadata[key]}, and the pipeline "
            f"has {key} {reads(transformer, model)[key]}. Start from "
            f"spacy_tommer.load({name!r})."
        )
    return head, metadata


def misfits(metadata: dict[str, str], transformer: Transformer, model: Model) -> list[str]:
    """Tell in which ways the states are others than those a head was trained on. A model
    that names no block takes that of the head; the transformer must write that for
    mentions, and can read any for definitions.

    metadata (dict[str, str]): Metadata of the head.
    transformer (Transformer): The pipe with the backbone.
    model (Model): The model that reads its states.
    RETURNS (list[str]): The keys of `reads` that differ.
    """
    written = [str(block) for block in spec_of(transformer.model).layers]
    readable = {"layer": written, "definition_layer": [metadata["definition_layer"]]}
    taken = [
        name
        for name in BLOCKS
        if model.attrs[name] is None and metadata[name] in readable[name]
    ]
    return [
        key
        for key, value in reads(transformer, model).items()
        if metadata[key] != value and key not in taken
    ]


def reads(transformer: Transformer, model: Model) -> dict[str, str]:
    """Describe the states that a model reads.

    transformer (Transformer): The pipe with the backbone.
    model (Model): A model of the architecture TypeScorer.v1.
    RETURNS (dict[str, str]): SHA-256 of the backbone's weights, the block for mentions, the
        block for definitions, and the number of passes.
    """
    spec = spec_of(transformer.model)
    blocks = {name: str(spec.layer(model.attrs[name])) for name in BLOCKS}
    return {"sha256": spec.sha256, **blocks, "passes": str(spec.passes)}


def check_states(docs: Sequence[Doc], transformer: Transformer, model: Model) -> None:
    """Raise ValueError for states of another backbone than the one that embeds definitions.

    docs (Sequence[Doc]): The Docs with the states.
    transformer (Transformer): The pipe that embeds definitions.
    model (Model): The model that reads the states.
    """
    own = spec_of(transformer.model).sha256
    states = (doc._.trf_data for doc in docs if len(doc))
    if any(isinstance(data, BackboneData) and data.spec.sha256 != own for data in states):
        raise ValueError(
            "The states come from another transformer than the one that embeds "
            'definitions. Add the component with nlp.add_pipe("tommer_zeroshot"), not from '
            "another pipeline by `source`."
        )
