"""Compare the precisions of a model: words per second, and mentions.

    python -m benchmarks.precision minilm assets/openmentions/openmentions.jsonl

The whole pipeline runs over the same texts in each precision, and spaCy's entity recognizer
where it is installed, all in turn in one process and on one thread. Times are CPU seconds;
a ratio is to float32 in the same round. Mentions are compared with those of float32: what
both have, as F1 in per cent, with nested mentions and in the flat segmentation.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import srsly
import torch
import typer
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

import spacy_tommer
from benchmarks.peer_pipelines import Run, exhaust, load_ner
from spacy_tommer.evaluation.tables import table

PRECISIONS = ("float32", "bfloat16", "int8")
HEADER = ["", "words/s", "of float32", "same mentions", "same flat mentions"]


def measure(model: str, place: Path, texts: int = 1000, repeats: int = 5) -> None:
    """Print words per second in each precision, their ratio to float32, and how many
    mentions are the same."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    lines = list(read_texts(place))
    lines = random.Random(0).sample(lines, min(texts, len(lines)))
    pipelines = {one: spacy_tommer.load(model, precision=one) for one in PRECISIONS}
    docs = {one: list(nlp.pipe(lines)) for one, nlp in pipelines.items()}
    runs: dict[str, Run] = {
        one: lambda texts, nlp=nlp: exhaust(nlp.pipe(texts))
        for one, nlp in pipelines.items()
    }
    try:
        runs["spaCy's ner"] = load_ner()
    except ImportError as error:
        print(f"Without spaCy's ner. {error}")
    words = sum(map(len, docs["float32"]))
    seconds = time_runs(runs, lines, repeats)
    rows = []
    for name, times in seconds.items():
        speed = f"{words / median(times):,.0f}"
        ratio = median(own / time for own, time in zip(seconds["float32"], times))
        same: list[Any] = ["", ""]
        if name in docs:
            same = [agreement(docs["float32"], docs[name], flat) for flat in (False, True)]
        rows.append([name, speed, f"{ratio:.2f}", *same])
    print(*table(HEADER, rows), sep="\n")


def read_texts(place: Path) -> Iterator[str]:
    """Read the texts of DocBins and of JSON lines: a file, or all in a folder."""
    vocab = Vocab()
    for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if path.suffix == ".spacy":
            yield from (doc.text for doc in DocBin().from_disk(path).get_docs(vocab))
        elif path.suffix == ".jsonl":
            yield from (line["text"] for line in srsly.read_jsonl(path))


def time_runs(
    runs: dict[str, Run], texts: list[str], repeats: int
) -> dict[str, list[float]]:
    """Time functions in turn. The first round warms up.

    RETURNS (dict[str, list[float]]): The CPU seconds of each in every round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + repeats):
        for name, run in runs.items():
            start = time.process_time()
            run(texts)
            seconds[name].append(time.process_time() - start)
    return {name: times[1:] for name, times in seconds.items()}


def agreement(docs: list[Doc], others: list[Doc], flat: bool) -> float:
    """Compute the F1 of the mentions of Docs against those of the same texts.

    flat (bool): Whether the flat segmentations are compared, instead of all mentions.
    """
    found, expected = (
        {
            (i, span.start, span.end, span.label_)
            for i, doc in enumerate(some)
            for span in (doc.ents if flat else doc.spans["mentions"])
        }
        for some in (docs, others)
    )
    return 2 * len(found & expected) / max(len(found) + len(expected), 1)


if __name__ == "__main__":
    typer.run(measure)
