"""Compute hidden states ahead of training."""

from pathlib import Path
from typing import Annotated

import typer

from ..heads.states import fill_cache
from . import options


def cache(
    ctx: typer.Context,
    config: options.Config,
    corpora: Annotated[list[Path], typer.Argument(help="DocBins, or folders of them.")],
    cache: options.Cache = Path("cache"),
    unit: Annotated[str, typer.Option(help="What has a state: token or piece.")] = "token",
) -> None:
    """Compute the hidden states of corpora, for training to read.

    States that are there are kept: an interrupted run goes on where it was.
    """
    fill_cache(config, corpora, cache, unit, options.overrides_of(ctx))
