"""Take the head of a calibrated pipeline into the package as a shipped model."""

from pathlib import Path
from typing import Any

import spacy
import typer
from spacy.language import Language
from thinc.api import Config

from spacy_tommer.head.checkpoints import MODELS, head_to_bytes
from spacy_tommer.head.model import get_head

CARD = """# {name}

Finds entity mentions in English text, nested and flat.

| | |
| --- | --- |
| backbone | {backbone}, output of block {layer}, counted from 0 |
| SHA-256 of its weights | `{sha256}` |
| head | {parameters:,} parameters; rank {rank}, {hidden} hidden units |
| mentions | of up to {max_length} units; a unit is a {unit} |
| thresholds | `threshold = {threshold}`, `flat_threshold = {flat_threshold}` |
| training | `{command}`, seed {seed} |
| licence | Apache-2.0 |

## Data

{data}
## Scores on the validation texts, on which the thresholds were chosen

| set | all: recall | precision | F1 | greedy: recall | precision | F1 |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

`threshold` is the highest at which the recall on every set is at least 85 % and their mean
at least 94 %; `flat_threshold` has the best mean F1 of the flat segmentation. The
benchmarks are in the README.
"""


def shipped_config(nlp: Language) -> Config:
    """Keep of a pipeline's config what it takes to build it again."""
    config = nlp.config.interpolate()
    keep = {key: config["nlp"][key] for key in ("lang", "pipeline", "batch_size")}
    components = config["components"]
    components["tommer"].update(thresholds(nlp))
    return Config({"nlp": keep, "components": components})


def thresholds(nlp: Language) -> dict[str, float]:
    """Get the calibrated thresholds; JSON makes 0.959 a 0.9590000000000001."""
    cfg = nlp.get_pipe("tommer").cfg
    return {name: round(cfg[name], 3) for name in ("threshold", "flat_threshold")}


def make_card(nlp: Language, name: str, data: str, command: str) -> str:
    """Write the card of a model."""
    tommer = nlp.get_pipe("tommer")
    shim = nlp.get_pipe("transformer").model.shims[0]
    head = get_head(tommer.model)
    nested, flat = nlp.meta["performance"]["calibration"].values()
    rows = [
        f"| {key} | "
        + " | ".join(f"{100 * one[key][m]:.1f}" for one in (nested, flat) for m in "rpf")
        + " |"
        for key in nested
    ]
    settings: dict[str, Any] = {**tommer.model.attrs, **thresholds(nlp)}
    settings["layer"] = shim.layers[-1]
    return CARD.format(
        **settings,
        name=name,
        backbone=shim.name,
        sha256=shim.cut.sha256,
        parameters=sum(p.numel() for p in head.parameters()),
        command=command,
        seed=nlp.config.interpolate()["training"]["seed"],
        data=data,
        rows="\n".join(rows),
    )


def export(pipeline: Path, name: str, data: Path, command: str) -> None:
    """Write the head of PIPELINE as the shipped model NAME, with a card that describes the
    training DATA and the COMMAND."""
    nlp = spacy.load(pipeline)
    shim = nlp.get_pipe("transformer").model.shims[0]
    head = get_head(nlp.get_pipe("tommer").model)
    folder = MODELS / name
    folder.mkdir(exist_ok=True)
    shipped_config(nlp).to_disk(folder / "config.cfg")
    weights = head_to_bytes(
        head,
        backbone=shim.name,
        sha256=shim.cut.sha256,
        layer=str(shim.layers[-1]),
        unit=nlp.get_pipe("tommer").model.attrs["unit"],
    )
    (folder / "head.safetensors").write_bytes(weights)
    card = make_card(nlp, name, data.read_text("utf-8"), command)
    (folder / "card.md").write_text(card, "utf-8")


if __name__ == "__main__":
    typer.run(export)
