"""Compare the whole pipeline with the bare forward pass of its backbone.

    python benchmarks/pipe.py minilm corpus/dev/openmentions

Both process the same texts in one process, in turn, in rounds so short that both run at the
same speed of the machine. The bare pass tokenizes the texts with the same tokenizer, sorts
them by length, and runs the same cut model in padded batches; nothing is done with its
output. Times are of the processor, which other jobs disturb less.
"""

import gc
import random
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Annotated

import spacy
import torch
import typer
from spacy.language import Language
from spacy.tokens import DocBin
from torch.nn.utils.rnn import pad_sequence

import spacy_tommer


def bare_pass(nlp: Language, texts: list[str], batch_size: int) -> None:
    """Run the cut model alone over texts in batches sorted by length."""
    cut = nlp.get_pipe("transformer").model.shims[0].cut
    encoded = cut.tokenizer.encode_batch(texts)
    rows = sorted((torch.tensor(row.ids) for row in encoded), key=len)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            ids = pad_sequence(batch, batch_first=True, padding_value=cut.pad)
            lengths = torch.tensor([[len(row)] for row in batch])
            mask = torch.arange(ids.shape[1]) < lengths
            cut.network(input_ids=ids, attention_mask=mask.long())


def stages(nlp: Language, texts: list[str]) -> Counter[str]:
    """Run the pipeline, and add up the time that each stage takes."""
    seconds: Counter[str] = Counter()

    def timed(owner: object, method: str, stage: str) -> None:
        call = getattr(owner, method)

        def measured(*args, **kwargs):
            start = time.process_time()
            result = call(*args, **kwargs)
            seconds[stage] += time.process_time() - start
            return result

        setattr(owner, method, measured)

    transformer, tommer = nlp.get_pipe("transformer"), nlp.get_pipe("tommer")
    timed(nlp, "make_doc", "tokenize")
    timed(transformer.model.shims[0].cut.network, "forward", "backbone forward")
    timed(transformer, "predict", "transformer")
    timed(tommer, "predict", "head")
    timed(tommer, "set_annotations", "spans and ents")
    start = time.process_time()
    for _ in nlp.pipe(texts):
        pass
    seconds["all"] = time.process_time() - start
    seconds["align and batch"] = seconds.pop("transformer") - seconds["backbone forward"]
    seconds["spaCy"] = 2 * seconds["all"] - sum(seconds.values())
    return seconds


def main(
    model: str,
    folder: Path,
    texts: int = 60,
    runs: int = 21,
    batch_sizes: Annotated[
        str, typer.Option(help="Of the bare pass; the fastest one counts.")
    ] = "4,8,16,32",
) -> None:
    """Print the median times, their ratio, and the share of each stage."""
    nlp = spacy_tommer.load(model)
    blank = spacy.blank("en").vocab
    sentences = [
        doc.text
        for path in sorted(folder.rglob("*.spacy"))
        for doc in DocBin().from_disk(path).get_docs(blank)
    ]
    sample = random.Random(0).sample(sentences, texts)
    sizes = [int(size) for size in batch_sizes.split(",")]
    bare: dict[int, list[float]] = {size: [] for size in sizes}
    whole: list[float] = []
    for run in range(-1, runs):  # the first round warms up
        gc.collect()  # what loading left behind
        for size in sizes:
            start = time.process_time()
            bare_pass(nlp, sample, size)
            bare[size].append(time.process_time() - start)
            if run < 0:
                bare[size].clear()
        start = time.process_time()
        for _ in nlp.pipe(sample):
            pass
        whole.append(time.process_time() - start)
        if run < 0:
            whole.clear()
    best = min(sizes, key=lambda size: median(bare[size]))
    words = sum(len(nlp.make_doc(text)) for text in sample)
    ratio = median(a / b for a, b in zip(whole, bare[best]))
    print(f"bare pass, by batch size: { {s: round(median(bare[s]), 2) for s in sizes} }")
    print(f"whole pipeline {median(whole):.2f} s, {words / median(whole):.0f} words/s")
    print(f"median of whole / bare (batch size {best}): {ratio:.3f}")
    seconds = stages(nlp, sample)
    for stage, time_ in seconds.most_common():
        print(f"{stage:18} {time_:6.2f} s {100 * time_ / seconds['all']:6.1f} %")


if __name__ == "__main__":
    typer.run(main)
