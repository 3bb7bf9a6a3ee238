"""Train and score heads that differ in one setting, and plot what it changes."""

import json
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from spacy_tommer.aside import write_aside
from spacy_tommer.evaluation.plans import read_plan
from spacy_tommer.evaluation.plots import new_figure
from spacy_tommer.evaluation.sweep_reports import write_sweep
from spacy_tommer.evaluation.sweeps import read_row, run_one


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
    for run in (progress := tqdm(planned.runs(), unit=" runs")):
        if read_row(folder, planned, run) is not None:
            continue
        progress.set_description(run.key)
        shown = json.dumps(run_one(planned, run, cache, gpu_id))
        path = folder / f"{run.key}.json"
        write_aside(path, lambda aside, shown=shown: aside.write_text(shown, "utf-8"))
        write_sweep(output, planned)
    write_sweep(output, planned)
    print(f"Table and figures: {output}")


if __name__ == "__main__":
    typer.run(sweep)
