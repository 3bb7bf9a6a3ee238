"""Write what a judge said to files: judge.json, judge.md and judged Docs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from spacy_tommer.evaluation.tables import table
from spacy_tommer.files import write_text_aside

# Section 4.2 of the paper: its pipeline against its judge, both at a threshold of 0.5.
PAPER = (
    ("paper, MultiNERD", 0.928, 0.711),
    ("paper, GENIA", 0.923, 0.684),
)
NOTES = """\
Shares are in per cent. "found" counts all candidates above the threshold, "yes", "no" and
"unclear" the verdicts about those of them that are in the sample. Precision is the share
of yes among yes and no, with its 95 % interval by Wilson; "gold" and "other" are the same
share of those spans found that are gold mentions, and of those that are not. Recall is the
share of all accepted spans of the sample that is found: it is relative to the candidates,
not to all mentions there are. Control spans are random spans of the same lengths that
nobody found as they are, though they may overlap mentions: a judge that accepts many of
them is worth little."""


def write_judgement(folder: Path, result: Mapping[str, Any]) -> None:
    """Write judge.json and judge.md.

    folder (Path): Where to write.
    result (Mapping[str, Any]): "settings" by name; "run", what was used and is left; the
        accepted share of "control"; what `measure_all` returns for "all" sets, and for each
        of the "sets".
    """
    shown = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    markdown = "\n".join(to_markdown(result)) + "\n"
    write_text_aside(folder / "judge.json", shown)
    write_text_aside(folder / "judge.md", markdown)


def to_markdown(result: Mapping[str, Any]) -> list[str]:
    """Write the report.

    result (Mapping[str, Any]): See `write_judgement`.
    RETURNS (list[str]): Its lines.
    """
    everything = result["all"]
    settings = ", ".join(f"{key} = {value}" for key, value in result["settings"].items())
    lines = ["# Judge", "", settings, "", NOTES, ""]
    if result["run"]["left"]:
        lines += [f"{result['run']['left']} questions are left without an answer.", ""]
    lines += ["## Sources", "", *source_table(result)]
    for name, measures in everything["pipelines"].items():
        lines += ["", f"## {name}", "", *threshold_table(measures)]
    lines += ["", "## Each set, at the first threshold of a pipeline", ""]
    return [*lines, *set_table(result["sets"])]


def source_table(result: Mapping[str, Any]) -> list[str]:
    """Write the accepted share of gold mentions, of all pipelines' spans and of control
    spans.

    result (Mapping[str, Any]): See `write_judgement`.
    RETURNS (list[str]): The lines of the table.
    """
    everything = result["all"]
    sources = {"gold (paper: over 99)": everything["gold"]}
    for name, measures in everything["pipelines"].items():
        sources[f"{name}, {named(measures[0]['threshold'])}"] = measures[0]["precision"]
    sources |= {"all candidates": everything["sample"], "control": result["control"]}
    header = ["spans", "yes", "no", "unclear", "open", "accepted", "95 % interval"]
    rows = [
        [name, *(one[key] for key in header[1:5]), or_dash(one["share"]), interval(one)]
        for name, one in sources.items()
    ]
    return table(header, rows)


def threshold_table(measures: list[dict[str, Any]]) -> list[str]:
    """Write the measures of a pipeline at each threshold, and the paper's."""
    header = ["threshold", "found", "yes", "no", "unclear", "precision", "95 % interval"]
    header += ["gold", "other", "recall"]
    rows = [[named(one["threshold"]), *cells(one)] for one in measures]
    rows += [
        [name, *[""] * 4, precision, *[""] * 3, recall] for name, precision, recall in PAPER
    ]
    return table(header, rows)


def set_table(sets: Mapping[str, Any]) -> list[str]:
    """Write the measures of each set and pipeline at the pipeline's first threshold."""
    header = ["set", "pipeline", "threshold", "found", "yes", "no", "unclear"]
    header += ["precision", "95 % interval", "gold", "other", "recall"]
    rows = [
        [name, pipeline, named(measures[0]["threshold"]), *cells(measures[0])]
        for name, one in sets.items()
        for pipeline, measures in one["pipelines"].items()
    ]
    return table(header, rows)


def cells(measure: Mapping[str, Any]) -> list[Any]:
    """Write a measure of a pipeline, without its threshold."""
    precision = measure["precision"]
    return [
        measure["found"],
        *(precision[key] for key in ("yes", "no", "unclear")),
        or_dash(precision["share"]),
        interval(precision),
        *(or_dash(measure[key]["share"]) for key in ("gold", "other")),
        or_dash(measure["recall"]),
    ]


def interval(share: Mapping[str, Any]) -> str:
    """Write an interval in per cent."""
    if share["share"] is None:
        return "-"
    return f"{100 * share['low']:.1f} to {100 * share['high']:.1f}"


def or_dash(value: Optional[float]) -> Any:
    """Show a share, or a dash where there is none."""
    return "-" if value is None else value


def named(threshold: Optional[float]) -> str:
    """Write a threshold."""
    return "all" if threshold is None else f"{threshold:g}"


def describe_usage(run: Mapping[str, Any]) -> list[str]:
    """Write what a run used and what is left."""
    lines = [
        f"{run['requests']} requests, {run['input']} tokens of questions, {run['output']} "
        f"of answers, cost {run['cost']:.4f}."
    ]
    if run["estimated"]:
        lines.append(
            f"{run['estimated']} answers came without usage; theirs is estimated, at most."
        )
    if run["ceiling"]:
        lines.append(
            f"The ceiling {run['ceiling']} is reached: {run['left']} questions are left; "
            "the same command goes on from there."
        )
    return lines
