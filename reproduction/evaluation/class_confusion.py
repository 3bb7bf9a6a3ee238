"""Which coarse classes are taken for which: counts, a table and a plot."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_tommer.evaluation.tables import table

from .plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = "none"
# Shares (%) that the plot writes into its cells, and above which it writes them in white.
SHOWN, DARK = 10, 35

Confusion = dict[str, Any]


def count_confusion(pairs: Iterable[tuple[str, str]], classes: Iterable[str]) -> Confusion:
    """Count what the mentions of each class were taken for.

    pairs (Iterable[tuple[str, str]]): For each mention its class, and what it was taken
        for: a class or none.
    classes (Iterable[str]): Names of all classes.
    RETURNS (Confusion): "names", the classes by falling frequency; and "counts", a row for
        each, with a column for each and a last one for none.
    """
    counts = Counter(pairs)
    sizes: Counter[str] = Counter()
    for (gold, _), count in counts.items():
        sizes[gold] += count
    names = sorted(classes, key=lambda name: (-sizes[name], name))
    rows = [[counts[gold, found] for found in (*names, NONE)] for gold in names]
    return {"names": names, "counts": rows}


def confusion_table(results: Mapping[str, Confusion]) -> list[str]:
    """Write how many mentions were taken for their class, for none, and for the wrong class
    that is most frequent, of all classes and of each.

    results (Mapping[str, Confusion]): What `count_confusion` returns, for each pipeline.
    RETURNS (list[str]): The lines of the table.
    """
    rows: list[list[Any]] = []
    for pipeline, confusion in results.items():
        names, counts = confusion["names"], np.array(confusion["counts"])
        total = int(counts.sum())
        right, none = int(counts.trace()), int(counts[:, -1].sum())
        rows.append([pipeline, "all", total, right / total, none / total, "", ""])
        for i, (name, row) in enumerate(zip(names, counts.tolist())):
            if size := sum(row):
                wrong = {one: row[j] for j, one in enumerate(names) if j != i and row[j]}
                most = max(wrong, key=wrong.__getitem__, default="")
                share = wrong[most] / size if wrong else ""
                rows.append(
                    [pipeline, name, size, row[i] / size, row[-1] / size, most, share]
                )
    header = ["pipeline", "class", "mentions", "right", "none", "most often instead"]
    return table([*header, "share"], rows)


def plot_confusion(results: Mapping[str, Confusion]) -> "Figure":
    """Plot the confusion of each pipeline, one below the other.

    results (Mapping[str, Confusion]): What `count_confusion` returns, for each pipeline.
    RETURNS (Figure): The plot. ImportError is raised where matplotlib is not installed.
    """
    figure = new_figure((8, 7.6 * len(results)))
    for i, (name, confusion) in enumerate(results.items(), 1):
        draw_confusion(figure.add_subplot(len(results), 1, i, title=name), confusion)
    return figure


def draw_confusion(axes: "Axes", confusion: Confusion) -> None:
    """Draw a row for each class, with the share of its mentions that were taken for each
    class and for none. Darkness is the square root of a share, so that rare ones show."""
    names, counts = confusion["names"], np.array(confusion["counts"])
    sizes = counts.sum(axis=1)
    shares = 100 * counts / np.maximum(sizes, 1)[:, None]
    columns, rows = [*names, NONE], [f"{name} {size}" for name, size in zip(names, sizes)]
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=10)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set(xlabel="taken for (%)", ylabel="class, and its mentions")
    for row, column in np.argwhere(shares >= SHOWN).tolist():
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{share:.0f}",
            color="white" if share > DARK else "black",
            fontsize=6,
            ha="center",
            va="center_baseline",
        )
