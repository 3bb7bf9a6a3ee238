"""Write the agreement of annotators to files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_tommer.evaluation.tables import table
from spacy_tommer.files import write_text_aside

# Tables 2 and 7 of the paper: agreement, kappa, spans, and both kinds of disagreement.
PAPER = (
    ("paper, GENIA", 0.785, 0.239, 600, 49, 80),
    ("paper, MultiNERD", 0.915, 0.449, 1200, 39, 63),
    ("paper, both", 0.8717, 0.359, 1800, 88, 143),
)
NOTES = """\
Agreement is the share of spans, in per cent, that both answer alike, among those that both
answer; kappa is Cohen's, and a dash where all answers are the same. The majority leaves
out the spans on which as many annotators say yes as no."""
COLUMNS = ["agreement", "kappa", "spans"]


def write_annotators(folder: Path, result: Mapping[str, Any]) -> None:
    """Write annotators.json and annotators.md.

    folder (Path): Where to write, made if need be.
    result (Mapping[str, Any]): What `measure_annotators` returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    markdown = "\n".join(to_markdown(result)) + "\n"
    write_text_aside(folder / "annotators.json", shown)
    write_text_aside(folder / "annotators.md", markdown)


def to_markdown(result: Mapping[str, Any]) -> list[str]:
    """Write the report.

    result (Mapping[str, Any]): What `measure_annotators` returned.
    RETURNS (list[str]): Its lines.
    """
    judge = [[name, *cells(one)] for name, one in result["judge"].items()]
    pairs = [[f"{one['first']}, {one['second']}", *cells(one)] for one in result["pairs"]]
    lines = ["# Annotators", "", NOTES]
    lines += ["", "## The majority and the judge", "", *majority_table(result)]
    lines += ["", f"Without a majority: {result['ties']}."]
    header = ["annotator", *COLUMNS, "annotator yes, judge no", "annotator no, judge yes"]
    lines += ["", "## Each annotator and the judge", "", *table(header, judge)]
    header = ["annotators", *COLUMNS, "first yes, second no", "first no, second yes"]
    return [*lines, "", "## Each two annotators", "", *table(header, pairs)]


def majority_table(result: Mapping[str, Any]) -> list[str]:
    """Write the agreement of the majority with the judge, beside the paper's.

    result (Mapping[str, Any]): What `measure_annotators` returned.
    RETURNS (list[str]): The lines of the table.
    """
    rows = [[name, *cells(one)] for name, one in result["sets"].items()]
    rows.append(["all", *cells(result["all"])])
    rows += [
        [name, share, f"{kappa:.3f}", *counts] for name, share, kappa, *counts in PAPER
    ]
    return table(["set", *COLUMNS, "human yes, judge no", "human no, judge yes"], rows)


def cells(one: Mapping[str, Any]) -> list[Any]:
    """Write an agreement."""
    return [
        "-" if one["agreement"] is None else one["agreement"],
        "-" if one["kappa"] is None else f"{one['kappa']:.3f}",
        *(one[key] for key in ("spans", "yes_no", "no_yes")),
    ]
