"""Compare the precisions of a model: words per second, mentions, and their measures.

    python -m benchmarks.precision minilm corpus/dev/openmentions

The whole pipeline runs over the same texts in each precision, and spaCy's entity recognizer
where it is installed, all in turn in one process and on one thread. Times are CPU seconds;
a ratio is to float32 in the same round. Mentions are compared with those of float32: what
both have, as F1 in per cent, with nested mentions and in the flat segmentation. So are
those of each text alone and in a batch, in the same precision. With gold mentions they are
compared as F1 of the flat segmentation, and as precision at a recall of 94 %.
"""

import os
import random
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import typer
from spacy.language import Language
from spacy.tokens import Doc

import spacy_tommer
from benchmarks.peer_pipelines import Run, exhaust, load_ner
from spacy_tommer.evaluation.means import precision_at_recall
from spacy_tommer.evaluation.protocol import score_docs
from spacy_tommer.evaluation.sets import find_sets, read_gold
from spacy_tommer.evaluation.tables import table

RECALL = 0.94
HEADER = [
    "",
    "words/s",
    "of float32",
    "same",
    "same flat",
    "alone",
    "greedy F1",
    "P at R 94",
]


def measure(
    model: str,
    folder: Path,
    texts: int = 1000,
    repeats: int = 5,
    precisions: str = "float32,bfloat16,int8",
) -> None:
    """Print words per second in each precision, their ratio to float32, how many mentions
    are the same, and how good they are. FOLDER has DocBins of gold Docs. With 0 REPEATS,
    nothing is timed."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    names: Any = precisions.split(",")
    pipelines = {one: spacy_tommer.load(model, precision=one) for one in names}
    exact = pipelines["float32"]
    gold = [
        doc for place in find_sets(folder).values() for doc in read_gold(place, exact.vocab)
    ]
    gold = random.Random(0).sample(gold, min(texts, len(gold)))
    lines = [doc.text for doc in gold]
    docs = {one: list(nlp.pipe(lines)) for one, nlp in pipelines.items()}
    seconds: dict[str, list[float]] = {one: [] for one in pipelines}
    if repeats:
        seconds = time_runs(runs_of(pipelines), lines, repeats)
    words = sum(map(len, docs["float32"]))
    rows = []
    for name, times in seconds.items():
        row: list[Any] = [name, "", ""]
        if times:
            ratio = median(own / time for own, time in zip(seconds["float32"], times))
            row[1:] = f"{words / median(times):,.0f}", f"{ratio:.2f}"
        if name in docs:
            row += [agreement(docs["float32"], docs[name], flat) for flat in (False, True)]
            alone = [pipelines[name](text) for text in lines]
            row.append(agreement(docs[name], alone, flat=False))
            row += quality(pipelines[name], gold)
        rows.append(row + [""] * (len(HEADER) - len(row)))
    print(*table(HEADER, rows), sep="\n")


def runs_of(pipelines: dict[str, Language]) -> dict[str, Run]:
    """Make functions that run each pipeline on texts, and spaCy's entity recognizer where
    it is installed."""
    runs: dict[str, Run] = {
        one: lambda texts, nlp=nlp: exhaust(nlp.pipe(texts))
        for one, nlp in pipelines.items()
    }
    try:
        runs["spaCy's ner"] = load_ner()
    except ImportError as error:
        print(f"Without spaCy's ner. {error}")
    return runs


def quality(nlp: Language, gold: list[Doc]) -> list[float]:
    """Measure a pipeline: F1 of the flat segmentation, and precision at a recall."""
    nested, flat = score_docs(nlp, gold)
    found = flat.at(nlp.get_pipe("tommer").flat_threshold)["f"]
    return [found, precision_at_recall([nested], RECALL)]


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
