"""The table and the figure of benchmarks/peers.py."""

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.one_peer import LENGTHS, MOST_MEMORY, MOST_SECONDS
from benchmarks.peer_pipelines import SHIPPED
from reproduction.evaluation.plots import new_figure
from spacy_tommer.evaluation.tables import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = "minilm-float32"
PACKAGES = ("torch", "spacy", "spacy-transformers", "gliner")
TICKS = [digit * 10**zeros for zeros in range(1, 6) for digit in (1, 2, 5)]
# The values of a row: their columns, and how they are written.
VALUES = {
    "imports": ("imports, s", ".1f"),
    "load": ("load, s", ".2f"),
    "loaded": ("loaded, MB", ".0f"),
    "peak": ("peak, MB", ".0f"),
}
NOTES = f"""\
Words per second, and in brackets the median of the ratios to {BASE} in the same
round; all other figures are medians of the rounds. Loading ends with the first text, and
leaves out imports. A process may use {MOST_MEMORY >> 30} GB, and each text length
{MOST_SECONDS} seconds."""


@dataclass
class Measured:
    """Hold what one process measured.

    values (dict[str, float]): Seconds of imports and of loading; memory after loading, and
        its peak, in MB.
    speeds (dict[str, float]): Words per second, by text length.
    failed (dict[str, str]): Why there is no speed, by text length.
    left_out (str): Why the peer did not run at all.
    """

    values: dict[str, float] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: str = ""


# By peer and number of threads.
Rounds = dict[tuple[str, int], list[Measured]]


def write(rounds: Rounds, lengths: Sequence[str]) -> str:
    """Write the table, and notes on what is missing in it.

    rounds (Rounds): What was measured.
    lengths (Sequence[str]): The text lengths.
    RETURNS (str): Markdown.
    """
    header = ["peer", "threads", *(f"{one} ({LENGTHS[one]:,})" for one in lengths)]
    header += [column for column, _ in VALUES.values()]
    rows, notes = [], []
    for (name, threads), every in rounds.items():
        if any(one.values for one in every):
            base = rounds.get((BASE, threads), [])
            speeds = [show_speed(every, base, length) for length in lengths]
            values = [
                show([one.values[key] for one in every if key in one.values], form)
                for key, (_, form) in VALUES.items()
            ]
            rows.append([name, threads, *speeds, *values])
        notes += [f"- {name} is left out. {one.left_out}" for one in every if one.left_out]
        notes += [
            f"- {name}, {length}: {reason}."
            for one in every
            for length, reason in one.failed.items()
        ]
    lines = [machine(), "", *table(header, rows), "", NOTES, "", *dict.fromkeys(notes)]
    return "\n".join(lines).strip() + "\n"


def show(values: Sequence[float], form: str) -> str:
    """Write the median of values; nothing if there are none."""
    return format(median(values), form) if values else ""


def show_speed(every: Sequence[Measured], base: Sequence[Measured], length: str) -> str:
    """Write the median speed, and the median of the ratios to the base.

    every (Sequence[Measured]): What the rounds measured.
    base (Sequence[Measured]): What they measured of the base.
    length (str): The text length.
    RETURNS (str): "5,000 (1.25)", without the ratio where the base was not measured, and
        nothing where the peer was not.
    """
    speed = show([one.speeds[length] for one in every if length in one.speeds], ",.0f")
    ratios = [
        one.speeds[length] / other.speeds[length]
        for one, other in zip(every, base)
        if length in one.speeds and length in other.speeds
    ]
    return f"{speed} ({show(ratios, '.2f')})" if ratios else speed


def machine() -> str:
    """Name the processor and the versions of packages."""
    info = Path("/proc/cpuinfo").read_text().partition("model name")[2].splitlines()
    processor = info[0].strip("\t: ") if info else platform.machine()
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return f"{processor}, {os.cpu_count()} cores; {', '.join(found)}."


def draw(rounds: Rounds, lengths: Sequence[str]) -> "Figure":
    """Plot words per second against the length of the text, a line for each peer, with the
    fewest threads.

    rounds (Rounds): What was measured.
    lengths (Sequence[str]): The text lengths.
    RETURNS (Figure): The plot. ImportError is raised where matplotlib is not installed.
    """
    fewest = min(threads for _, threads in rounds)
    figure = new_figure((8, 5))
    axes = figure.add_subplot(
        yscale="log",
        xlabel="words of a text",
        ylabel=f"words per second, {fewest} thread{'s' * (fewest > 1)}",
    )
    drawn: list[float] = []
    for (name, threads), every in rounds.items():
        speeds = {
            place: median(found)
            for place, length in enumerate(lengths)
            if (found := [one.speeds[length] for one in every if length in one.speeds])
        }
        if threads == fewest and speeds:
            style = "-" if name in SHIPPED else "--"
            axes.plot(*zip(*speeds.items()), f"o{style}", label=name)
            drawn += speeds.values()
    axes.set_xticks(
        range(len(lengths)), [f"{length}\n{LENGTHS[length]:,}" for length in lengths]
    )
    ticks = [tick for tick in TICKS if min(drawn) / 2 < tick < max(drawn) * 2]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(color="0.9")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
