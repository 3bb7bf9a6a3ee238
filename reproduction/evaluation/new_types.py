"""Measure how well pipelines name types that their training texts lack: gold mentions of
OpenMentions are compared with types, without mention detection."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.tokens import Span
from spacy.training import Example
from spacy.util import minibatch

from spacy_tommer.entities.component import ZeroShot
from spacy_tommer.entities.definitions import Vectors, embed_labels, read_types
from spacy_tommer.entities.model import TypeQuestion
from spacy_tommer.entities.relations import Relations
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.tables import table
from spacy_tommer.files import write_aside, write_text_aside
from spacy_tommer.keys import ENTITIES
from spacy_tommer.training.corpus import CachedCorpus

from ..corpora.fine_types import FineTypes, read_fine_types
from ..corpora.gold import labels_in
from .class_confusion import NONE, confusion_table, count_confusion, plot_confusion

# How many other types a mention is compared with.
OTHERS = 20
BATCH_DOCS = 16

# By kind of types, counts and shares.
FineCounts = dict[str, dict[str, float]]


@dataclass
class Outcome:
    """Hold what a gold mention was taken for.

    fine (str): Its fine type.
    coarse (str): Its coarse class.
    right (bool): Whether its fine type won over other types and none.
    beside_class (bool): Whether it did with its class among the others.
    found (str): What won among all classes and none.
    """

    fine: str
    coarse: str
    right: bool
    beside_class: bool
    found: str


def score_new_types(
    pipelines: Sequence[Path],
    types: Path,
    corpus: Path,
    train: Path,
    cache: Path,
    output: Path,
    openmentions: Path,
    seed: int = 0,
) -> tuple[list[str], dict[str, str]]:
    """Write how many mentions get their fine type, and the confusion of classes, as JSON,
    Markdown and a plot.

    pipelines (Sequence[Path]): Folders of pipelines with `tommer_zeroshot`.
    types (Path): JSON of the training types. A type is new if neither they nor the training
        passages have it.
    corpus (Path): Folder of DocBins, passages of OpenMentions whose mentions are typed.
    train (Path): Folder of DocBins, its training passages.
    cache (Path): Folder that keeps the states of the texts.
    output (Path): The files, without .json, .md and .png.
    openmentions (Path): The folder with openmentions.jsonl and types.json.
    seed (int): Seed of the types that each mention is compared with.
    RETURNS (tuple[list[str], dict[str, str]]): The lines of the table of fine types; and
        what was left out, with the reason.
    """
    fine = read_fine_types(openmentions)
    training = read_types(types)
    learnt = labels_in(train)
    names = sorted(fine.broader.keys() & (learnt | labels_in(corpus)))
    relations = Relations([*training.values(), *fine.training_types()])
    known = learnt.union(training, (type_.name for type_ in training.values()))
    results: dict[str, dict[str, Any]] = {}
    for path in pipelines:
        nlp = spacy.load(path)
        pipe = require_pipe(nlp, "tommer_zeroshot", path)
        examples = CachedCorpus(corpus, cache)(nlp)
        outcomes = list(type_mentions(pipe, examples, names, fine, relations, seed))
        results[str(path)] = {
            "fine": count_fine(outcomes, known, fine.definitions),
            "classes": count_confusion(
                ((one.coarse, one.found) for one in outcomes), fine.classes
            ),
        }
    lines = fine_table({name: result["fine"] for name, result in results.items()})
    confusions = {name: result["classes"] for name, result in results.items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_text_aside(output.with_suffix(".json"), content)
    report = [*lines, "", *confusion_table(confusions)]
    write_text_aside(output.with_suffix(".md"), "\n".join(report) + "\n")
    plot = output.with_suffix(".png")
    try:
        figure = plot_confusion(confusions)
    except ImportError as error:
        return lines, {plot.name: str(error)}
    write_aside(plot, lambda aside: figure.savefig(aside, format="png"))
    return lines, {}


def type_mentions(
    pipe: ZeroShot,
    examples: Iterable[Example],
    names: Sequence[str],
    fine: FineTypes,
    relations: Relations,
    seed: int,
) -> Iterator[Outcome]:
    """Compare each gold mention with fine types, and with all classes.

    pipe (ZeroShot): The component. Its own labels do not take part.
    examples (Iterable[Example]): Examples whose predicted Docs carry hidden states.
    names (Sequence[str]): The fine types, from which others are drawn for each mention:
        none that is broader, narrower or overlaps.
    fine (FineTypes): Definitions and classes.
    relations (Relations): How the types relate.
    seed (int): Seed of the drawing.
    YIELDS (Outcome): What each mention was taken for.
    """
    rng = np.random.default_rng(seed)
    columns = {name: i for i, name in enumerate(dict.fromkeys([*names, *fine.classes]))}
    classes = [columns[name] for name in fine.classes]
    for span, logits in gold_logits(pipe, examples, embed_types(pipe, fine, columns)):
        name, coarse = span.label_, fine.class_of(span)
        order = (names[i] for i in rng.permutation(len(names)))
        fitting = (
            one
            for one in order
            if one != coarse and not relations.may_hold(name, name, one)
        )
        drawn = [columns[one] for one in islice(fitting, OTHERS)]
        own, rival = logits[columns[name]], logits[columns[coarse]]
        right = bool(own > max([0.0, *logits[drawn]]))
        best = int(logits[classes].argmax())
        found = fine.classes[best] if logits[classes[best]] > 0 else NONE
        beside_class = right and bool(name == coarse or own > rival)
        yield Outcome(name, coarse, right, beside_class, found)


def embed_types(pipe: ZeroShot, fine: FineTypes, names: Iterable[str]) -> Vectors:
    """Embed types as labels of users are embedded. (C, d)"""
    pipe.ensure_head()
    texts = fine.texts(names)
    vectors = embed_labels(texts, {}, pipe.embed)
    return np.array([vectors["\n".join(lines)] for lines in texts], dtype="f")


def gold_logits(
    pipe: ZeroShot, examples: Iterable[Example], definitions: Vectors
) -> Iterator[tuple[Span, Vectors]]:
    """Score gold mentions against labels.

    definitions (Vectors): The vector of each label. (C, d)
    YIELDS (tuple[Span, Vectors]): A mention, and the logit of each label against none. (C,)
    """
    for batch in minibatch(examples, BATCH_DOCS):
        gold = [list(example.reference.spans[ENTITIES]) for example in batch]
        places = [
            np.array([(span.start, span.end) for span in spans], "intp").reshape(-1, 2)
            for spans in gold
        ]
        docs = [example.predicted for example in batch]
        question = TypeQuestion(docs, places, definitions)
        logits = pipe.model.ops.to_numpy(pipe.model.predict(question))
        yield from zip((span for spans in gold for span in spans), logits, strict=True)


def count_fine(
    outcomes: Sequence[Outcome], known: set[str], definitions: Mapping[str, str]
) -> FineCounts:
    """Count the mentions whose fine type was named, of new and of seen types, with and
    without a definition.

    known (set[str]): Names of the types that were learnt from.
    RETURNS (FineCounts): By kind of types, its "types" and "mentions", and of these
        the shares "right" and "beside_class". Kinds without a mention are left out.
    """
    counts: FineCounts = {}
    for kind, is_new in (("new", True), ("seen", False)):
        some = [one for one in outcomes if (one.fine not in known) == is_new]
        defined = [one for one in some if one.fine in definitions]
        bare = [one for one in some if one.fine not in definitions]
        parts = {"with a definition": defined, "without": bare, "all": some}
        for part, members in parts.items():
            if members:
                number = len(members)
                counts[f"{kind}, {part}"] = {
                    "types": len({one.fine for one in members}),
                    "mentions": number,
                    "right": sum(one.right for one in members) / number,
                    "beside_class": sum(one.beside_class for one in members) / number,
                }
    return counts


def fine_table(results: Mapping[str, FineCounts]) -> list[str]:
    """Write a line for each pipeline and kind of types."""
    header = ["pipeline", "fine types", "types", "mentions"]
    header += ["right", "right beside its class"]
    rows = [
        [name, kind, *counts.values()]
        for name, kinds in results.items()
        for kind, counts in kinds.items()
    ]
    return table(header, rows)
