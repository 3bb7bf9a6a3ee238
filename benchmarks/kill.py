"""Kill processes of a run on Ray at random moments, run it again, and see that no row is
lost, none comes twice, and little is done again.

    python benchmarks/kill.py --times 30

An actor, the raylet and the driver of `python -m spacy tommer find --ray local` are killed
in turn. psutil and the extra `ray` must be installed.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Optional

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import typer

WORDS = ["Berlin", "the", "of", "Angela", "Merkel", "visited", "a", "company", "in", "May"]
# How the names of the processes begin that `find_victim` looks for.
ACTOR, RAYLET, DRIVER = "ray::ShardActor", "raylet", "driver"
TARGETS = (ACTOR, RAYLET, DRIVER)
# Seconds after which a run that does not end hangs.
PATIENCE = 600


def write_texts(folder: Path, files: int, rows: int, words: int) -> None:
    """Write files of random words."""
    rng = random.Random(0)
    folder.mkdir()
    for i in range(files):
        ids = list(range(i * rows, (i + 1) * rows))
        texts = [" ".join(rng.choices(WORDS, k=words)) for _ in ids]
        pq.write_table(pa.table({"id": ids, "text": texts}), folder / f"{i}.parquet")


def find_victim(
    driver: psutil.Process, target: str, rng: random.Random
) -> Optional[psutil.Process]:
    """Find the process to kill, if it exists already."""
    if target == DRIVER:
        return driver
    found = []
    for process in driver.children(recursive=True):
        try:
            first = process.cmdline()[:1]
        except psutil.Error:  # it has just ended
            continue
        if first and os.path.basename(first[0]).startswith(target):
            found.append(process)
    return rng.choice(found) if found else None


def count_finished(folder: Path) -> int:
    """Count the shards of a folder that are finished."""
    return len(list(folder.glob("*.parquet")))


def hold(folder: Path) -> list[BufferedReader]:
    """Open all files of shards, finished or not."""
    held = []
    for path in folder.glob("*.parquet*"):
        with suppress(FileNotFoundError):  # it has just been renamed
            held.append(path.open("rb"))
    return held


def count_redone(folder: Path, held: list[BufferedReader]) -> int:
    """Count the files that were not kept, but written again."""
    kept = {(found.st_dev, found.st_ino) for found in map(os.stat, folder.glob("*"))}
    redone = 0
    for file in held:
        with file:
            found = os.fstat(file.fileno())
            redone += (found.st_dev, found.st_ino) not in kept
    return redone


def kill(
    command: list[str],
    folder: Path,
    target: str,
    shards: int,
    pause: float,
    rng: random.Random,
) -> Optional[tuple[list[BufferedReader], int]]:
    """Start a run, kill one of its processes, and wait for the end of the others.

    shards (int): How many shards are finished then.
    pause (float): For how many seconds the process lives on.
    RETURNS (Optional[tuple[list[BufferedReader], int]]): The files of shards
        at that moment, and how many processes did not end within `PATIENCE`; None if the
        run ended before.
    """
    driver = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    victim = None
    while driver.poll() is None and victim is None:
        time.sleep(0.01)
        if count_finished(folder) >= shards:
            victim = find_victim(driver, target, rng)
    time.sleep(pause)
    if victim is None or not victim.is_running() or driver.poll() is not None:
        return None
    family = driver.children(recursive=True)
    victim.kill()
    held = hold(folder)
    _, alive = psutil.wait_procs([driver, *family], timeout=PATIENCE)
    for process in alive:
        process.kill()
    return held, len(alive)


def compare(out: Path, whole: Path, rows: int) -> tuple[int, int, bool]:
    """Compare the output of a run that was killed and run again with that of a whole run.

    rows (int): How many rows there are.
    RETURNS (tuple[int, int, bool]): How many rows are lost, how many come twice, and
        whether all shards are the same.
    """
    tables, others = (
        {path.name: pq.read_table(path) for path in folder.glob("*.parquet")}
        for folder in (out, whole)
    )
    ids = [id for table in tables.values() for id in table["id"].to_pylist()]
    return rows - len(set(ids)), len(ids) - len(set(ids)), tables == others


def main(
    times: int = 30,
    model: str = "minilm",
    files: int = 8,
    rows: int = 2000,
    words: int = 10,
    shard_rows: int = 500,
    workers: int = 2,
    seed: int = 0,
) -> None:
    """Kill runs over FILES files of ROWS rows, each of WORDS words, TIMES times."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        source, whole, out = (Path(temporary, name) for name in ("in", "whole", "out"))
        write_texts(source, files, rows, words)
        command = [sys.executable, "-m", "spacy", "tommer", "find", "--ray", "local"]
        command += ["--model", model, "--file", f"{source}/*.parquet"]
        command += ["--n-process", str(workers), "--shard-rows", str(shard_rows)]
        begun = time.monotonic()
        subprocess.run([*command, "--output", f"{whole}/"], check=True)
        seconds = time.monotonic() - begun
        total = count_finished(whole)
        command += ["--output", f"{out}/"]
        print(f"{total} shards, {seconds:.0f} s without a kill")
        print("killed           finished  redone  left over  lost  twice  same")
        done = faults = 0
        while done < times:
            target = TARGETS[done % len(TARGETS)]
            shards, pause = rng.randrange(total), rng.uniform(0, seconds / total)
            shutil.rmtree(out, ignore_errors=True)
            killed = kill(command, out, target, shards, pause, rng)
            if killed is None:
                continue
            held, left = killed
            finished = sum(file.name.endswith(".parquet") for file in held)
            again = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if again.returncode:
                print(again.stderr)
            redone = count_redone(out, held)
            lost, twice, same = compare(out, whole, files * rows)
            done += 1
            failed = again.returncode or left or lost or twice or not same
            faults += bool(failed or redone > workers)
            print(
                f"{target:15} {finished:9} {redone:7} {left:10} {lost:5} "
                f"{twice:6}  {'yes' if same else 'NO'}",
                flush=True,
            )
    print(f"{done} kills, {faults} of them with a fault")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    typer.run(main)
