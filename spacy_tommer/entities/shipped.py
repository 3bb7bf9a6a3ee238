"""Heads that type mentions and come with the package."""

from spacy_transformers import Transformer
from thinc.api import Model

from ..backbone import BackboneShim, made_by
from ..checkpoints import MODELS
from .type_head import TypeHead
from .type_scorer import read_type_head

FILE = "types.safetensors"


def shipped_types() -> list[str]:
    """List the shipped models that have a head which types mentions.

    RETURNS (list[str]): Their names.
    """
    return sorted(path.parent.name for path in MODELS.glob(f"*/{FILE}"))


def find_shipped(transformer: Transformer, model: Model) -> TypeHead:
    """Find the shipped head for a backbone.

    transformer (Transformer): The pipe with the backbone.
    model (Model): The model that reads its states.
    RETURNS (TypeHead): The head.
    """
    place = reads(transformer, model)
    for name in shipped_types():
        head, metadata = read_type_head((MODELS / name / FILE).read_bytes(), name)
        if {key: metadata.get(key) for key in place} == place:
            return head
    raise ValueError(
        "tommer_zeroshot has no weights, and none of the shipped ones "
        f"({', '.join(shipped_types())}) is for the states that it reads: block "
        f"{place['layer']}, {place['passes']} pass(es). Use the transformer of "
        'spacy_tommer.load("minilm"), or train a head of your own.'
    )


def read_shipped_types(name: str, transformer: Transformer, model: Model) -> TypeHead:
    """Read a head that comes with the package.

    name (str): Name of a shipped model.
    transformer (Transformer): The pipe with the backbone.
    model (Model): The model that reads its states.
    RETURNS (TypeHead): The head.
    """
    if name not in shipped_types():
        raise ValueError(
            f"There is no shipped head {name!r} that types mentions. There are "
            f"{', '.join(shipped_types())}."
        )
    head, metadata = read_type_head((MODELS / name / FILE).read_bytes(), name)
    place = reads(transformer, model)
    for key, value in place.items():
        if metadata[key] != value:
            raise ValueError(
                f"The head {name!r} was trained on {key} {metadata[key]}, and the pipeline "
                f"has {key} {value}."
            )
    return head


def reads(transformer: Transformer, model: Model) -> dict[str, str]:
    """Tell where the states come from that a model reads.

    transformer (Transformer): The pipe with the backbone.
    model (Model): The model.
    RETURNS (dict[str, str]): Hash of the backbone's weights, the block, and the passes.
    """
    shims = transformer.model.shims
    if not (shims and isinstance(shims[0], BackboneShim)):
        return {"sha256": "", "layer": str(model.attrs["layer"]), "passes": "1"}
    maker = made_by(transformer.model)
    layer = model.attrs["layer"]
    return {
        "sha256": maker["sha256"],
        "layer": str(maker["layers"][-1] if layer is None else layer),
        "passes": str(maker["passes"]),
    }
