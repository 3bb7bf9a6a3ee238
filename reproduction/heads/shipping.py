"""Put a trained head into the package, with a card that says where it is from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import spacy
from safetensors import safe_open
from spacy.language import Language
from thinc.api import Config

from spacy_tommer.backbone.precision import check_precision
from spacy_tommer.backbone.shim import BackboneShim
from spacy_tommer.entities.model import write as type_head_to_bytes
from spacy_tommer.entities.shipped import FILE, reads
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.tables import reliability_table
from spacy_tommer.files import write_aside, write_text_aside
from spacy_tommer.head.checkpoints import MODELS, head_to_bytes
from spacy_tommer.head.model import get_head

from ..adapters.shipping import adapter_card, check_adapter, copy_adapter

MENTIONS_CARD = """# {name}

Finds entity mentions in {texts}, nested and flat.

| | |
| --- | --- |
| backbone | {backbone}, output of block {layer}, counted from 0, {passes} |
| SHA-256 of its weights | `{sha256}`{adapter} |
| trained on states in | {precision} |
| head | {parameters:,} parameters; rank {rank}, {hidden} hidden units |
| mentions | of up to {max_length} units; a unit is a {unit} |
| kinds | {kinds} |
| thresholds | {points} |
| training | `{command}`, seed {seed} |
| licence | Apache-2.0 |

## Data

{data}{origin}
## Scores on the validation texts, on which the thresholds were chosen

{tables}
`balanced` has the best F1 on openmentions, the set that marks every kind, and the best mean
F1 of the flat segmentation on all sets; `recall` a mean recall of at least 94 %, and the
best F1 of the flat segmentation on openmentions. Precision on the other sets says little:
they mark some mentions only. The benchmarks are in docs/models.md.

## Calibration

Scores of mentions on openmentions, validation part, and how many of them are right, in per
cent:

{reliability}
"""

TYPES_CARD = """# {name}: types from definitions

Compares the mentions of `{name}` with definitions of types, for `tommer_zeroshot`.

| | |
| --- | --- |
| backbone | {backbone}, output of block {layer}, counted from 0, {passes} |
| SHA-256 of its weights | `{sha256}`{adapter} |
| trained on states in | {precision} |
| head | {parameters:,} parameters in half precision |
| threshold | {threshold}; {chosen} |
| training | `{command}`, seed 0 |
| licence | Apache-2.0 |

