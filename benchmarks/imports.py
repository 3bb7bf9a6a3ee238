"""Compare the start of spaCy with the plugin and with spacy-transformers alone.

    python benchmarks/imports.py --runs 20

`import spacy` reads the names of entry points; the first pipeline imports the factories of
all plugins. Each run is a process of its own, in turn with the plugin and without: then
nothing finds its entry points, as if it were not installed.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import typer

from spacy_tommer.evaluation.tables import table

ROOT = Path(__file__).resolve().parents[1]
HIDDEN = {"with the plugin": [], "spacy-transformers alone": ["spacy-tommer"]}
STEPS = ("import spacy", 'spacy.blank("en")')
CODE = """
import json, sys, time
from benchmarks.hidden import hide
hide({hidden})
start = time.perf_counter()
for step in {steps}:
    exec(step)
    own = sum(name.startswith("spacy_tommer") for name in sys.modules)
    took = time.perf_counter() - start
    print(json.dumps([took, len(sys.modules), own]))
"""


def run(hidden: list[str]) -> list[list[float]]:
    """Start spaCy in a process of its own.

    hidden (list[str]): The packages that are hidden from it.
    RETURNS (list[list[float]]): After each of `STEPS`: seconds since the start, imported
        modules, and how many of them are the plugin's.
    """
    code = CODE.format(hidden=hidden, steps=STEPS)
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in shown.stdout.splitlines()]


def main(runs: int = 20) -> None:
    """Print the median seconds of RUNS processes, their ratios, and the modules."""
    results: dict[str, list[list[list[float]]]] = {name: [] for name in HIDDEN}
    for _ in range(runs):
        for name, hidden in HIDDEN.items():
            results[name].append(run(hidden))
    rows = []
    for place, step in enumerate(STEPS):
        alone = [each[place][0] for each in results["spacy-transformers alone"]]
        for name, every in results.items():
            seconds = [each[place][0] for each in every]
            ratio = median(one / other for one, other in zip(seconds, alone))
            _, modules, own = every[-1][place]
            figures = [f"{median(seconds):.3f}", f"{ratio:.3f}", modules, own]
            rows.append([f"after `{step}`", name, *figures])
    header = ["", "installed", "s", "ratio", "modules", "of the plugin"]
    print("\n".join(table(header, rows)))


if __name__ == "__main__":
    typer.run(main)
