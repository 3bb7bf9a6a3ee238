"""List the shipped models and the paths of their weights."""

import typer
from thinc.api import Config

from ..backbone.sources import install_line, weights_place
from ..entities.shipped import shipped_types
from ..head.checkpoints import MODELS, read_shipped, shipped_models


def models() -> None:
    """List the shipped models: their backbones, and where the weights of these are.

    Weights come from a folder, an installed package or the cache of the Hugging Face hub.
    Where they are missing, the line that gets them stands below.
    """
    typed = shipped_types()
    for name in shipped_models():
        head, _ = read_shipped(name)
        config = Config().from_disk(MODELS / name / "config.cfg")
        backbone = config["components"]["transformer"]["model"]
        blocks = max(backbone["layers"]) + 1
        place = weights_place(backbone["name"], blocks)
        size = sum(parameter.numel() for parameter in head.parameters())
        typer.secho(name, bold=True)
        typer.echo(f"  backbone  {backbone['name']}, block {blocks - 1}")
        typer.echo(f"  head      {size:,} parameters")
        typer.echo(f"  types     {'yes' if name in typed else 'no'}")
        if place is None:
            typer.echo("  weights   missing; get them with:")
            typer.echo(f"            {install_line(backbone['name'])}")
        else:
            typer.echo(f"  weights   {place}")
