"""Vary one setting at a time."""

from pathlib import Path
from typing import Annotated

import typer

from ..analyses.sweeps import do_sweep
from .options import Cache, GpuId


def sweep(
    plan: Annotated[Path, typer.Argument(help="YAML file that says what to vary.")] = Path(
        "configs/sweep.yaml"
    ),
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics/sweep"),
    cache: Cache = Path("cache/sweep"),
    gpu_id: GpuId = -1,
) -> None:
    """Train and score heads that differ in one setting, and plot what it changes.

    These are the paper's figures 4, 6, 12 and 14. One pass of each backbone serves all its
    heads. Rows in OUTPUT/rows are kept: an interrupted sweep goes on where it was. Table
    and figures are written after each head.
    """
    do_sweep(plan, output, cache, gpu_id)
    print(f"Table and figures: {output}")
