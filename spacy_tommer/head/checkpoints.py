"""Save and load heads: safetensors files, shipped heads, and released ToMMeR weights."""

import json
import pickle
from pathlib import Path
from typing import Any, Optional

import torch

from ..backbone.adapter import MODELS
from ..backbone.sources import install_line
from ..backbone.spec import BackboneSpec
from ..keys import MENTION
from ..tensors import from_bytes, to_bytes
from .head import MentionHead
from .matching import MatchingSlot, ToM, as_slot

# Names of the released weights, and their names here.
RELEASED = {
    "W_Q": "matching.query",
    "W_K": "matching.key",
    "classifier.fc.weight": "value.weight",
    "classifier.fc.bias": "value.bias",
    "cl_w": "mixing",
}


def head_to_bytes(head: MentionHead, **metadata: str) -> bytes:
    """Write a head as safetensors.

    metadata (str): Further entries of the file's metadata, such as the backbone.
    RETURNS (bytes): A whole safetensors file.
    """
    matching = head.matching
    settings = {
        "max_length": str(head.max_length),
        "matching": json.dumps([matching.kind, matching.layers, matching.heads]),
        "kinds": json.dumps(head.kinds),
        "sources": json.dumps(head.sources),
        **metadata,
    }
    return to_bytes(head.state_dict(), settings)


def head_from_bytes(
    data: bytes, origin: str, slot: Optional[MatchingSlot] = None
) -> tuple[MentionHead, dict[str, str]]:
    """Read a head from safetensors.

    data (bytes): A whole safetensors file.
    origin (str): Where the bytes come from, for error messages.
    slot (Optional[MatchingSlot]): The slot that builds the matching; by default the
        built-in one that the file names.
    RETURNS (tuple[MentionHead, dict[str, str]]): The head and the file's metadata.
        ValueError is raised for bytes that do not hold a valid head.
    """
    weights, metadata = from_bytes(data, origin)
    if "value.weight" not in weights or not {"max_length", "matching"} <= set(metadata):
        raise ValueError(
            f"{origin} holds no head of this version of spacy_tommer: expected the tensor "
            "'value.weight' and the metadata 'max_length' and 'matching'."
        )
    try:
        width = weights["value.weight"].shape[1]
        length = int(metadata["max_length"])
        kind, layers, heads = json.loads(metadata["matching"])
        if slot is None or slot.kind != kind:
            query = weights.get("matching.query")
            slot = as_slot(kind, None if query is None else query.shape[-1])
        matching = slot.build(width, length, tuple(layers), tuple(heads))
        hidden = len(weights.get("edges.inner.bias", ()))
        # Heads of versions before 0.3.0 have one kind, and do not name it.
        kinds = json.loads(metadata.get("kinds", json.dumps([MENTION])))
        sources = json.loads(metadata.get("sources", "[]"))
        head = MentionHead(width, matching, hidden, kinds, sources)
        head.load_state_dict(weights)
        finite = all(bool(tensor.isfinite().all()) for tensor in weights.values())
    except (ValueError, TypeError, IndexError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"{origin} is damaged, or was written by another version of spacy_tommer: its "
            f"tensors and settings do not make a head ({error})."
        ) from error
    if not finite:
        raise ValueError(f"{origin} is damaged: some of its weights are not finite.")
    return head.eval(), metadata


def shipped_models() -> list[str]:
    """List the names of the models that ship with the package."""
    return sorted(path.parent.name for path in MODELS.glob("*/head.safetensors"))


def read_shipped(name: str) -> tuple[MentionHead, dict[str, str]]:
    """Read a head that ships with the package.

    name (str): Name of a shipped model. ValueError is raised for any other name.
    RETURNS (tuple[MentionHead, dict[str, str]]): The head and its metadata, which
        include the name of its backbone and the SHA-256 of the backbone's weights.
    """
    if name not in shipped_models():
        raise ValueError(
            f"There is no model or folder {name!r}. The shipped models are "
            f"{', '.join(shipped_models())}."
        )
    path = MODELS / name / "head.safetensors"
    return head_from_bytes(path.read_bytes(), str(path))


