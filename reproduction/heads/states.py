"""Compute the hidden states of corpora ahead of training."""

from pathlib import Path
from typing import Any, cast

from spacy.util import load_config, load_model_from_config
from tqdm import tqdm

from spacy_tommer.backbone.states import Unit
from spacy_tommer.gold import problems
from spacy_tommer.training.chunks import read_chunk, read_gold_counts
from spacy_tommer.training.corpus import open_states, prepare_corpus
from spacy_tommer.training.state_cache import StateCache, check_space


def fill_cache(
    config: Path, corpora: list[Path], cache: Path, unit: str, overrides: dict[str, Any]
) -> None:
    """Write the states that the transformer of a config computes for the texts of corpora,
    and print how many there are. States that are there are kept."""
    if unit not in ("token", "piece"):
        raise ValueError(f"The unit {unit!r} is none of token, piece.")
    nlp = load_model_from_config(load_config(config, overrides), auto_fill=True)
    states = StateCache(cache, nlp.get_pipe("transformer"), cast(Unit, unit))
    missing, needed = [], 0
    for corpus in corpora:
        docs = tokens = 0
        chunks = prepare_corpus(corpus, cache, nlp)
        for path in chunks:
            chunk = read_chunk(path)
            docs += len(chunk)
            tokens += int(chunk.bounds[-1])
            if chunk.key not in states:
                missing.append(path)
                needed += int(chunk.bounds[-1])
        print(
            f"{corpus}: {docs} texts, {tokens} tokens; an epoch is {tokens // 3500 + 1} "
            "batches of 3,500."
        )
        for problem in problems(read_gold_counts(chunks)):
            print(f"{corpus}: {problem}")
    size = needed * states.bytes_per_unit()
    print(
        f"{needed} tokens have no states yet; theirs take {size / 1e9:.2f} GB in {cache}."
    )
    cache.mkdir(parents=True, exist_ok=True)
    check_space(cache, size)
    with tqdm(total=needed, unit=" tokens", unit_scale=True) as progress:
        for path in missing:
            chunk = read_chunk(path)
            open_states(chunk, states, nlp)
            progress.update(int(chunk.bounds[-1]))
