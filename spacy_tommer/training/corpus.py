"""A corpus for `spacy train` that streams Docs with their hidden states from disk."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Optional, Union

from spacy.language import Language
from spacy.training import Example
from spacy.training.corpus import FILE_TYPE, walk_corpus

from ..backbone.states import Unit
from ..gold import warn_of_problems
from ..keys import ENTITIES, PROPOSED
from .chunks import Chunk, prepare, read_chunk, read_gold_counts
from .state_cache import CachedStates, StateCache

# How many chunks are open at once. Their Docs are shuffled together.
MIXED = 16


def CachedCorpus(
    path: Optional[Union[str, Path]],
    cache: Union[str, Path],
    *,
    shuffle: bool = False,
    seed: int = 0,
    limit: int = 0,
    transformer: str = "transformer",
    unit: Unit = "token",
    propose_gold: bool = False,
) -> Callable[[Language], Iterator[Example]]:
    """Build a reader whose predicted Docs carry the states of the frozen transformer.
    `spacy_tommer.Backbone.v1` reuses them, so it runs once per text, and not again in
    later epochs, trainings or evaluations.

    References are tokenized as the pipeline tokenizes texts. They have the spans, the
    entities and the dense targets of the DocBin, and no other annotation. Gold spans are
    trimmed to their visible text. Those that do not align with tokens are left out, and a
    warning says how many.

    path (Optional[Union[str, Path]]): A DocBin, or a folder of them. ValueError is raised
        for None, and for a folder without texts.
    cache (Union[str, Path]): Folder for the states. It is created and filled when needed.
    shuffle (bool): Read in a new order each time, for `max_epochs = -1`.
    seed (int): Seed of the orders and of the sample.
    limit (int): Size of a random sample of the examples, the same each time; 0 for all.
    transformer (str): Name of the transformer pipe.
    unit (str): What a state represents: "token" or "piece".
    propose_gold (bool): Write the gold entities, without their labels, to
        doc.spans["gold"] of predicted Docs, so that a component that types mentions learns
        from each. Use it for training texts only: it inflates scores.
    RETURNS (Callable[[Language], Iterator[Example]]): The reader.
    """
    cache = Path(cache)
    times = 0

    def read_examples(nlp: Language) -> Iterator[Example]:
        nonlocal times
        if path is None:
            raise ValueError(
                "The corpus has no path. Name a DocBin or a folder of them:\n"
                "    python -m spacy train config.cfg --paths.train FILE --paths.dev FILE"
            )
        rng = random.Random(f"{seed} {times}")
        times += 1
        states = StateCache(cache, nlp.get_pipe(transformer), unit)
        prepared = prepare_corpus(Path(path), cache, nlp)
        chunks = sample(prepared, limit, seed)
        if not chunks:
            raise ValueError(
                f"There are no *.spacy files with texts in {path}. Name a DocBin, or a "
                "folder of them."
            )
        if times == 1:
            warn_of_problems(read_gold_counts(prepared), str(path))
        if shuffle:
            rng.shuffle(chunks)
        for start in range(0, len(chunks), MIXED):
            part = chunks[start : start + MIXED]
            for example in mix(part, states, nlp, rng if shuffle else None):
                if propose_gold:
                    propose(example)
                yield example

    return read_examples


def propose(example: Example) -> None:
    """Write the gold entities to doc.spans["gold"] of the predicted Doc, without labels.
    Both Docs have the same tokens."""
    gold = example.reference.spans.get(ENTITIES, [])
    example.predicted.spans[PROPOSED] = [
        example.predicted[span.start : span.end] for span in gold
    ]


def prepare_corpus(path: Path, cache: Path, nlp: Language) -> list[Path]:
    """Convert the DocBins of a corpus to the format that training reads.

    path (Path): A DocBin, or a folder of them.
    cache (Path): The folder of the cache.
    nlp (Language): The pipeline that tokenizes texts.
    RETURNS (list[Path]): The chunks of all DocBins.
    """
    files = walk_corpus(path, FILE_TYPE)
    return [chunk for file_ in files for chunk in prepare(file_, cache, nlp)]


def sample(
    chunks: Sequence[Path], limit: int, seed: int
) -> list[tuple[Path, Optional[list[int]]]]:
    """Draw a random sample of Docs.

    chunks (Sequence[Path]): Files of chunks.
    limit (int): How many Docs to draw; 0 for all.
    RETURNS (list[tuple[Path, Optional[list[int]]]]): The chunks, and the indices of the
        drawn Docs in each, in order; None for all of them.
    """
    if not limit:
        return [(path, None) for path in chunks]
    sizes = [len(read_chunk(path)) for path in chunks]
    chosen = sorted(random.Random(seed).sample(range(sum(sizes)), min(limit, sum(sizes))))
    starts = [0, *accumulate(sizes)]
    bounds = [bisect_left(chosen, start) for start in starts]
    return [
        (path, [place - starts[i] for place in chosen[bounds[i] : bounds[i + 1]]])
        for i, path in enumerate(chunks)
    ]


def mix(
    chunks: Sequence[tuple[Path, Optional[list[int]]]],
    states: StateCache,
    nlp: Language,
    rng: Optional[random.Random],
) -> Iterator[Example]:
    """Read the examples of some chunks.

    chunks (Sequence[tuple[Path, Optional[list[int]]]]): Chunks, and the indices of Docs in
        each, as `sample` returns them.
    rng (Optional[Random]): Shuffles the Docs; by default they keep the order of the files.
    YIELDS (Example): The examples, with states, which are computed if they are missing.
    """
    order = []
    for path, places in chunks:
        chunk = read_chunk(path)
        own = open_states(chunk, states, nlp)
        order += [
            (chunk, own, i) for i in (range(len(chunk)) if places is None else places)
        ]
    if rng is not None:
        rng.shuffle(order)
    for chunk, own, i in order:
        example = chunk.example(i, nlp)
        start, end = chunk.tokens(i)
        example.predicted._.trf_data = own.of_tokens(start, end)
        chunk.add_targets(i, example.reference, own.bounds[start], own.bounds[end])
        yield example


def open_states(chunk: Chunk, states: StateCache, nlp: Language) -> CachedStates:
    """Open the states of a chunk; compute them if they are not on disk."""
    tokens = int(chunk.bounds[-1])
    return states.load(
        chunk.key, lambda: [nlp.make_doc(text) for text in chunk.texts], tokens
    )
