"""Put a trained head into the package, with a card that says where it is from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from thinc.api import Config

from spacy_tommer.entities.model import write as type_head_to_bytes
from spacy_tommer.entities.shipped import FILE, reads
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.tables import reliability_table
from spacy_tommer.files import write_aside, write_text_aside
from spacy_tommer.head.checkpoints import MODELS, head_to_bytes
from spacy_tommer.head.model import get_head

MENTIONS_CARD = """# {name}

Finds entity mentions in English text, nested and flat.

| | |
| --- | --- |
| backbone | {backbone}, output of block {layer}, counted from 0 |
| SHA-256 of its weights | `{sha256}` |
| head | {parameters:,} parameters; rank {rank}, {hidden} hidden units |
| mentions | of up to {max_length} units; a unit is a {unit} |
| kinds | {kinds} |
| thresholds | {points} |
| training | `{command}`, seed {seed} |
| licence | Apache-2.0 |

## Data

{data}
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
| backbone | {backbone}, output of block {layer}, counted from 0, {passes} pass |
| SHA-256 of its weights | `{sha256}` |
| head | {parameters:,} parameters in half precision |
| threshold | {threshold}; {chosen} |
| training | `{command}`, seed 0 |
| licence | Apache-2.0 |

{data}
"""


def ship_mentions(pipeline: Path, name: str, data: str, command: str) -> None:
    """Write the head of mentions of a pipeline as a shipped model.

    pipeline (Path): The pipeline, whose thresholds were chosen.
    name (str): Name of the model.
    data (str): What the card says about the training data.
    command (str): What made the pipeline.
    """
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
        layer=str(shim.layers[-1]),
        unit=tommer.model.attrs["unit"],
    )
    folder = MODELS / name
    check_name(folder, shim.name)
    folder.mkdir(exist_ok=True)
    shipped_config(nlp).to_disk(folder / "config.cfg")
    write_aside(folder / "head.safetensors", lambda path: path.write_bytes(weights))
    write_text_aside(folder / "card.md", mentions_card(nlp, name, data, command))


def check_name(folder: Path, backbone: str) -> None:
    """Refuse to put a head in the place of one on another backbone."""
    path = folder / "config.cfg"
    if not path.is_file():
        return
    model = Config().from_disk(path)["components"]["transformer"]["model"]
    if model["name"] != backbone:
        raise ValueError(
            f"The shipped model {folder.name!r} reads {model['name']}, and this head reads "
            f"{backbone}. Give it another name, or train it with --vars.backbone "
            f"{model['name']}."
        )


def shipped_config(nlp: Language) -> Config:
    """Keep of a pipeline's config what it takes to build it again."""
    config = nlp.config.interpolate()
    keep = {key: config["nlp"][key] for key in ("lang", "pipeline", "batch_size")}
    components = config["components"]
    tommer = nlp.get_pipe("tommer")
    components["tommer"].update(
        threshold=tommer.threshold,
        flat_threshold=tommer.flat_threshold,
        operating_points=tommer.operating_points,
    )
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
        name=name,
        backbone=shim.name,
        sha256=shim.cut.sha256,
        parameters=sum(p.numel() for p in head.parameters()),
        command=command,
        seed=nlp.config.interpolate()["training"]["seed"],
        data=data,
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
    head = zeroshot.model.shims[0]._model
    about = {
        **reads(transformer, zeroshot.model),
        "backbone": transformer.model.shims[0].name,
        "threshold": f"{threshold:g}",
    }
    weights = type_head_to_bytes(head.half(), **about)
    write_aside(folder / FILE, lambda path: path.write_bytes(weights))
    card = TYPES_CARD.format(
        **about,
        name=name,
        chosen=chosen,
        command=command,
        data=data,
        parameters=sum(p.numel() for p in head.parameters()),
    )
    write_text_aside(folder / "types.md", card)
