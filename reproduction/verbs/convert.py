"""Convert corpora to DocBins with gold mentions. A folder appears whole or not at all."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Optional

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_tommer.files import ShardWriter, whole_folder

from ..corpora.clean import clean
from ..corpora.pile_ner import read_pile_ner
from ..corpora.report import Report, TooManyErrors
from ..corpora.seen import SeenTexts
from ..corpora.sets import BENCHMARKS, TRAINING, find_files, read_set
from ..corpora.split import in_share
from ..corpora.typed import read_typed

SHARD = 500
RENEWED = 10_000

Share = Annotated[float, typer.Option(min=0, max=1, help="Share of validation texts.")]
MaxLength = Annotated[int, typer.Option(min=1, help="Tokens that a mention may have.")]
MaxErrors = Annotated[int, typer.Option(min=0, help="Broken records allowed in a set.")]

app = typer.Typer(pretty_exceptions_enable=False)


def stream(docs: Iterable[Doc], nlp: Language, name: str) -> Iterator[Doc]:
    """Pass Docs on with a progress bar. The vocabulary of the pipeline that they are made
    with is renewed now and then: it would keep every word of the corpus."""
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


@app.command()
def training(
    data: Path,
    output: Path,
    sets: str = ",".join(TRAINING),
    dev_share: Share = 0.05,
    seed: int = 0,
    max_length: MaxLength = 25,
    max_errors: MaxErrors = 100,
) -> None:
    """Write corpora to OUTPUT/train/SET and, for a share of the texts, OUTPUT/dev/SET.

    Of a set that is named as SET:0.25, so large a share is taken. Texts that occur twice
    are kept once. What is dropped or repaired is printed.
    """
    nlp = spacy.blank("en")
    seen = SeenTexts()
    named = (entry.partition(":") for entry in sets.split(","))
    shares = {name: float(share or 1) for name, _, share in named}
    for name in shares:
        find_files(data, name)
    with whole_folder(output / "train") as train, whole_folder(output / "dev") as dev:
        for name, share in shares.items():
            report = Report(max_errors)
            docs = stream(read_set(data, name, nlp, report), nlp, name)
            kept = clean(docs, nlp, max_length, seen, report)
            write_split(kept, name, train / name, dev / name, seed, dev_share, share)
            print(report.summary())


@app.command()
def benchmarks(
    data: Path,
    output: Path,
    sets: Optional[str] = None,
    max_errors: MaxErrors = 100,
) -> None:
    """Write the sentences of benchmarks that have a mention to OUTPUT/NAME.

    If no sets are named, those whose files are missing are left out.
    """
    nlp = spacy.blank("en")
    for name in sets.split(",") if sets else BENCHMARKS:
        try:
            find_files(data, name)
        except FileNotFoundError as error:
            if sets:
                raise
            print(f"{name}: left out. {error}")
            continue
        report = Report(max_errors)
        texts = mentions = 0
        with whole_folder(output / name) as folder, ShardWriter(folder, SHARD) as shards:
            for doc in stream(read_set(data, name, nlp, report), nlp, name):
                if found := len(doc.spans["mentions"]):
                    texts, mentions = texts + 1, mentions + found
                    shards.add(doc)
                else:
                    report.count("text dropped that has no mention")
        print(f"{name}: {texts:,} texts with {mentions:,} mentions")
        print(report.summary())


@app.command()
def typed(source: Path, output: Path, max_errors: MaxErrors = 100) -> None:
    """Write the typed texts of SOURCE to OUTPUT, with all keys that training reads.

    SOURCE is a DocBin or a folder of them, with doc.spans["entities"] or doc.ents, or a
    column file with BIO tags in its last column.
    """
    nlp = spacy.blank("en")
    report = Report(max_errors)
    texts, labels = 0, Counter()
    with whole_folder(output) as folder, ShardWriter(folder, SHARD) as shards:
        for doc in stream(read_typed(source, nlp, report), nlp, source.name):
            texts += 1
            labels.update(span.label_ for span in doc.spans["entities"])
            shards.add(doc)
        if not labels:
            raise ValueError(f"No text in {source} has an entity.")
    print(f"{source}: {texts:,} texts with {labels.total():,} entities: {dict(labels)}")
    print(report.summary())


@app.command()
def pile_ner(
    source: str,
    output: Path,
    dev_share: Share = 0.05,
    seed: int = 0,
    max_length: MaxLength = 25,
    max_errors: MaxErrors = 100,
) -> None:
    """Write Pile-NER to OUTPUT/train and, for a share of the passages, OUTPUT/dev.

    SOURCE is a file, or the name of the data set on the Hugging Face hub.
    """
    nlp = spacy.blank("en")
    report = Report(max_errors)
    with whole_folder(output / "train") as train, whole_folder(output / "dev") as dev:
        docs = stream(read_pile_ner(source, nlp, report), nlp, "pile_ner")
        kept = clean(docs, nlp, max_length, SeenTexts(), report)
        write_split(kept, "pile_ner", train, dev, seed, dev_share)
        print(report.summary())


if __name__ == "__main__":
    try:
        app()
    except (ImportError, OSError, TooManyErrors, ValueError) as error:
        sys.exit(str(error))
