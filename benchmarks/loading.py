"""Compare saved pipelines whose weights are mapped into memory (the pipe
`tommer_transformer`) with those that have them inside the file of the model (`transformer`
of spacy-transformers).

    python -m benchmarks.loading minilm smollm2 --runs 3

Each load runs in a process of its own, after the imports. "Own" memory is that of no file.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import spacy
import typer
from rich.console import Console
from rich.table import Table

import spacy_tommer
from benchmarks.process_memory import process_memory

FACTORIES = {"inside": "transformer", "mapped": "tommer_transformer"}
FIELDS = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "own"}


def measure(folder: str) -> None:
    """Load a pipeline, run it on a text, and print seconds and the memory in MB."""
    spacy.blank("en")  # imports all factories
    start = time.perf_counter()
    nlp = spacy.load(folder)
    seconds = time.perf_counter() - start
    nlp("Angela Merkel met Emmanuel Macron in Berlin on Friday.")
    memory = {name: process_memory(field) for field, name in FIELDS.items()}
    print(json.dumps({"seconds": seconds, **memory}))


def main(models: list[str], runs: int = 3, loaded: bool = False) -> None:
    """Print the medians of RUNS loads, in turn, for each of MODELS."""
    if loaded:
        measure(*models)
        return
    columns = ["seconds", *FIELDS.values()]
    table = Table("model", "weights", *columns)
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            for name, factory in FACTORIES.items():
                config = {"components.transformer.factory": factory}
                spacy_tommer.load(model, config=config).to_disk(Path(folder, name))
            found = {name: [] for name in FACTORIES}
            for _ in range(runs):
                for name, results in found.items():
                    command = [sys.executable, "-m", "benchmarks.loading", "--loaded"]
                    shown = subprocess.check_output([*command, f"{folder}/{name}"])
                    results.append(json.loads(shown))
        for name, results in found.items():
            medians = (statistics.median(one[key] for one in results) for key in columns)
            seconds, *memory = medians
            table.add_row(model, name, f"{seconds:.2f}", *(f"{mb:.0f}" for mb in memory))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
