"""Plot precision-recall curves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Mean of nine benchmarks, threshold decoding at 0.5 (tables 1 of the paper's release).
PAPER = {"name": "ToMMeR, Llama-3.2-1B (paper)", "r": 0.956, "p": 0.313}
F1_LINES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def plot_curves(results: Mapping[str, dict[str, Any]]) -> "Figure":
    """Plot the mean precision-recall curve of each pipeline.

    results (Mapping[str, dict]): What `evaluate_pipeline` returned for each pipeline.
    RETURNS (Figure): The plot: curves; the point of each decoding, filled for threshold
        decoding and hollow for greedy decoding; the paper's point; and lines of equal F1.
        ImportError is raised where matplotlib is not installed.
    """
    figure = new_figure((8, 6))
    axes = add_recall_axes(figure)
    for i, (name, result) in enumerate(results.items()):
        draw_pipeline(axes, name, result, f"C{i % 10}")
    axes.plot(
        *percent(PAPER), "*", color="black", markersize=13, ls="none", label=PAPER["name"]
    )
    axes.legend(loc="upper right")
    return figure


def new_figure(size: tuple[float, float]) -> "Figure":
    """Make an empty figure, without any window or global state of matplotlib.

    size (tuple[float, float]): Width and height in inches.
    RETURNS (Figure): The figure. ImportError is raised where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Plots need matplotlib: pip install "spacy-tommer[plots]"'
        ) from error
    return Figure(figsize=size, dpi=110, layout="constrained")


def add_recall_axes(figure: "Figure") -> "Axes":
    """Add axes for precision against recall, with lines of equal F1.

    RETURNS (Axes): The axes, in per cent.
    """
    axes = figure.add_subplot(
        xlabel="recall (mean over sets, %)",
        ylabel="precision (mean over sets, %)",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    draw_f1_lines(axes)
    return axes


def draw_pipeline(axes: "Axes", name: str, result: dict[str, Any], color: str) -> None:
    """Draw the curve and the points of one pipeline."""
    curve = result.get("curve", [])
    if curve:
        axes.plot(*zip(*map(percent, curve)), color=color)
    for decoding, means in result["means"].items():
        axes.plot(
            *percent(means["plain"]),
            "o",
            ls="none",
            color=color,
            fillstyle="full" if decoding == "nested" else "none",
            label=name if decoding == "nested" else f"{name}, greedy",
        )


def draw_f1_lines(axes: "Axes") -> None:
    """Draw lines of equal F1."""
    for f in F1_LINES:
        recall = np.linspace(f / (2 - f), 1, 200)
        precision = f * recall / (2 * recall - f)
        axes.plot(100 * recall, 100 * precision, color="0.85", lw=0.8, zorder=0)
        place = (100, 100 * precision[-1])
        axes.annotate(
            f"F1 {100 * f:.0f}", place, color="0.5", fontsize=8, ha="right", va="bottom"
        )


def percent(measure: Mapping[str, Any]) -> tuple[float, float]:
    """Turn recall and precision into per cent."""
    return 100 * measure["r"], 100 * measure["p"]
