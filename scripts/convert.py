"""Convert corpora to DocBins with gold mentions."""

import random
import shutil
from collections import Counter
from pathlib import Path

import spacy
import typer
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_tommer.corpora.sets import BENCHMARKS, TRAINING, read_set
from spacy_tommer.shards import ShardWriter

app = typer.Typer()


def write(docs: list[Doc], folder: Path) -> None:
    """Write Docs to a folder, in place of those that are there."""
    shutil.rmtree(folder, ignore_errors=True)
    with ShardWriter(folder) as shards:
        for doc in docs:
            shards.add(doc)
    print(f"{len(docs)} texts in {folder}")


@app.command()
def training(
    data: Path,
    output: Path,
    sets: str = ",".join(TRAINING),
    dev_share: float = 0.05,
    seed: int = 0,
    max_length: int = 25,
) -> None:
    """Write corpora to OUTPUT/train and, for a random share of the texts, OUTPUT/dev.

    Texts that occur twice are kept once. What is dropped is printed.
    """
    nlp = spacy.blank("en")
    docs: dict[str, Doc] = {}
    print(f"{'set':12} {'texts':>7} {'mentions':>8}   of them: split | long")
    for name in sets.split(","):
        counts: Counter[str] = Counter()
        for doc in tqdm(
            read_set(data, name, nlp.vocab), desc=name, leave=False, disable=None
        ):
            counts["texts"] += 1
            if doc.text in docs:
                counts["twice"] += 1
                continue
            docs[doc.text] = doc
            tokens = nlp.make_doc(doc.text)
            for span in doc.spans["mentions"]:
                found = tokens.char_span(span.start_char, span.end_char)
                counts["mentions"] += 1
                counts["split"] += found is None
                counts["long"] += found is not None and len(found) > max_length
        print(
            f"{name:12} {counts['texts'] - counts['twice']:7} {counts['mentions']:8}   "
            f"{counts['split']} that spaCy's tokens do not fit | {counts['long']} above "
            f"{max_length} tokens; {counts['twice']} texts dropped that occur twice"
        )
    kept = sorted(docs.values(), key=lambda doc: doc.text)
    random.Random(seed).shuffle(kept)
    first = round(len(kept) * dev_share)
    write(kept[:first], output / "dev")
    write(kept[first:], output / "train")


@app.command()
def benchmarks(data: Path, output: Path, sets: str = ",".join(BENCHMARKS)) -> None:
    """Write the sentences of benchmarks that have a mention to OUTPUT/NAME."""
    nlp = spacy.blank("en")
    for name in sets.split(","):
        docs = [doc for doc in read_set(data, name, nlp.vocab) if doc.spans["mentions"]]
        mentions = sum(len(doc.spans["mentions"]) for doc in docs)
        print(f"{name}: {len(docs)} sentences, {mentions} mentions")
        write(docs, output / name)


if __name__ == "__main__":
    app()
