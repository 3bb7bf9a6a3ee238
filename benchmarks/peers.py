"""Compare the shipped pipelines with others that find spans, on the same words.

    python benchmarks/peers.py --output metrics/peers

The words are those of assets/openmentions, cut into texts of each length. A peer runs in a
process of its own for each number of threads, all of them in turn in each round. What is
not installed is left out, and what fails or takes too long is left blank; the notes say
why.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

ROOT = Path(__file__).resolve().parents[1]
# Python puts the folder of the script first, and that has a gliner.py of its own.
sys.path = [str(ROOT), *(path for path in sys.path if path != str(ROOT / "benchmarks"))]

from benchmarks.one_peer import LENGTHS, MARK, MOST_SECONDS  # noqa: E402
from benchmarks.peer_pipelines import PEERS  # noqa: E402
from benchmarks.peers_report import BASE, Measured, Rounds, draw, write  # noqa: E402
from spacy_tommer.files import write_aside, write_text_aside  # noqa: E402

DEFAULT = (
    *(BASE, "minilm-bfloat16", "minilm-int8", "mpnet-float32", "smollm2-float32"),
    *("spacy-ner", "spacy-noun-chunks", "spacy-span-finder", "gliner-small"),
    "dense-scores",
)
THREADS = ("OMP", "MKL", "OPENBLAS", "BLIS", "RAYON")
IMPORT = re.compile(r"^import time: +(\d+) \|", re.MULTILINE)


def run_peer(name: str, threads: int, words: int, lengths: list[str]) -> Measured:
    """Measure a peer in a process of its own.

    name (str): A key of `PEERS`.
    threads (int): How many threads it may use.
    words (int): Words of the texts of each length.
    lengths (list[str]): Keys of `LENGTHS`.
    RETURNS (Measured): What it took.
    """
    call = ("-X", "importtime", "-m", "benchmarks.one_peer", name, str(words), *lengths)
    limits = {f"{one}_NUM_THREADS": str(threads) for one in THREADS}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        done = subprocess.run(
            [sys.executable, *call],
            cwd=ROOT,
            env={**os.environ, **limits},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.seek(0)
        written = log.read()
    lines = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    return read(lines, written, done.returncode, lengths)


def read(lines: list[dict[str, Any]], log: str, code: int, lengths: list[str]) -> Measured:
    """Read what benchmarks/one_peer.py reported.

    lines (list[dict]): What it printed.
    log (str): What it wrote to standard error.
    code (int): Its exit code, below 0 for a signal.
    lengths (list[str]): The text lengths that it was called with.
    RETURNS (Measured): What it took. The end of a process that ended early is why text
        lengths failed that it did not report.
    """
    measured = Measured()
    for line in lines:
        if "left_out" in line:
            measured.left_out = line["left_out"]
        elif "loading" in line:
            imports = import_seconds(log)
            measured.values |= {"imports": imports, "load": line["loading"] - imports}
            measured.values["loaded"] = line["memory"]
        elif "failed" in line:
            measured.failed[line["length"]] = line["failed"]
        else:
            measured.speeds[line["length"]] = line["speed"]
            measured.values["peak"] = line["memory"]
    if code:
        reason = end_of(code, log)
        if not measured.values:
            measured.left_out = reason
        for length in lengths:
            if length not in measured.speeds and length not in measured.failed:
                measured.failed[length] = reason
                reason = "not tried after that"
    return measured


def import_seconds(log: str) -> float:
    """Add up the time of imports between the two lines `MARK`, in seconds."""
    return sum(map(int, IMPORT.findall(log.split(f"{MARK}\n")[1]))) / 1e6


def end_of(code: int, log: str) -> str:
    """Say how a process ended that ended early."""
    if code == -signal.SIGALRM:
        return f"takes more than {MOST_SECONDS} seconds"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return log.strip().rpartition("\n")[2][:150]


def compare(
    names: list[str], threads: list[int], lengths: list[str], words: int, repeats: int
) -> Rounds:
    """Measure all peers in turn, in each round. What failed once is not tried again.

    names (list[str]): Keys of `PEERS`.
    threads (list[int]): Numbers of threads.
    lengths (list[str]): Keys of `LENGTHS`.
    words (int): Words of the texts of each length.
    repeats (int): How many rounds.
    RETURNS (Rounds): What was measured.
    """
    rounds: Rounds = {(name, count): [] for name in names for count in threads}
    left_out: set[str] = set()
    for number in range(repeats):
        for (name, count), earlier in rounds.items():
            if name in left_out:
                continue
            failed = {length for one in earlier for length in one.failed}
            wanted = [length for length in lengths if length not in failed]
            measured = run_peer(name, count, words, wanted)
            earlier.append(measured)
            if measured.left_out:
                left_out.add(name)
            speeds = {length: round(speed) for length, speed in measured.speeds.items()}
            shown = measured.left_out or speeds
            print(f"round {number + 1}, {name}, {count}: {shown}", file=sys.stderr)
    return rounds


def choose(given: str, known: Any, what: str) -> list[str]:
    """Split names at commas. ValueError is raised for one that is not known."""
    names = given.split(",")
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is no {what}, expected {', '.join(known)}.")
    return names


def main(
    peers: Annotated[str, typer.Option(help="What is compared.")] = ",".join(DEFAULT),
    lengths: Annotated[str, typer.Option(help="Of texts.")] = ",".join(LENGTHS),
    threads: Annotated[str, typer.Option(help="Numbers of threads.")] = "1,2",
    texts: Annotated[
        int, typer.Option(help="Sentences; texts of other lengths have as many words.")
    ] = 200,
    repeats: Annotated[int, typer.Option(help="Rounds.")] = 3,
    output: Annotated[
        Optional[Path], typer.Option(help="Folder for peers.md and peers.png.")
    ] = None,
) -> None:
    """Print a table of words per second, seconds and memory, and its notes."""
    wanted = choose(lengths, LENGTHS, "text length")
    names = choose(peers, PEERS, "peer")
    counts = [int(count) for count in threads.split(",")]
    rounds = compare(names, counts, wanted, texts * LENGTHS["sentence"], repeats)
    text = write(rounds, wanted)
    print(text)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_text_aside(output / "peers.md", text)
        figure = draw(rounds, wanted)
        write_aside(output / "peers.png", lambda path: figure.savefig(path, format="png"))


if __name__ == "__main__":
    typer.run(main)
