"""Write gold Docs as DocBins. A folder appears whole or not at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_tommer.files import ShardWriter

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
            new = spacy.blank(nlp.lang)
            nlp.vocab, nlp.tokenizer = new.vocab, new.tokenizer
        yield doc


def write_split(
    split: Iterable[tuple[Doc, bool]], name: str, train: Path, dev: Path
) -> None:
    """Write Docs to a folder for training, or to one for validation if the second of a pair
    is true, and print how many."""
    texts, mentions = [0, 0], [0, 0]
    with ShardWriter(train, SHARD) as for_train, ShardWriter(dev, SHARD) as for_dev:
        for doc, is_dev in split:
            (for_dev if is_dev else for_train).add(doc)
            texts[is_dev] += 1
            mentions[is_dev] += len(doc.spans["mentions"])
    print(
        f"{name}: {texts[0]:,} texts with {mentions[0]:,} mentions to train on, "
        f"{texts[1]:,} with {mentions[1]:,} for validation"
    )
    if not texts[1]:
        print("  none is for validation: take a larger --dev-share or another --seed")


def write_benchmark(
    docs: Iterable[Doc], folder: Path, every: bool = False
) -> tuple[int, int, int]:
    """Write the Docs that have a mention.

    every (bool): Whether to write the others as well.
    RETURNS (tuple[int, int, int]): How many were written, their mentions, and how many were
        left out.
    """
    texts = mentions = dropped = 0
    with ShardWriter(folder, SHARD) as shards:
        for doc in docs:
            found = len(doc.spans["mentions"])
            if found or every:
                texts, mentions = texts + 1, mentions + found
                shards.add(doc)
            else:
                dropped += 1
    return texts, mentions, dropped
