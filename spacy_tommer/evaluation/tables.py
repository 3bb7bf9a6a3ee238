"""Write results as Markdown, and as CSV."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .run import RECALLS

DECODINGS = {"nested": "Threshold decoding", "flat": "Greedy decoding"}
MEANS = {
    "plain": "mean",
    "micro": "micro (pooled counts)",
    "weighted": "mean weighted by texts",
}
NOTES = """\
R, P and F1 are in per cent, for exact spans without their types; "right", "found" and
"gold" are the counts behind them. "nested R" is the recall of the gold mentions that lie
inside another one, and "of" their number. "per 100" is mentions found per 100 tokens.
Threshold decoding takes every span above `threshold`, greedy decoding those above
`flat_threshold` that do not overlap. Spans without scores, as of spaCy's pipelines, all
count as threshold decoding. Words per second are those of the whole pipeline, timed once
on the first 1,000 texts of each set."""


def to_markdown(
    results: Mapping[str, dict[str, Any]], left_out: Mapping[str, str], limit: int = 0
) -> str:
    """Write the report of an evaluation.

    results (Mapping[str, dict]): What `evaluate_pipeline` returned for each pipeline.
    left_out (Mapping[str, str]): Why a pipeline was left out.
    limit (int): How many texts of each set were taken; 0 for all.
    RETURNS (str): An overview, and tables for each pipeline.
    """
    lines = begin_report("# Evaluation", NOTES, overview(results), left_out, limit)
    for name, result in results.items():
        lines += ["", f"## {name}", "", *describe(result)]
    return "\n".join(lines) + "\n"


def begin_report(
    title: str, notes: str, means: list[str], left_out: Mapping[str, str], limit: int
) -> list[str]:
    """Write the lines that a report begins with.

    title (str): Its first line.
    notes (str): What its figures are.
    means (list[str]): The lines of its overview.
    left_out (Mapping[str, str]): Why something was left out.
    limit (int): How many texts of each set were taken; 0 for all.
    RETURNS (list[str]): The lines.
    """
    lines = [title, ""]
    if limit:
        lines += [f"Only the first {limit} texts of each set.", ""]
    lines += [notes, "", "## Plain means over the sets", "", *means, ""]
    return lines + [f"Left out: {name}. {reason}" for name, reason in left_out.items()]


def overview(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """Write a line of means for each pipeline."""
    header = ["pipeline", "threshold R", "P", "F1", "greedy R", "P", "F1"]
    header += ["average precision"]
    header += [f"P at R {100 * recall:g}" for recall in RECALLS] + ["words per second"]
    rows = []
    for name, result in results.items():
        row: list[Any] = [name]
        for decoding in DECODINGS:
            means = result["means"].get(decoding)
            row += rpf(means["plain"]) if means else [""] * 3
        at_recall = result.get("precision_at_recall", {})
        row += [result.get("average_precision", "")]
        row += [at_recall.get(str(recall), "") for recall in RECALLS]
        speeds = [one["words_per_second"] for one in result["sets"].values()]
        rows.append([*row, f"{sum(speeds) / len(speeds):,.0f}"])
    return table(header, rows)


def describe(result: dict[str, Any]) -> list[str]:
    """Write the tables of one pipeline."""
    settings = ", ".join(f"{key} = {value}" for key, value in result["settings"].items())
    lines = [settings, ""] if settings else []
    sets = result["sets"]
    header = ["set", "texts", "tokens", "gold per 100 tokens", "words per second"]
    rows = [
        [
            name,
            one["texts"],
            one["tokens"],
            f"{100 * one['nested']['gold'] / max(one['tokens'], 1):.1f}",
            f"{one['words_per_second']:,.0f}",
        ]
        for name, one in sets.items()
    ]
    lines += table(header, rows)
    for decoding, means in result["means"].items():
        reports = {name: one[decoding] for name, one in sets.items()}
        lines += ["", f"### {DECODINGS[decoding]}", "", *decoding_table(reports, means)]
    return [*lines, "", "### Recall of each type", "", *type_table(sets)]


def decoding_table(
    reports: Mapping[str, dict[str, Any]], means: Mapping[str, dict[str, float]]
) -> list[str]:
    """Write what one decoding finds in each set, and the means."""
    header = ["set", "R", "P", "F1", "right", "found", "gold"]
    header += ["nested R", "of", "per 100"]
    rows = []
    for name, one in reports.items():
        inner = one["inner"]
        row = [name, *rpf(one), one["right"], one["found"], one["gold"]]
        row += [inner["r"] if inner["gold"] else "", inner["gold"]]
        rows.append([*row, f"{one['per_100_tokens']:.1f}"])
    for key, name in MEANS.items():
        counts = [means[key].get(count, "") for count in ("right", "found", "gold")]
        rows.append([name, *rpf(means[key]), *counts, *[""] * 3])
    return table(header, rows)


def type_table(sets: Mapping[str, dict[str, Any]]) -> list[str]:
    """Write the recall of each gold type, for each decoding."""
    decodings = [key for key in DECODINGS if key in next(iter(sets.values()))]
    header = ["set", "type", "gold", *(DECODINGS[key] for key in decodings)]
    rows = [
        [name, label, nested["gold"], *(one[key]["types"][label]["r"] for key in decodings)]
        for name, one in sets.items()
        for label, nested in one["nested"]["types"].items()
    ]
    return table(header, rows)


def measure_table(measures: Mapping[str, dict[str, float]]) -> list[str]:
    """Write recall, precision and F1, a line each.

    measures (Mapping[str, dict]): The measures by name.
    RETURNS (list[str]): The lines of the table.
    """
    return table(["set", "R", "P", "F1"], [[key, *rpf(m)] for key, m in measures.items()])


def rpf(measure: Mapping[str, float]) -> list[float]:
    """Take recall, precision and F1 of a measure."""
    return [measure[key] for key in "rpf"]


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    """Write a table, shares in per cent.

    header (Iterable[str]): Names of the columns.
    rows (Iterable[Iterable]): The cells; a float is a share.
    RETURNS (list[str]): The lines of the table.
    """
    header = list(header)

    def line(cells: Iterable[Any]) -> str:
        shown = (f"{100 * c:.1f}" if isinstance(c, float) else str(c) for c in cells)
        return f"| {' | '.join(shown)} |"

    return [line(header), line(["---"] * len(header)), *map(line, rows)]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows for a spreadsheet.

    rows (Sequence[Mapping[str, Any]]): The rows, with the same keys: the columns.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def reliability_table(reliability: Mapping[str, Any]) -> list[str]:
    """Show how many mentions of each range of scores are right, before and after the
    calibration.

    reliability (Mapping[str, Any]): What `calibrate` returns.
    RETURNS (list[str]): Lines of a table in Markdown, and one with the factor and shift
        of each kind.
    """
    lines = ["| score | mentions | mean score | right |", "| --- | --- | --- | --- |"]
    for one in reliability["after"]["bins"]:
        lines.append(
            f"| {one['from']:g} to {one['to']:g} | {one['mentions']:,} | "
            f"{100 * one['score']:.1f} | {100 * one['right']:.1f} |"
        )
    before, after = (100 * reliability[key]["error"] for key in ("before", "after"))
    moved = ", ".join(
        f"{kind} {scale:.2f} and {reliability['shifts'][kind]:+.2f}"
        for kind, scale in reliability["scales"].items()
    )
    return [
        *lines,
        "",
        f"Expected calibration error {after:.1f} %, before {before:.1f} % (factor and "
        f"shift of the logits: {moved}).",
    ]
