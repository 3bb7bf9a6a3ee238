"""Train and score heads that differ in one setting, and plot what it changes."""

import json
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from spacy_tommer.files import write_text_aside

from ..analyses.plans import read_plan
from ..analyses.sweep_reports import write_sweep
from ..analyses.sweeps import read_row, run_one
from ..evaluation.plots import new_figure


def sweep(
    plan: Annotated[Path, typer.Argument(help="YAML file.")] = Path("configs/sweep.yaml"),
    output: Path = Path("metrics/sweep"),
    cache: Path = Path("cache/sweep"),
    gpu_id: int = -1,
) -> None:
    """Do the runs of PLAN one after the other, from the states in CACHE, which one pass of
    each backbone fills. Rows that are in OUTPUT/rows are kept: an interrupted sweep goes on
    where it was. The table and the figures are written anew after each run.
    """
    planned = read_plan(plan)
    new_figure((1, 1))  # no work before it is known that its figures can be drawn
    folder = output / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    runs = planned.runs()
    kept = {run: read_row(folder, planned, run) for run in runs}
    rows = {run: row for run, row in kept.items() if row is not None}
    for run in (progress := tqdm(runs, unit=" runs")):
        if run in rows:
            continue
        progress.set_description(run.key)
        rows[run] = run_one(planned, run, cache, gpu_id)
        write_text_aside(folder / f"{run.key}.json", json.dumps(rows[run]))
        write_sweep(output, planned, rows)
    write_sweep(output, planned, rows)
    print(f"Table and figures: {output}")


if __name__ == "__main__":
    typer.run(sweep)
