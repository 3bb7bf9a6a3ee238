"""How well a head does on kinds of text that it has not learnt from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spacy
from spacy.tokens import Doc

from spacy_tommer.evaluation.calibration import f1_threshold
from spacy_tommer.evaluation.means import precision_at_recall
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.evaluation.tables import table
from spacy_tommer.files import write_aside, write_text_aside

from ..corpora.genres import by_group, read_part
from ..evaluation.plots import new_figure
from ..heads.subsets import score_sets, train_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECALL = 0.94
SEED = 0
# The head that learns from all groups, and the heads that learn without one.
HEADS = ("with", "without")
MEASURES = {"f1": "greedy F1", "precision": "P at R 94"}
Passages = Mapping[str, Sequence[Doc]]


def leave_out_genres(
    config: Path,
    corpus: Path,
    output: Path,
    cache: Path,
    overrides: dict[str, Any],
    wanted: Sequence[str] = (),
) -> list[str]:
    """Train a head on OpenMentions, and one without each group of genres, and score both on
    the passages of that group in the validation and test part.

    config (Path): Training config.
    corpus (Path): Folder of DocBins with the training part.
    output (Path): Folder for the heads; left_out.json, left_out.md and left_out.png appear
        at the end, and heads that are there are kept.
    cache (Path): Folder that keeps the states.
    overrides (dict[str, Any]): Settings of the config, by dotted name.
    wanted (Sequence[str]): Groups to leave out; empty for all.
    RETURNS (list[str]): The lines of left_out.md.
    """
    vocab = spacy.blank("en").vocab
    places = find_sets(corpus).values()
    learnt = by_group(doc for place in places for doc in read_docs(place, vocab))
    if unknown := set(wanted) - set(learnt):
        raise ValueError(
            f"{corpus} has no passages of the group {', '.join(sorted(unknown))}. It has "
            f"{', '.join(learnt)}."
        )
    validation, test = (by_group(read_part(part)) for part in ("validation", "test"))
    held_out = {
        name: [*validation.get(name, ()), *test.get(name, ())] for name in wanted or learnt
    }

    def measure(folder: str, parts: Passages, groups: Passages) -> dict[str, Any]:
        path = train_on(config, parts.values(), output / folder, cache, SEED, overrides)
        known = {name: docs for name, docs in validation.items() if name in parts}
        return measure_head(path, known, groups, cache)

    both = measure("all", learnt, held_out)
    rows = []
    for name, docs in held_out.items():
        rest = {group: some for group, some in learnt.items() if group != name}
        alone = measure(f"without {name}", rest, {name: docs})
        sizes = {"learnt": len(learnt[name]), "passages": len(docs)}
        rows.append({"group": name, **sizes, **dict(zip(HEADS, (both[name], alone[name])))})
    lines = describe(rows)
    write_text_aside(output / "left_out.json", json.dumps(rows, indent=1) + "\n")
    write_text_aside(output / "left_out.md", "\n".join(lines) + "\n")
    figure = plot_groups(rows)
    write_aside(output / "left_out.png", lambda path: figure.savefig(path, format="png"))
    return lines


def measure_head(
    pipeline: Path, validation: Passages, groups: Passages, cache: Path
) -> dict[str, dict[str, float]]:
    """Score a head at the threshold with the best mean greedy F1 over the groups that it
    has learnt from.

    pipeline (Path): Folder of its pipeline.
    validation (Passages): Validation passages of the groups that it has learnt from.
    groups (Passages): Passages of the groups to score it on.
    cache (Path): Folder that keeps the states.
    RETURNS (dict[str, dict[str, float]]): For each of `groups` the "threshold", the greedy
        "f1" at it, and the "precision" at recall 94.
    """
    judged = score_sets(pipeline, validation, cache)
    threshold = f1_threshold({name: flat for name, (_, flat) in judged.items()})
    return {
        name: {
            "threshold": threshold,
            "f1": flat.at(threshold)["f"],
            "precision": precision_at_recall([nested], RECALL),
        }
        for name, (nested, flat) in score_sets(pipeline, groups, cache).items()
    }


def describe(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write a table of the groups, and their mean."""
    header = ["group", "passages learnt from", "scored"]
    for title in MEASURES.values():
        header += [f"{title}, with it", "without", "difference"]
    cells = [
        [row["group"], row["learnt"], row["passages"], *differences(row)] for row in rows
    ]
    means = [sum(column) / len(rows) for column in zip(*(one[3:] for one in cells))]
    return table(header, [*cells, ["mean", "", "", *means]])


def differences(row: Mapping[str, Any]) -> list[float]:
    """List each measure of a group with it, without it, and their difference."""
    values: list[float] = []
    for key in MEASURES:
        both, alone = (row[head][key] for head in HEADS)
        values += [both, alone, alone - both]
    return values


def plot_groups(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Plot the greedy F1 on each group of heads that have learnt from it or not.

    rows (Sequence[Mapping]): The rows of left_out.json.
    RETURNS (Figure): Two points for each group, with a line between them.
    """
    figure = new_figure((7, 1.2 + 0.25 * len(rows)))
    axes = figure.add_subplot(xlabel="greedy F1 (%)")
    names = [row["group"] for row in rows]
    values = {head: [100 * row[head]["f1"] for row in rows] for head in HEADS}
    axes.hlines(names, values["with"], values["without"], color="0.7", zorder=0)
    for head, fill in zip(HEADS, ("full", "none")):
        label = f"learnt {head} the group"
        axes.plot(values[head], names, "o", color="C0", fillstyle=fill, label=label)
    axes.invert_yaxis()
    axes.legend()
    return figure
