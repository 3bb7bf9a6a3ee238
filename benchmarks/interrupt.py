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


def start(command: list[str], folder: Path) -> subprocess.Popen:
    """Start a command in a group of processes of its own."""
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


def check(
    command: list[str],
    folder: Path,
    made: Path,
    pattern: str,
    times: int,
    rng: random.Random,
) -> bool:
    """Kill a command at random moments, run it again, and see that it makes the same.

    command (list[str]): The command.
    folder (Path): Where it runs.
    made (Path): The folder that it writes.
    pattern (str): The files in it that are the same in each run.
    times (int): How often it is killed.
    rng (random.Random): Draws the moments.
    RETURNS (bool): Whether each run made the same.
    """
    begun = time.monotonic()
    if start(command, folder).wait():
        raise SystemExit(f"{' '.join(command)} fails without being killed")
    seconds = time.monotonic() - begun
    expected = digest(made, pattern)
    # The lock of a project would tell that the step is done already.
    lock, kept = folder / "project.lock", folder / "project.lock.kept"
    for i in range(times):
        if lock.exists():
            lock.rename(kept)
        shutil.rmtree(made)
        process = start(command, folder)
        moment = rng.uniform(0, seconds)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        status = start(command, folder).wait()
        same = digest(made, pattern) == expected and not status
        print(f"killed after {moment:.1f} s: {i + 1} of {times}", end=" ")
        print("the same" if same else "DIFFERENT", flush=True)
        if not same:
            return False
        if kept.exists():
            kept.replace(lock)
    return True


def main(times: int = 5, seed: int = 0) -> None:
    """Kill each step TIMES times."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        folder.mkdir()
        for part in ("configs", "reproduction", "assets", "spacy_tommer"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "project.yml", folder)
        for step, (name, pattern) in STEPS.items():
            print(step)
            command = [sys.executable, "-m", "spacy", "project", "run", step, "."]
            if not check(command, folder, folder / name, pattern, times, rng):
                raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
