"""Compare the words per second of `multilingual` with those of `minilm` made as deep.

python -m benchmarks.languages assets/openmentions/openmentions.jsonl --texts 200
"""

import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from spacy.language import Language

import spacy_tommer

# Blocks of `multilingual`, of which the head of minilm reads an earlier one.
DEEPER = {
    "components.transformer.model.layers": [2, 3],
    "components.tommer.model.layer": 2,
}


def seconds(nlp: Language, texts: list[str]) -> float:
    """Time a pipeline over texts."""
    start = time.perf_counter()
    for _ in nlp.pipe(texts):
        pass
    return time.perf_counter() - start


def main(
    passages: Path,
    texts: Annotated[int, typer.Option(help="How many passages.")] = 200,
    repeats: int = 5,
) -> None:
    """Run both pipelines in turn over the same texts, on one core."""
    torch.set_num_threads(1)
    lines = passages.read_text("utf-8").splitlines()[:texts]
    read = [json.loads(line)["text"] for line in lines]
    pipelines = {
        "minilm, 4 blocks": spacy_tommer.load("minilm", config=DEEPER),
        "multilingual, 4 blocks": spacy_tommer.load("multilingual"),
    }
    words = sum(len(pipelines["minilm, 4 blocks"].make_doc(text)) for text in read)
    times: dict[str, list[float]] = {name: [] for name in pipelines}
    for nlp in pipelines.values():
        seconds(nlp, read[:20])
    for _ in range(repeats):
        for name, nlp in pipelines.items():
            times[name].append(seconds(nlp, read))
    for name, found in times.items():
        print(f"{name}: {words / statistics.median(found):,.0f} words/s")
    ratios = [a / b for a, b in zip(*times.values())]
    print(
        f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    typer.run(main)
