"""Peak memory of conversion, caching, training and evaluation on a corpus and on one that
is ten times as large. Training makes as many updates on both: glibc keeps some of the
memory that is freed, and with every update a little more.

    python benchmarks/growth.py assets/data/train/CRAFT/train.tsv --texts 1200
"""

import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[1]
STEPS = {
    "convert": (
        "-m reproduction convert training {data} {folder}/corpus "
        "--sets craft --dev-share 0.2"
    ),
    "cache": (
        "-m reproduction cache {config} {folder}/corpus/train --cache {folder}/cache"
    ),
    "train": (
        "-m spacy train {config} --output {folder}/training "
        "--paths.train {folder}/corpus/train --paths.dev {folder}/corpus/dev "
        "--paths.cache {folder}/cache --training.max_steps {updates} "
        "--training.batcher.size 3500 --training.eval_frequency {updates}"
    ),
    "evaluate": (
        "-m reproduction evaluate mentions {folder}/training/model-last --benchmarks "
        "{folder}/corpus/train --output {folder}/metrics"
    ),
}


def peak(command: str, log: Path) -> int:
    """Run a command of Python, and return its peak memory in bytes."""
    with log.open("a") as file_:
        process = subprocess.Popen(
            [sys.executable, *command.split()], cwd=ROOT, stdout=file_, stderr=file_
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed:\n{log.read_text()[-2000:]}")
    return usage.ru_maxrss * 1024


def take(source: Path, target: Path, texts: int) -> None:
    """Copy the first sentences of a column file."""
    target.parent.mkdir(parents=True)
    blank = (i for i, line in enumerate(source.open("rb")) if not line.strip())
    lines = next(islice(blank, texts - 1, None))
    with source.open("rb") as file_:
        target.write_bytes(b"".join(islice(file_, lines + 1)))


def measure(
    source: Path, texts: int = 1200, config: Path = ROOT / "configs/mentions.cfg"
) -> None:
    """Take TEXTS and ten times TEXTS sentences of SOURCE, a file of the CRAFT corpus."""
    peaks: dict[str, list[int]] = {name: [] for name in STEPS}
    for times in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "data")
            take(source, data / "train/CRAFT/train.tsv", times * texts)
            for name, command in STEPS.items():
                filled = command.format(
                    data=data, folder=folder, config=config, updates=max(texts // 10, 1)
                )
                peaks[name].append(peak(filled, Path(folder, "log")))
    for name, (small, large) in peaks.items():
        print(f"{name:9} {small / 1e6:7.0f} MB {large / 1e6:7.0f} MB  {large / small:.2f}")


if __name__ == "__main__":
    typer.run(measure)
