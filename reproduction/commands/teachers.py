"""Train a head on each corpus alone."""

from pathlib import Path
from typing import Annotated

import typer

from ..heads.teachers import train_teachers
from . import options


def teachers(
    ctx: typer.Context,
    config: options.Config,
    corpus: Annotated[Path, typer.Argument(help="Folder with a folder for each set.")],
    dev: Annotated[Path, typer.Argument(help="The same for the validation texts.")],
    output: Annotated[Path, typer.Argument(help="Folder for a pipeline of each set.")],
    cache: options.Cache = Path("cache"),
    steps: Annotated[int, typer.Option(min=1, help="Updates of each head.")] = 4000,
    seed: options.Seed = 0,
    gpu_id: options.GpuId = -1,
) -> None:
    """Train a head on each set alone, to teach a head that learns from all.

    Those that are there are kept: an interrupted run goes on where it was.
    """
    overrides = options.overrides_of(ctx)
    train_teachers(config, corpus, dev, output, cache, steps, seed, gpu_id, overrides)
