"""Write corpora as DocBins."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Optional

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc

from spacy_tommer.files import ShardWriter, whole_folder

from ..corpora.clean import clean
from ..corpora.kinds import MARKS, set_kinds
from ..corpora.openmentions import read_sides
from ..corpora.passages import join_sentences
from ..corpora.pile_ner import read_pile_ner
from ..corpora.report import Report
from ..corpora.seen import SeenTexts
from ..corpora.sets import (
    ASSETS,
    BENCHMARKS,
    LANGUAGES,
    TRAINING,
    VALIDATION,
    find_files,
    language_of,
    read_set,
)
from ..corpora.sides import Sides, drop_held_out
from ..corpora.split import PASSAGE_RUN, RUN, by_chance
from ..corpora.training_types import write_training_types
from ..corpora.typed import read_typed
from ..corpora.writing import SHARD, stream, write_benchmark, write_split
from .options import Seed

Data = Annotated[
    Path, typer.Argument(help="Folder with the corpora: train/ and benchmarks/.")
]
Output = Annotated[Path, typer.Argument(help="Folder to write; it appears whole.")]
Share = Annotated[float, typer.Option(min=0, max=1, help="Share of validation texts.")]
MaxLength = Annotated[int, typer.Option(min=1, help="Most tokens of a mention.")]
Passages = Annotated[
    int,
    typer.Option(
        min=0,
        help="Most tokens of a passage of neighbouring sentences; 0 for single sentences.",
    ),
]
MaxErrors = Annotated[int, typer.Option(min=0, help="Broken records allowed in a set.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def training(
    data: Data,
    output: Output,
    sets: Annotated[
        str, typer.Option(help="Names, separated by commas; NAME:0.25 takes a share.")
    ] = ",".join(TRAINING),
    dev_share: Share = 0.05,
    seed: Seed = 0,
    max_length: MaxLength = 25,
    passages: Passages = 128,
    max_errors: MaxErrors = 100,
) -> None:
    """Write the corpora to learn from: OUTPUT/train/SET, and some texts to OUTPUT/dev/SET.

    Texts that occur twice are kept once. Those that OpenMentions holds out are dropped from
    other sets, and those that it trains on are not for validation. A set that has a
    validation part has all of it for validation, and no other texts. What is dropped or
    repaired is printed.
    """
    seen = SeenTexts()
    sides = read_sides(find_files(data, "openmentions")[0])
    named = (entry.partition(":") for entry in sets.split(","))
    shares = {name: float(share or 1) for name, _, share in named}
    for name in shares:
        find_files(data, name)
        if name not in MARKS:
            raise ValueError(f"{name!r} is not to learn from. Known: {', '.join(MARKS)}.")
    with whole_folder(output / "train") as train, whole_folder(output / "dev") as dev:
        for name, share in shares.items():
            nlp = spacy.blank(language_of(name))
            report = Report(max_errors)
            read = partial(
                read_clean, data, nlp=nlp, max_length=max_length, seen=seen, report=report
            )
            # Passages of OpenMentions are whole, and on their sides already.
            own = None if name == "openmentions" else sides
            split: Iterator[tuple[Doc, bool]]
            docs = join_sentences(read(name, sides=own), passages)
            if name in VALIDATION:
                validation = join_sentences(read(VALIDATION[name], sides=own), passages)
                kept = by_chance(docs, name, seed, 0.0, share)
                split = chain(kept, ((doc, True) for doc in validation))
            else:
                run = PASSAGE_RUN if passages else RUN
                split = by_chance(docs, name, seed, dev_share, share, sides, run)
            kinds = MARKS[name]
            write_split(
                ((set_kinds(doc, kinds, name), is_dev) for doc, is_dev in split),
                name,
                train / name,
                dev / name,
            )
            print(report.summary())


def read_clean(
    data: Path,
    name: str,
    nlp: Language,
    max_length: int,
    seen: SeenTexts,
    report: Report,
    sides: Optional[Sides] = None,
) -> Iterator[Doc]:
    """Read a set, without texts and mentions that are of no use in training, and without
    those that are held out, if sides are given."""
    docs = stream(read_set(data, name, nlp, report), nlp, name)
    if sides is not None:
        docs = drop_held_out(docs, sides, report)
    return clean(docs, nlp, max_length, seen, report)


@app.command()
def pile_ner(
    source: Annotated[
        str, typer.Argument(help="A file, or the name of the data set on the hub.")
    ],
    output: Output,
    dev_share: Share = 0.05,
    seed: Seed = 0,
    max_length: MaxLength = 25,
    max_errors: MaxErrors = 100,
) -> None:
    """Write Pile-NER, the paper's corpus: OUTPUT/train, and some passages to OUTPUT/dev."""
    nlp = spacy.blank("en")
    report = Report(max_errors)
    with whole_folder(output / "train") as train, whole_folder(output / "dev") as dev:
        docs = stream(read_pile_ner(source, nlp, report), nlp, "pile_ner")
        kept = clean(docs, nlp, max_length, SeenTexts(), report)
        write_split(by_chance(kept, "pile_ner", seed, dev_share), "pile_ner", train, dev)
        print(report.summary())