def check_backbone(
    metadata: dict[str, str], spec: BackboneSpec, layer: Optional[int], unit: str
) -> None:
    """Raise ValueError for states that a shipped head was not trained on. Its thresholds
    hold in each precision, so that another one is no error.

    metadata (dict[str, str]): Metadata of the head.
    spec (BackboneSpec): The backbone that computes the states.
    layer (Optional[int]): The block whose states the head reads, counted from 0.
    unit (str): What a state represents: "token" or "piece".
    """
    if spec.sha256 != metadata["sha256"]:
        adapter = metadata.get("adapter")
        line = f'adapter = "{adapter}" in [components.transformer.model]'
        get = f"Write {line}, and get" if adapter else "Get"
        raise ValueError(
            f"The head was trained on {metadata['backbone']} with weights of the "
            f"SHA-256 {metadata['sha256']}, and this backbone has other weights "
            f"({spec.sha256 or 'of no known hash'}). {get} the right ones with: "
            f"{install_line(metadata['backbone'])}"
        )
    # Heads of versions before 0.3.0 read states of one pass, and do not say it.
    expected = {"passes": "1", **metadata}
    found = {"layer": str(layer), "unit": unit, "passes": str(spec.passes)}
    for name, value in found.items():
        if value != expected[name]:
            raise ValueError(
                f"The head was trained on {name} {expected[name]} of its backbone, and the "
                f"config asks for {name} {value}: see `layers` and `passes` of the "
                "transformer, and `layer` and `unit` of [components.tommer.model]."
            )


def read_released(folder: Path) -> tuple[MentionHead, dict[str, Any]]:
    """Read a released ToMMeR checkpoint.

    folder (Path): The folder that holds definition.json and parameters.
    RETURNS (tuple[MentionHead, dict[str, Any]]): The head, and the source of its states:
        `llm_name` and `layer`. ValueError is raised for a folder that cannot be read.
    """
    try:
        objects = json.loads((folder / "definition.json").read_text("utf-8"))["objects"]
        fields = next(thing["fields"] for thing in objects if thing["type"] == "ToMMeR")
        weights = torch.load(folder / "parameters", map_location="cpu", weights_only=True)
        weights = {ours: weights[theirs] for theirs, ours in RELEASED.items()}
        weights["mixing"] = weights["mixing"].flatten()
        # The released window is the largest distance from start to end.
        max_length = check_count(fields, "sliding_window") + 1
        width, rank = weights["matching.query"].shape
        head = MentionHead(width, ToM(width, rank, max_length))
        head.load_state_dict(weights)
        definition = {"llm_name": fields["llm_name"], "layer": check_count(fields, "layer")}
        if not isinstance(definition["llm_name"], str) or ".." in definition["llm_name"]:
            raise ValueError(
                f"llm_name is {definition['llm_name']!r}, expected the name of a model"
            )
    except FileNotFoundError as error:
        raise ValueError(
            f"The ToMMeR checkpoint {folder} lacks {error.filename}."
        ) from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        StopIteration,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise ValueError(
            f"The folder {folder} holds no readable ToMMeR checkpoint "
            f"({type(error).__name__}: {error})."
        ) from error
    conventions = {"use_cosine": True, "causal_mask": True, "normalize_scores": ""}
    for field, value in conventions.items():
        if fields.get(field, value) != value:
            raise ValueError(
                f"The ToMMeR checkpoint {folder} has {field} = {fields[field]!r}; only "
                f"{value!r}, the setting of the released weights, can be read."
            )
    return head, definition


def check_count(fields: dict[str, Any], name: str) -> int:
    """Read an integer from 0 to 1,000 from the fields of a definition.json.

    RETURNS (int): The integer. ValueError is raised for any other value.
    """
    value = fields[name]
    if type(value) is not int or not 0 <= value <= 1000:
        raise ValueError(f"{name} is {value!r}, expected an integer from 0 to 1000")
    return value
