"""What training from cached states and self-distillation cost, next to the backbone pass
that fills the cache.

OMP_NUM_THREADS=1 python benchmarks/training.py configs/mentions.cfg corpus/train corpus/dev

Seconds are those of the processor, which other work on the machine does not change much.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path

import spacy.language
import spacy.training.loop
import typer
from spacy.cli.train import train
from spacy.util import load_config, load_model_from_config
from spacy_transformers import Transformer

from spacy_tommer.component import Tommer
from spacy_tommer.training import corpus as cached
from spacy_tommer.training.chunks import read_chunk
from spacy_tommer.training.corpus import open_states, prepare_corpus
from spacy_tommer.training.state_cache import StateCache

SECONDS: dict[str, float] = defaultdict(float)


def timed(function: Callable, part: str) -> Callable:
    """Add the seconds that a function takes to a part."""

    @wraps(function)
    def call(*args, **kwargs):
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            SECONDS[part] += time.process_time() - start

    return call


def timed_items(function: Callable, part: str) -> Callable:
    """Add the seconds that the items of a generator take to a part."""

    @wraps(function)
    def call(*args, **kwargs) -> Iterator:
        items = function(*args, **kwargs)
        following = timed(lambda: next(items, None), part)
        while (item := following()) is not None:
            yield item

    return call


def fill(config: Path, corpora: list[Path], cache: Path) -> int:
    """Fill a cache, and return the number of tokens of the first corpus."""
    nlp = load_model_from_config(load_config(config), auto_fill=True)
    states = StateCache(cache, nlp.get_pipe("transformer"))
    start = time.process_time()
    chunks = [prepare_corpus(corpus, cache, nlp) for corpus in corpora]
    SECONDS["DocBins prepared"] = time.process_time() - start
    start = time.process_time()
    for path in (path for corpus in chunks for path in corpus):
        open_states(read_chunk(path), states, nlp)
    SECONDS["backbone pass"] = time.process_time() - start
    return sum(int(read_chunk(path).bounds[-1]) for path in chunks[0])


def distil(corpus: Path, output: Path, teacher: Path, cache: Path) -> None:
    """Annotate a corpus with a teacher, as the project does it."""
    call = ["reproduction", "distil", corpus, output, teacher, "--cache", cache]
    subprocess.run([sys.executable, "-m", *map(str, call)], check=True)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    SECONDS["annotation"] = usage.ru_utime + usage.ru_stime


def measure(
    config: Path, corpus: Path, dev: Path, epochs: int = 8, evaluations: int = 8
) -> None:
    """Fill a cache with the states of CORPUS and DEV, train for EPOCHS in batches of about
    3,500 tokens, let the head annotate the corpus, train a student for as long, and print
    seconds by part."""
    cache = Path(tempfile.mkdtemp(dir="."))
    tokens = fill(config, [corpus, dev], cache)
    steps = max(epochs * tokens // 3500, 1)
    update = timed(Tommer.update, "forward and backward")
    Tommer.update = update
    Tommer.finish_update = timed(Tommer.finish_update, "optimizer")
    Transformer.pipe = timed_items(Transformer.pipe, "states handed on")
    copy = timed(spacy.language._copy_examples, "copying")
    spacy.language._copy_examples = copy
    cached.mix = timed_items(cached.mix, "reading")
    evaluate = spacy.training.loop.create_evaluation_callback

    def timed_evaluation(*args):
        callback = evaluate(*args)

        def call():
            before = dict(SECONDS)
            start = time.process_time()
            scores = callback()
            SECONDS.clear()
            SECONDS.update(before)
            SECONDS["evaluation"] += time.process_time() - start
            return scores

        return call

    spacy.training.loop.create_evaluation_callback = timed_evaluation
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(dev),
        "paths.cache": str(cache),
        "training.max_steps": steps,
        "training.eval_frequency": max(steps // evaluations, 1),
        "training.batcher.size": 3500,
    }
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        train(config, output / "teacher", overrides=overrides)
        distil(corpus, output / "corpus", output / "teacher" / "model-last", cache)
        overrides["paths.train"] = str(output / "corpus")
        train(config, output / "student", overrides=overrides)
    total = time.process_time() - start + SECONDS["annotation"]
    shutil.rmtree(cache)
    one_pass = SECONDS["backbone pass"]
    print(f"{tokens} tokens; twice {epochs} epochs in {steps} steps")
    for part, seconds in SECONDS.items():
        print(f"{part:22} {seconds:8.1f} s   {seconds / one_pass:5.2f} passes")
    print(f"{'training, both, all':22} {total:8.1f} s   {total / one_pass:5.2f} passes")


if __name__ == "__main__":
    typer.run(measure)
