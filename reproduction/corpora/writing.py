"""Write gold Docs as DocBins. A folder appears whole or not at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_tommer.files import ShardWriter

from .split import in_share

# Docs in a file.
SHARD = 500
# Docs after which the vocabulary is renewed.
RENEWED = 10_000


def stream(docs: Iterable[Doc], nlp: Language, name: str) -> Iterator[Doc]:
    """Show progress, and renew the vocabulary of the pipeline that makes the Docs now and
    then: it would keep every word of the corpus."""
    bar = tqdm(docs, desc=name, unit=" texts", leave=False, disable=None)
    for number, doc in enumerate(bar, 1):
        if number % RENEWED == 0:
            new = spacy.blank("en")
            nlp.vocab, nlp.tokenizer = new.vocab, new.tokenizer
        yield doc


def write_split(
    docs: Iterable[Doc],
    name: str,
    train: Path,
    dev: Path,
    seed: int,
    dev_share: float,
    share: float = 1.0,
) -> None:
    """Write a share of some Docs to a folder for training and one for validation, and
    print how many."""
    with ShardWriter(train, SHARD) as for_train, ShardWriter(dev, SHARD) as for_dev:
        texts, mentions = [0, 0], [0, 0]
        for number, doc in enumerate(docs):
            if not in_share(number, f"{name} kept", seed, share):
                continue
            is_dev = in_share(number, name, seed, dev_share)
            (for_dev if is_dev else for_train).add(doc)
            texts[is_dev] += 1
            mentions[is_dev] += len(doc.spans["mentions"])
    print(
        f"{name}: {texts[0]:,} texts with {mentions[0]:,} mentions to train on, "
        f"{texts[1]:,} with {mentions[1]:,} for validation"
    )
    if dev_share and not texts[1]:
        print("  too few for a part of them: take a larger --dev-share or another --seed")


def write_benchmark(docs: Iterable[Doc], folder: Path) -> tuple[int, int, int]:
    """Write the Docs that have a mention.

    RETURNS (tuple[int, int, int]): How many were written, their mentions, and how many were
        left out.
    """
    texts = mentions = dropped = 0
    with ShardWriter(folder, SHARD) as shards:
        for doc in docs:
            if found := len(doc.spans["mentions"]):
                texts, mentions = texts + 1, mentions + found
                shards.add(doc)
            else:
                dropped += 1
    return texts, mentions, dropped
