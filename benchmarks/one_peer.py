"""Measure one peer in a process of its own.

    python -X importtime -m benchmarks.one_peer minilm-float32 5000 tweet page

benchmarks/peers.py runs it, and reads what it prints: one JSON object a line. Loading and
the first text are timed between two lines `MARK` on standard error, where Python writes how
much of that time goes to imports.
"""

import json
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.hidden import hide
from benchmarks.peer_pipelines import PEERS, SPACY_ALONE
from benchmarks.process_memory import process_memory

TEXTS = Path(__file__).resolve().parents[1] / "assets/openmentions/openmentions.jsonl"
# Words with the white space before them: 1.3 % more than spaCy's tokens.
WORD = re.compile(r"\s*(?:['\u2019]?\w+(?:[.,]\w+)*|[^\w\s])")
# Mean words of a text.
LENGTHS = {"tweet": 15, "sentence": 25, "page": 400, "document": 20000}
FIRST_TEXT = "Ada Lovelace wrote to Charles Babbage in London."
MARK = "one_peer: loading"
# A text length is run again and again for so many seconds.
LEAST_SECONDS = 2.0
# Loading, and each text length, may take so many seconds and bytes.
MOST_SECONDS = 90
MOST_MEMORY = 8 << 30
# The counter of `resource` begins with the memory of the process that started this one.
PEAK = "VmHWM"


def words() -> Iterator[str]:
    """Read the words of all passages, again and again."""
    while True:
        with TEXTS.open(encoding="utf-8") as lines:
            for line in lines:
                yield from WORD.findall(f" {json.loads(line)['text']}")


def make_texts(length: int, total: int) -> list[str]:
    """Cut the same words into texts of any length, from half to one and a half times the
    mean.

    length (int): The mean words of a text.
    total (int): The words of all texts. There is always one text, of the mean length.
    RETURNS (list[str]): The texts.
    """
    count = max(round(total / length), 1)
    sizes = [round(length * (0.5 + (place + 0.5) / count)) for place in range(count)]
    random.Random(0).shuffle(sizes)
    stream = words()
    return ["".join(islice(stream, size)).strip() for size in sizes]


def report(**values: Any) -> None:
    """Print a line for the process that reads it."""
    print(json.dumps(values), flush=True)


def mark() -> None:
    """Write a line to the log, among those of imports."""
    print(MARK, file=sys.stderr, flush=True)


def measure(name: str, total: int, lengths: Sequence[str]) -> None:
    """Load a peer, run texts of each length, and report what it took.

    name (str): A key of `PEERS`.
    total (int): Words of the texts of each length.
    lengths (Sequence[str]): Keys of `LENGTHS`.
    """
    if name in SPACY_ALONE:
        hide(["spacy-transformers", "spacy-tommer"])
    signal.alarm(MOST_SECONDS)
    mark()
    start = time.perf_counter()
    try:
        run = PEERS[name]()
        run([FIRST_TEXT])
    except Exception as error:
        report(left_out=describe(error))
        return
    seconds = time.perf_counter() - start
    mark()
    report(loading=seconds, memory=process_memory(PEAK))
    for length in lengths:
        signal.alarm(MOST_SECONDS)
        texts = make_texts(LENGTHS[length], total)
        count = sum(len(WORD.findall(text)) for text in texts)
        try:
            if len(texts) > 1:
                run(texts[: len(texts) // 2])
            runs, seconds, start = 0, 0.0, time.perf_counter()
            while seconds < LEAST_SECONDS:
                run(texts)
                runs += 1
                seconds = time.perf_counter() - start
        except Exception as error:
            report(length=length, failed=describe(error))
        else:
            report(length=length, speed=runs * count / seconds, memory=process_memory(PEAK))


def describe(error: Exception) -> str:
    """Return the first line of an error."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:150]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    measure(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
