"""Time zero-shot typing against the number of labels, on top of mentions alone.

    python benchmarks/labels.py minilm corpus/crossner/politics --texts 200

0 labels is the pipeline without `tommer_zeroshot`. The others are made up, with a
definition each, and are embedded before the clock starts. Each run times every number of
labels in turn, and compares it with mentions alone in the same run.
"""

import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from spacy.language import Language
from spacy.training.corpus import FILE_TYPE, Corpus, walk_corpus

import spacy_tommer
from spacy_tommer.evaluation.tables import table

COUNTS = (1, 25, 100, 1000)


def measure(
    pipeline: str,
    corpus: Path,
    texts: Annotated[int, typer.Option(help="First texts of the corpus.")] = 200,
    repeats: Annotated[int, typer.Option(help="Runs; their median is shown.")] = 9,
) -> None:
    """Print milliseconds per text for each number of labels, and what they add to mentions
    alone, in per cent."""
    nlp = spacy_tommer.load(pipeline)
    if not nlp.has_pipe("tommer_zeroshot"):
        nlp.add_pipe("tommer_zeroshot")
    docs = Corpus(corpus).read_docbin(nlp.vocab, walk_corpus(corpus, FILE_TYPE))
    lines = [doc.text for doc in islice(docs, texts)]
    vectors = embed(nlp.get_pipe("tommer_zeroshot"))
    time_run(nlp, lines, 0, vectors)
    seconds: dict[int, list[float]] = {count: [] for count in (0, *COUNTS)}
    for _ in range(repeats):
        for count, times in seconds.items():
            times.append(time_run(nlp, lines, count, vectors))
    rows = [
        [
            count,
            f"{1000 * median(times) / len(lines):.2f}",
            median(time / alone - 1 for time, alone in zip(times, seconds[0])),
            f"{len(lines) / median(times):.1f}",
        ]
        for count, times in seconds.items()
    ]
    header = ["labels", "ms per text", "on top of mentions (%)", "texts per second"]
    print(*table(header, rows), sep="\n")


def embed(zeroshot: Any) -> dict[str, Any]:
    """Embed as many labels as are timed, and return their vectors by their texts."""
    zeroshot.set_labels(made_up(max(COUNTS)))
    zeroshot.ensure_head()
    zeroshot.definitions()
    return zeroshot.model.attrs["vectors"]


def made_up(count: int) -> dict[str, str]:
    """Make up labels with definitions."""
    return {f"type{i}": f"a thing of kind {i}" for i in range(count)}


def time_run(nlp: Language, lines: list[str], count: int, vectors: dict[str, Any]) -> float:
    """Run the pipeline with a number of labels, without `tommer_zeroshot` for 0.

    RETURNS (float): Seconds.
    """
    with nlp.select_pipes(disable=[] if count else "tommer_zeroshot"):
        if count:
            zeroshot = nlp.get_pipe("tommer_zeroshot")
            zeroshot.set_labels(made_up(count))
            zeroshot.model.attrs["vectors"] = vectors
            zeroshot.definitions()
        start = time.perf_counter()
        list(nlp.pipe(lines))
        return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(measure)
