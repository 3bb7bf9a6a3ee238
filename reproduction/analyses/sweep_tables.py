"""Write what a sweep found: one table, and the paper's figures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy.tokens import DocBin
from spacy.training.corpus import FILE_TYPE, walk_corpus

from spacy_tommer.evaluation.run import RECALLS
from spacy_tommer.evaluation.tables import table, write_csv
from spacy_tommer.files import write_aside, write_text_aside

from ..evaluation.plots import PAPER, add_recall_axes, new_figure, percent
from .plans import Plan, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HALF = "threshold 0.5"
# Thresholds whose points have their names beside them.
NAMED = ("0.5", "0.9", "0.99")

# Llama-3.2-1B, read at its block 6 (table 1 of the paper's release, and table 6): F1 of
# threshold decoding and of greedy decoding, and the parameters of 7 of its blocks.
PUBLISHED = {HALF: 0.463, "greedy": 0.571, "blocks": 426e6}

Rows = Mapping[Run, dict[str, Any]]


@dataclass(frozen=True)
class Axis:
    """How a setting is plotted.

    label (str): Name of the axis, with its unit.
    scale (str): "linear" or "log".
    base (int): Of the logarithm.
    """

    label: str
    scale: str = "linear"
    base: int = 10


AXES = {
    "layer": Axis("block, counted from 0"),
    "rank": Axis("rank of the projections", "log", 2),
    "texts": Axis("texts to learn from", "log"),
    "blocks": Axis("parameters of the blocks that run, without embeddings", "log"),
}


def write_sweep(folder: Path, plan: Plan, rows: Rows) -> None:
    """Write sweep.csv, sweep.md and the figures.

    folder (Path): Where to write.
    rows (Mapping[Run, dict]): The rows that there are. ImportError is raised, after the
        tables, where matplotlib is not installed.
    """
    rows = {run: rows[run] for run in plan.runs() if run in rows}
    flat = [flat_row(row) for row in rows.values()]

    write_aside(folder / "sweep.csv", lambda path: write_csv(path, flat))
    markdown = "\n".join(["# Sweep", "", *summary(rows)]) + "\n"
    write_text_aside(folder / "sweep.md", markdown)
    for name, figure in draw(plan, rows).items():
        write_aside(folder / f"{name}.png", partial(figure.savefig, format="png"))


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a row into one level, for a spreadsheet: shares between 0 and 1."""
    cells = {name: row[name] for name in asdict(Run("", 0))}
    for name in ("parameters", "blocks", "seconds", "flat_threshold", "average_precision"):
        cells[name] = row[name]
    for recall, precision in row["precision_at_recall"].items():
        cells[f"p_at_r_{recall}"] = precision
    cells["dev_f_greedy"] = row["dev"]["greedy"]["f"]
    cells["dev_average_precision"] = row["dev"]["average_precision"]
    measures = {"greedy": row["greedy"], **row["thresholds"]}
    for name, measure in measures.items():
        cells.update({f"{key}_{name}": measure[key] for key in "rpf"})
    return cells


def summary(rows: Rows) -> list[str]:
    """Write a line for each run."""
    header = ["backbone", "block", "rank", "texts", "matching", "seed", "parameters"]
    header += ["R at 0.5", "P", "F1", "greedy F1", "average precision"]
    header += [f"P at R {100 * recall:g}" for recall in RECALLS]
    header += ["validation: greedy F1"]
    lines = []
    for run, row in rows.items():
        half = row["thresholds"]["0.5"]
        cells: list[Any] = [run.backbone, run.layer, run.rank, run.texts or "all"]
        cells += [run.matching, run.seed, f"{row['parameters']:,}"]
        cells += [*(half[key] for key in "rpf"), row["greedy"]["f"]]
        cells += [row["average_precision"], *row["precision_at_recall"].values()]
        lines.append([*cells, row["dev"]["greedy"]["f"]])
    return table(header, lines)


def draw(plan: Plan, rows: Rows) -> dict[str, "Figure"]:
    """Draw the figures.

    RETURNS (dict[str, Figure]): F1 against each setting that is varied, and against the
        size of the backbone, as "blocks" (figures 6 and 4); and "precision_recall"
        (figures 12 and 14).
    """
    figures = {
        setting: draw_setting(plan, rows, setting)
        for setting in [*plan.vary, "blocks"]
        if setting in AXES
    }
    return {**figures, "precision_recall": draw_curves(plan, rows)}


def draw_setting(plan: Plan, rows: Rows, setting: str) -> "Figure":
    """Draw F1 against a setting: a line for each backbone and decoding."""
    axis = AXES[setting]
    figure = new_figure((7, 4.5))
    axes = figure.add_subplot(xlabel=axis.label, ylabel="F1 (mean over sets, %)")
    if axis.scale == "log":
        axes.set_xscale("log", base=axis.base)
    every = corpus_size(plan.train) if setting == "texts" else 0
    for i, name in enumerate(plan.backbones):
        varied = [rows[run] for run in plan.runs_of(name, setting) if run in rows]
        varied.sort(key=lambda row: row[setting] or every)
        x = [row[setting] or every for row in varied]
        greedy = [100 * row["greedy"]["f"] for row in varied]
        half = [100 * row["thresholds"]["0.5"]["f"] for row in varied]
        axes.plot(x, greedy, "o-", color=f"C{i}", label=f"{name}, greedy")
        axes.plot(x, half, "o--", color=f"C{i}", fillstyle="none", label=f"{name}, {HALF}")
    draw_published(axes, setting)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.grid(color="0.92")
    columns = len(plan.backbones) + 1
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def draw_published(axes: "Axes", setting: str) -> None:
    """Draw the paper's F1: points against the size, and lines against other settings."""
    for decoding, marker, style in (("greedy", "*", "-"), (HALF, "x", "--")):
        shown = 100 * PUBLISHED[decoding]
        label = f"paper, {decoding}"
        if setting == "blocks":
            place = [PUBLISHED["blocks"]], [shown]
            axes.plot(*place, marker, color="black", ls="none", ms=9, label=label)
        else:
            axes.axhline(shown, color="black", lw=0.8, ls=style, label=label)


def draw_curves(plan: Plan, rows: Rows) -> "Figure":
    """Draw precision against recall for the base run of each backbone, with lines of equal
    F1 and a point at each threshold."""
    figure = new_figure((7, 5.5))
    axes = add_recall_axes(figure)
    for i, name in enumerate(plan.backbones):
        row = rows.get(plan.base_run(name))
        if row is None:
            continue
        axes.plot(*zip(*map(percent, row["curve"])), color=f"C{i}", label=name)
        for threshold, measure in row["thresholds"].items():
            axes.plot(*percent(measure), "o", color=f"C{i}", ms=4)
            if threshold in NAMED:
                axes.annotate(
                    threshold,
                    percent(measure),
                    color=f"C{i}",
                    fontsize=8,
                    xytext=(4, 3) if i else (-24, -9),
                    textcoords="offset points",
                )
    axes.plot(*percent(PAPER), "*", color="black", ms=12, ls="none", label=PAPER["name"])
    axes.legend(loc="upper right")
    return figure


@lru_cache
def corpus_size(folder: Path) -> int:
    """Count the Docs of a corpus."""
    return sum(len(DocBin().from_disk(path)) for path in walk_corpus(folder, FILE_TYPE))
