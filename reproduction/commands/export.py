"""Put a trained head into the package, as a model that ships."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..heads.shipping import ship_mentions, ship_types

Name = Annotated[str, typer.Argument(help="Name of the model.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def mentions(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline with chosen thresholds.")],
    name: Name,
    data: Annotated[Path, typer.Argument(help="Text for the card: the training data.")],
    command: Annotated[
        str, typer.Argument(help="Text for the card: what made the pipeline.")
    ],
    precision: Annotated[
        Optional[str],
        typer.Option(help="What the backbone computes in; default: as in the pipeline."),
    ] = None,
) -> None:
    """Write the head of mentions: config.cfg, head.safetensors and card.md; and the adapter
    of its backbone, if it has one."""
    ship_mentions(pipeline, name, data.read_text("utf-8"), command, precision)


@app.command()
def types(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline with a chosen threshold.")],
    name: Name,
    chosen: Annotated[
        str, typer.Option(help="Text for the card: where the threshold is from.")
    ] = "chosen on texts of corpora that a head by the same recipe had not seen",
    command: Annotated[
        str, typer.Option(help="Text for the card: what made the pipeline.")
    ] = "python -m spacy project run zeroshot .",
    data: Annotated[
        str, typer.Option(help="Text for the card: the training data.")
    ] = "Learnt from the typed texts of the corpora in `card.md`.",
) -> None:
    """Write the head of types: types.safetensors and types.md."""
    ship_types(pipeline, name, chosen, command, data)
