"""Measure how much a head gains from more passages."""

from pathlib import Path
from typing import Annotated

import typer

from ..analyses.learning_curve import measure_curve
from . import options


def learning_curve(
    ctx: typer.Context,
    config: options.Config,
    corpus: Annotated[Path, typer.Argument(help="Folder of DocBins to learn from.")],
    sets: Annotated[
        Path, typer.Argument(help="Folder with a folder of DocBins for each set to score.")
    ],
    output: Annotated[
        Path, typer.Argument(help="Folder for heads, curve.json, curve.png.")
    ],
    sizes: Annotated[
        str, typer.Option(help="Numbers of passages, separated by commas; 0: all.")
    ] = "150,300,600,900,0",
    orders: Annotated[int, typer.Option(min=1, help="Random orders of the passages.")] = 3,
    cache: options.Cache = Path("cache"),
) -> None:
    """Train on the first passages of random orders of a corpus, and score each head: the
    precision at recall 94, and the greedy F1 at the best threshold.

    Heads that are there are kept: an interrupted run goes on where it was.
    """
    numbers = [int(size) for size in sizes.split(",")]
    overrides = options.overrides_of(ctx)
    rows = measure_curve(config, corpus, sets, output, numbers, orders, cache, overrides)
    for row in rows:
        print(
            f"{row['passages']:5} passages, order {row['order']}, {row['set']}: precision "
            f"{100 * row['precision']:.1f}, greedy F1 {100 * row['f1']:.1f}"
        )
