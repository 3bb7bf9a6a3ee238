"""Compare actors of Ray with plain processes: words a second, and the peak memory of all
processes together, over some texts and over ten times as many.

    python benchmarks/workers.py minilm --rows 200000

psutil and the extra `ray` must be installed. Memory is the proportional set size:
pages that several processes share count once.
"""

import random
import re
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import typer

WORDS = ["Berlin", "the", "of", "Angela", "Merkel", "visited", "a", "company", "in", "May"]
ENGINES: dict[str, list[str]] = {"processes": [], "actors": ["--ray", "local"]}


def memory(process: psutil.Process) -> int:
    """Return the memory of a process in bytes; 0 if it has ended."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def run(command: list[str], log: Path) -> tuple[float, float]:
    """Run `find`, and return words a second and the peak memory of all processes in MB."""
    with log.open("w") as stream:
        driver = psutil.Popen(command, stderr=stream)
    peak = 0
    while driver.poll() is None:
        peak = max(peak, sum(map(memory, [driver, *driver.children(recursive=True)])))
        time.sleep(0.5)
    told = log.read_text()
    if driver.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{told[-2000:]}")
    (speed,) = re.findall(r"([\d,]+) a second", told)
    return float(speed.replace(",", "")), peak / 1e6


def main(
    model: str, rows: int = 200_000, words: int = 10, workers: int = 2, rounds: int = 1
) -> None:
    """Print words a second over ROWS texts of WORDS words, and the peak memory over a tenth
    of them and over all. The engines take turns."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = [" ".join(rng.choices(WORDS, k=words)) for _ in range(rows)]
        for name, part in (("few", texts[: rows // 10]), ("many", texts)):
            pq.write_table(pa.table({"text": part}), folder / f"{name}.parquet")
        print("round  engine     words/s  peak memory: few  many  ratio")
        for i in range(rounds):
            speeds: dict[str, float] = {}
            for engine, options in ENGINES.items():
                peaks = []
                for name in ("few", "many"):
                    command = [sys.executable, "-m", "spacy", "tommer", "find", *options]
                    command += ["--model", model, "--file", f"{folder}/{name}.parquet"]
                    command += ["--n-process", str(workers)]
                    command += ["--output", f"{folder}/{engine}-{name}-{i}/"]
                    speeds[engine], peak = run(command, folder / "log")
                    peaks.append(peak)
                few, many = peaks
                print(
                    f"{i:5}  {engine:9} {speeds[engine]:8,.0f} {few:14,.0f} MB "
                    f"{many:5,.0f} MB {many / few:6.2f}",
                    flush=True,
                )
            ratio = speeds["actors"] / speeds["processes"]
            print(f"words/s of actors over processes: {ratio:.3f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
