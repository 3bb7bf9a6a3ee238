"""Compare pipelines with each other."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..analyses.agreement import compare_pipelines
from . import options


def agreement(
    pipelines: options.Pipelines,
    benchmarks: options.Benchmarks = Path("corpus/benchmarks"),
    sets: Annotated[Optional[str], typer.Option(help="Some only: NAME,NAME.")] = None,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path(
        "metrics/agreement"
    ),
    limit: options.Limit = 0,
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0, max=1, help="One for all, in place of their own."),
    ] = None,
    cache: options.OwnCache = None,
) -> None:
    """Measure how far pipelines find the same mentions (section 4.3).

    Writes Dice and IoU of each two: agreement.csv and dice.png.
    """
    wanted = None if sets is None else sets.split(",")
    lines, left_out = compare_pipelines(
        pipelines, benchmarks, output, wanted, limit, threshold, cache
    )
    print("\n".join(lines))
    if left_out:
        typer.echo(f"Left out: dice.png. {left_out}", err=True)
