"""How much a head gains from more passages of one corpus."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import spacy
from spacy.tokens import Doc
from spacy.training.corpus import FILE_TYPE, Corpus, walk_corpus

from spacy_tommer.evaluation.calibration import f1_threshold
from spacy_tommer.evaluation.means import precision_at_recall
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.files import write_aside, write_text_aside

from ..evaluation.plots import new_figure
from ..heads.subsets import score_sets, train_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECALL = 0.94


def measure_curve(
    config: Path,
    corpus: Path,
    sets: Path,
    output: Path,
    sizes: list[int],
    orders: int,
    cache: Path,
    overrides: dict[str, Any],
) -> list[dict[str, Any]]:
    """Train on the first passages of random orders of a corpus, and score each head.

    config (Path): Training config.
    corpus (Path): Folder of DocBins.
    sets (Path): A folder with a folder of DocBins for each set to score on.
    output (Path): Folder for the heads; curve.json and curve.png appear at the end, and
        heads that are there are kept.
    sizes (list[int]): Numbers of passages; 0 for all.
    orders (int): How many orders.
    cache (Path): Folder that keeps the states.
    overrides (dict[str, Any]): Settings of the config, by dotted name.
    RETURNS (list[dict[str, Any]]): For each size, order and set the precision at recall 94
        and the greedy F1 at the best threshold.
    """
    vocab = spacy.blank("en").vocab
    docs = list(Corpus(corpus).read_docbin(vocab, walk_corpus(corpus, FILE_TYPE)))
    judged = {name: list(read_docs(path, vocab)) for name, path in find_sets(sets).items()}
    rows = []
    for order in range(orders):
        shuffled = random.Random(order).sample(docs, len(docs))
        for size in dict.fromkeys(min(size or len(docs), len(docs)) for size in sizes):
            folder, some = output / f"{order}_{size}", [shuffled[:size]]
            pipeline = train_on(config, some, folder, cache, order, overrides)
            rows += [
                {"order": order, "passages": size, **row}
                for row in score(pipeline, judged, cache)
            ]
    write_text_aside(output / "curve.json", json.dumps(rows, indent=1) + "\n")
    figure = plot_curve(rows)
    write_aside(output / "curve.png", lambda path: figure.savefig(path, format="png"))
    return rows


def score(
    pipeline: Path, sets: Mapping[str, Sequence[Doc]], cache: Path
) -> list[dict[str, Any]]:
    """Score a pipeline on each set."""
    return [
        {
            "set": name,
            "precision": precision_at_recall([nested], RECALL),
            "f1": flat.at(f1_threshold({name: flat}))["f"],
        }
        for name, (nested, flat) in score_sets(pipeline, sets, cache).items()
    ]


def plot_curve(rows: list[dict[str, Any]]) -> "Figure":
    """Plot the mean over orders, and their range, by number of passages.

    rows (list[dict]): What `measure_curve` returns.
    RETURNS (Figure): Precision at recall 94 and greedy F1, a line for each set.
    """
    figure = new_figure((9, 3.6))
    for place, (key, title) in enumerate(
        (("precision", "precision at recall 94 (%)"), ("f1", "greedy F1 (%)")), 1
    ):
        axes = figure.add_subplot(1, 2, place, xlabel="passages", ylabel=title)
        for name in dict.fromkeys(row["set"] for row in rows):
            sizes = sorted({row["passages"] for row in rows})
            values = [
                [
                    100 * row[key]
                    for row in rows
                    if (row["set"], row["passages"]) == (name, size)
                ]
                for size in sizes
            ]
            (line,) = axes.plot(sizes, [np.mean(one) for one in values], "o-", label=name)
            low, high = ([f(one) for one in values] for f in (min, max))
            axes.fill_between(sizes, low, high, color=line.get_color(), alpha=0.2)
        axes.set_ylim(bottom=0)
        axes.legend()
    return figure