{data}
"""


def ship_mentions(
    pipeline: Path, name: str, data: str, command: str, precision: Optional[str] = None
) -> None:
    """Write the head of mentions of a pipeline as a shipped model.

    pipeline (Path): The pipeline, whose thresholds were chosen.
    name (str): Name of the model.
    data (str): What the card says about the training data.
    command (str): What made the pipeline.
    precision (Optional[str]): What the backbone of the shipped model computes in, as for
        `Backbone`; by default that of the pipeline.
    """
    if precision is not None:
        check_precision(precision)
    nlp = spacy.load(pipeline)
    tommer = require_pipe(nlp, "tommer", pipeline)
    if "calibration" not in nlp.meta.get("performance", {}):
        raise ValueError(
            f"The thresholds of {pipeline} were not chosen on validation texts. Run: "
            f"python -m reproduction thresholds mentions {pipeline} DEV OUTPUT"
        )
    shim = nlp.get_pipe("transformer").model.shims[0]
    weights = head_to_bytes(
        get_head(tommer.model),
        backbone=shim.name,
        sha256=shim.cut.sha256,
        precision=shim.cut.precision,
        layer=str(shim.layers[-1]),
        unit=tommer.model.attrs["unit"],
        passes=str(shim.passes),
        adapter=name if shim.adapter else "",
    )
    folder = MODELS / name
    check_name(folder, shim)
    check_adapter(shim)
    card = mentions_card(nlp, name, data, command)
    folder.mkdir(exist_ok=True)
    if shim.adapter:
        copy_adapter(shim.adapter, folder / "adapter")
    shipped_config(nlp, name, precision).to_disk(folder / "config.cfg")
    write_aside(folder / "head.safetensors", lambda path: path.write_bytes(weights))
    write_text_aside(folder / "card.md", card)


def about_states(shim: BackboneShim) -> dict[str, str]:
    """Describe how a backbone computes states, for a card."""
    return {
        "backbone": shim.name,
        "sha256": shim.get_cut().sha256,
        "adapter": " (with its adapter)" if shim.adapter else "",
        "precision": shim.get_cut().precision,
        "passes": "1 pass" if shim.passes == 1 else f"{shim.passes} passes",
    }


def check_name(folder: Path, shim: BackboneShim) -> None:
    """Refuse to put a head in the place of one on another backbone, or on the same with an
    adapter and without."""
    path = folder / "config.cfg"
    if not path.is_file():
        return
    model = Config().from_disk(path)["components"]["transformer"]["model"]
    former = origin_of(model["name"], model.get("adapter"))
    new = origin_of(shim.name, shim.adapter)
    if former != new:
        raise ValueError(
            f"The shipped model {folder.name!r} reads {former}, and this head reads {new}. "
            f"Give it another name, or train it with --vars.backbone {model['name']}."
        )


def origin_of(backbone: str, adapter: Any) -> str:
    """Say what states are from, whatever adapter it is."""
    return f"{backbone} with an adapter" if adapter else backbone


def shipped_config(nlp: Language, name: str, precision: Optional[str]) -> Config:
    """Keep of a pipeline's config what it takes to build the part that finds mentions. An
    adapter gets the name of the model, by which it is found on every machine; and the
    backbone a precision, if one is given."""
    config = nlp.config.interpolate()
    keep = {key: config["nlp"][key] for key in ("lang", "pipeline", "batch_size")}
    tokenizer = config["nlp"]["tokenizer"]
    if tokenizer["@tokenizers"] != "spacy.Tokenizer.v1":  # the default of most languages
        keep["tokenizer"] = tokenizer
    keep["pipeline"] = [pipe for pipe in keep["pipeline"] if pipe != "tommer_zeroshot"]
    components = {pipe: config["components"][pipe] for pipe in keep["pipeline"]}
    tommer = nlp.get_pipe("tommer")
    components["tommer"].update(
        threshold=tommer.threshold,
        flat_threshold=tommer.flat_threshold,
        operating_points=tommer.operating_points,
    )
    backbone = components["transformer"]["model"]
    if backbone.get("adapter"):
        backbone["adapter"] = name
    if precision is not None:
        backbone["precision"] = precision
    return Config({"nlp": keep, "components": components})


def mentions_card(nlp: Language, name: str, data: str, command: str) -> str:
    """Write the card of a head of mentions."""
    tommer = nlp.get_pipe("tommer")
    shim = nlp.get_pipe("transformer").model.shims[0]
    head = get_head(tommer.model)
    chosen = nlp.meta["performance"]["calibration"]
    tables = "\n".join(
        points_table(name, point["threshold"], point["flat_threshold"])
        for name, point in chosen["points"].items()
    )
    settings: dict[str, Any] = dict(tommer.model.attrs)
    settings["kinds"] = ", ".join(settings["kinds"])
    settings["layer"] = shim.layers[-1]
    return MENTIONS_CARD.format(
        **settings,
        **about_states(shim),
        name=name,
        texts="English text" if nlp.lang == "en" else "text in many languages",
        parameters=sum(p.numel() for p in head.parameters()),
        command=command,
        seed=nlp.config.interpolate()["training"]["seed"],
        data=data,
        origin=adapter_card(shim.adapter) if shim.adapter else "",
        points="; ".join(
            f"{name}: `threshold = {point['threshold']}`, "
            f"`flat_threshold = {point['flat_threshold']}`"
            for name, point in tommer.operating_points.items()
        ),
        tables=tables,
        reliability="\n".join(reliability_table(chosen["reliability"])),
    )


def points_table(name: str, nested: Mapping[str, Any], flat: Mapping[str, Any]) -> str:
    """Show the measures of each set at an operating point."""
    lines = [
        f"| {name} | all: recall | precision | F1 | flat: recall | precision | F1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key in nested:
        measures = [100 * one[key][m] for one in (nested, flat) for m in "rpf"]
        lines.append(f"| {key} | " + " | ".join(f"{m:.1f}" for m in measures) + " |")
    return "\n".join([*lines, ""])


def ship_types(pipeline: Path, name: str, chosen: str, command: str, data: str) -> None:
    """Write the head of types of a pipeline, and its threshold, to a shipped model.

    pipeline (Path): The pipeline, whose threshold was chosen.
    name (str): Name of the model.
    chosen (str): What the card says about where the threshold is from.
    command (str): What made the pipeline.
    data (str): What the card says about the training data.
    """
    nlp = spacy.load(pipeline)
    zeroshot = require_pipe(nlp, "tommer_zeroshot", pipeline)
    folder = MODELS / name
    threshold = zeroshot.cfg["threshold"]
    if threshold is None:
        raise ValueError(
            f"The threshold of {pipeline} was not chosen on validation texts. Run: "
            f"python -m reproduction thresholds types {pipeline} OUTPUT"
        )
    if not folder.is_dir():
        raise ValueError(f"There is no shipped model {name!r} whose mentions get types.")
    transformer = nlp.get_pipe("transformer")
    shim = transformer.model.shims[0]
    head = zeroshot.model.shims[0]._model
    about = {
        **reads(transformer, zeroshot.model),
        "backbone": shim.name,
        "precision": shim.cut.precision,
        "threshold": f"{threshold:g}",
    }
    check_mentions(folder, about["sha256"])
    weights = type_head_to_bytes(head.half(), **about)
    write_aside(folder / FILE, lambda path: path.write_bytes(weights))
    card = TYPES_CARD.format(
        **{**about, **about_states(shim)},
        name=name,
        chosen=chosen,
        command=command,
        data=data,
        parameters=sum(p.numel() for p in head.parameters()),
    )
    write_text_aside(folder / "types.md", card)


def check_mentions(folder: Path, sha256: str) -> None:
    """Raise ValueError if the mentions of a shipped model are read from other weights.

    folder (Path): The folder of the model.
    sha256 (str): SHA-256 of the weights that types are read from.
    """
    path = folder / "head.safetensors"
    if not path.is_file():
        return
    with safe_open(path, "pt") as file:
        other = file.metadata()["sha256"]
    if other != sha256:
        raise ValueError(
            f"The mentions of {folder.name!r} are read from a backbone with the SHA-256 "
            f"{other[:16]}, and these types from {sha256[:16]}. Export the mentions of the "
            "same pipeline first."
        )