@app.command()
def benchmarks(
    data: Data,
    output: Output,
    sets: Annotated[
        Optional[str],
        typer.Option(help="Names, separated by commas; if not set, all that are there."),
    ] = None,
    max_errors: MaxErrors = 100,
) -> None:
    """Write the texts to score on: the sentences of benchmarks that have a mention; of
    Universal NER all, as its makers score."""
    for name in sets.split(",") if sets else BENCHMARKS:
        try:
            find_files(data, name)
        except FileNotFoundError as error:
            if sets:
                raise
            print(f"{name}: left out. {error}")
            continue
        report = Report(max_errors)
        nlp = spacy.blank(language_of(name))
        with whole_folder(output / name) as folder:
            docs = stream(read_set(data, name, nlp, report), nlp, name)
            texts, mentions, dropped = write_benchmark(docs, folder, name in LANGUAGES)
        report.count("text dropped that has no mention", dropped)
        print(f"{name}: {texts:,} texts with {mentions:,} mentions")
        print(report.summary())


@app.command()
def typed(
    source: Annotated[
        Path,
        typer.Argument(
            help='A DocBin or a folder of them, with doc.spans["entities"] or doc.ents; or '
            "a column file with BIO tags in its last column."
        ),
    ],
    output: Output,
    token_column: Annotated[
        Optional[int],
        typer.Option(
            min=0,
            help="Column of the tokens, counted from 0; by default the first that does not "
            "count tokens.",
        ),
    ] = None,
    max_errors: MaxErrors = 100,
) -> None:
    """Write your own typed texts, with all keys that training reads."""
    nlp = spacy.blank("en")
    report = Report(max_errors)
    texts, labels = 0, Counter[str]()
    with whole_folder(output) as folder, ShardWriter(folder, SHARD) as shards:
        for doc in stream(
            read_typed(source, nlp, report, token=token_column), nlp, source.name
        ):
            texts += 1
            labels.update(span.label_ for span in doc.spans["entities"])
            shards.add(doc)
        if not labels:
            raise ValueError(f"No text in {source} has an entity.")
    print(f"{source}: {texts:,} texts with {labels.total():,} entities: {dict(labels)}")
    print(report.summary())


@app.command()
def types(
    given: Annotated[Path, typer.Argument(help="JSON of the types of the other corpora.")],
    output: Annotated[Path, typer.Argument(help="JSON to write.")],
) -> None:
    """Write the training types: those of a file and those of OpenMentions."""
    count = write_training_types(given, ASSETS / "openmentions", output)
    print(f"{output}: {count:,} types")
