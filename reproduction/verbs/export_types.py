"""Take the head that types mentions into the package, beside the head that finds them."""

from pathlib import Path

import spacy
import typer

from spacy_tommer.entities.model import write
from spacy_tommer.entities.shipped import FILE, reads
from spacy_tommer.files import write_aside, write_text_aside
from spacy_tommer.head.checkpoints import MODELS

CARD = """# {name}: types from definitions

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


def export(
    pipeline: Path,
    name: str,
    chosen: str = "chosen on texts of corpora that a head by the same recipe had not seen",
    command: str = "python -m spacy project run zeroshot .",
    data: str = "Learnt from the typed texts of the corpora in `card.md`.",
) -> None:
    """Write the head of PIPELINE and its threshold to the shipped model NAME, with a card:
    CHOSEN tells where the threshold is from, and COMMAND made the head, from DATA."""
    nlp = spacy.load(pipeline)
    zeroshot = nlp.get_pipe("tommer_zeroshot")
    if zeroshot.threshold is None:
        raise typer.BadParameter(f"{pipeline} has no threshold: calibrate it first.")
    model, threshold = zeroshot.model, f"{zeroshot.threshold:g}"
    transformer = nlp.get_pipe("transformer")
    head = model.shims[0]._model
    place = reads(transformer, model)
    backbone = transformer.model.shims[0].name
    about = {**place, "backbone": backbone, "threshold": threshold}
    folder = MODELS / name
    data_bytes = write(head.half(), **about)
    write_aside(folder / FILE, lambda path: path.write_bytes(data_bytes))
    parameters = sum(p.numel() for p in head.parameters())
    texts = {"name": name, "chosen": chosen, "command": command, "data": data}
    card = CARD.format(**about, **texts, parameters=parameters)
    write_text_aside(folder / "types.md", card)


if __name__ == "__main__":
    typer.run(export)
