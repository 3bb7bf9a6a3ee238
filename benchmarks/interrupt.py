"""Kill steps of the project at random moments, and see that the next run makes the same.

    python benchmarks/interrupt.py --times 5

runs in a copy of the repository, on the sample.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[1]
# The folder that each step writes, and the files in it that are the same in each run.
STEPS = {
    "sample-convert": ("corpus/sample", "**/*.spacy"),
    "sample-cache": ("cache/sample", "**/*.safetensors"),
    "sample-train": ("training/sample/teacher", "model-best/tommer/model"),
    "sample-distill": ("corpus/sample/distilled", "**/*.spacy"),
}


def start(step: str, folder: Path) -> subprocess.Popen:
    """Start a step of the project."""
    command = [sys.executable, "-m", "spacy", "project", "run", step, "."]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def digest(folder: Path, pattern: str) -> str:
    """Hash the files that a step wrote."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        if ".part" in str(path):
            continue
        whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return whole.hexdigest()


def check(times: int = 5, seed: int = 0) -> None:
    """Kill each step TIMES times."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        folder.mkdir()
        for part in ("configs", "reproduction", "assets", "spacy_tommer"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "project.yml", folder)
        for step, (name, pattern) in STEPS.items():
            made = folder / name
            begun = time.monotonic()
            if start(step, folder).wait():
                raise SystemExit(f"{step} fails without being killed")
            seconds = time.monotonic() - begun
            expected = digest(made, pattern)
            for i in range(times):
                # The lock would tell that the step is done already.
                (folder / "project.lock").rename(folder / "project.lock.kept")
                shutil.rmtree(made)
                process = start(step, folder)
                moment = rng.uniform(0, seconds)
                time.sleep(moment)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = start(step, folder).wait()
                same = digest(made, pattern) == expected
                print(f"{step} killed after {moment:.1f} s: {i + 1} of {times}", end=" ")
                print("the same" if same and not status else "DIFFERENT", flush=True)
                if status or not same:
                    raise SystemExit(1)
                (folder / "project.lock.kept").replace(folder / "project.lock")


if __name__ == "__main__":
    typer.run(check)
