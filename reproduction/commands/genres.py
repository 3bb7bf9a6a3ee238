"""Measure heads on each group of genres of OpenMentions."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..analyses.genres import score_genres
from ..analyses.left_out_genres import leave_out_genres
from . import options

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def score(
    pipelines: options.Pipelines,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics/genres"),
) -> None:
    """Score pipelines at their own thresholds on each group of the validation part, and
    count mentions that cross the end of a sentence, or begin or end with punctuation.

    Writes genres.json and genres.md.
    """
    print("\n".join(score_genres(pipelines, output)))


@app.command(cls=options.TakesOverrides)
def leave_out(
    ctx: typer.Context,
    config: options.Config,
    corpus: Annotated[
        Path, typer.Argument(help="Folder of DocBins with OpenMentions' training part.")
    ],
    output: Annotated[
        Path, typer.Argument(help="Folder for heads, left_out.json, .md and .png.")
    ],
    groups: Annotated[Optional[str], typer.Option(help="Some only: GROUP,GROUP.")] = None,
    cache: options.Cache = Path("cache"),
) -> None:
    """Train a head on all passages, and one without each group, and score both on the
    passages of that group in the validation and test part.

    The threshold of a head has the best mean greedy F1 over the validation passages of the
    groups that it learns from. Heads that are there are kept: an interrupted run goes on
    where it was.
    """
    wanted = groups.split(",") if groups else []
    overrides = options.overrides_of(ctx)
    print("\n".join(leave_out_genres(config, corpus, output, cache, overrides, wanted)))
