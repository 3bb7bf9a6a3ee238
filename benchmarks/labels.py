"""Time zero-shot typing against the number of labels, and the whole pipeline.

    python benchmarks/labels.py minilm corpus/crossner/politics --texts 200

The labels are made up, with a definition each, and are embedded before the clock starts.
"""

import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from spacy.training.corpus import FILE_TYPE, Corpus, walk_corpus

import spacy_tommer
from spacy_tommer.evaluation.tables import table

COUNTS = (1, 10, 100, 1000)


def measure(
    pipeline: str,
    corpus: Path,
    texts: Annotated[int, typer.Option(help="First texts of the corpus.")] = 200,
    repeats: int = 5,
) -> None:
    """Print milliseconds per text for 1 to 1,000 labels, and the texts per second."""
    nlp = spacy_tommer.load(pipeline)
    zeroshot = (
        nlp.get_pipe("tommer_zeroshot")
        if nlp.has_pipe("tommer_zeroshot")
        else nlp.add_pipe("tommer_zeroshot")
    )
    docs = Corpus(corpus).read_docbin(nlp.vocab, walk_corpus(corpus, FILE_TYPE))
    lines = [doc.text for doc in islice(docs, texts)]
    seconds: dict[int, list[float]] = {count: [] for count in COUNTS}
    vectors: dict[str, object] = {}
    for _ in range(repeats):
        for count in COUNTS:
            zeroshot.set_labels({f"type{i}": f"a thing of kind {i}" for i in range(count)})
            zeroshot.model.attrs["vectors"].update(vectors)
            zeroshot.ensure_head()
            zeroshot.definitions()
            vectors.update(zeroshot.model.attrs["vectors"])
            start = time.perf_counter()
            list(nlp.pipe(lines))
            seconds[count].append(time.perf_counter() - start)
    least = median(seconds[COUNTS[0]])
    rows = [
        [
            count,
            f"{1000 * median(times) / len(lines):.2f}",
            f"{median(times) / least:.2f}",
            f"{len(lines) / median(times):.1f}",
        ]
        for count, times in seconds.items()
    ]
    print(*table(["labels", "ms per text", "ratio", "texts per second"], rows), sep="\n")


if __name__ == "__main__":
    typer.run(measure)
