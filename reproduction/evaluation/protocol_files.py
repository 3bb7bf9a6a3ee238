"""Write the results of an evaluation to files, each whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_tommer.evaluation.tables import to_markdown
from spacy_tommer.files import write_aside, write_text_aside

from .plots import plot_curves


def write_protocol(
    folder: Path,
    results: Mapping[str, dict[str, Any]],
    left_out: Mapping[str, str],
    limit: int = 0,
) -> None:
    """Write protocol.json, protocol.md and curves.png.

    folder (Path): Where to write, made if need be.
    results (Mapping[str, dict]): What `evaluate_pipeline` returned for each pipeline.
    left_out (Mapping[str, str]): Why a pipeline was left out.
    limit (int): How many texts of each set were taken; 0 for all. ImportError is raised,
        after the other files, where matplotlib is not installed.
    """
    markdown = to_markdown(results, left_out, limit)
    write_report(folder / "protocol", results, left_out, limit, markdown)
    figure = plot_curves(results)
    write_aside(folder / "curves.png", lambda path: figure.savefig(path, format="png"))


def write_report(
    path: Path,
    results: Mapping[str, dict[str, Any]],
    left_out: Mapping[str, str],
    limit: int,
    markdown: str,
) -> None:
    """Write results as PATH.json, and their report as PATH.md.

    path (Path): The files without their suffix; the folder is made if need be.
    results (Mapping[str, dict]): The results of each pipeline.
    left_out (Mapping[str, str]): Why something was left out.
    limit (int): How many texts of each set were taken; 0 for all.
    markdown (str): The report.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"limit": limit, "pipelines": results, "left_out": left_out}
    shown = json.dumps(content, indent=2, ensure_ascii=False)
    write_text_aside(path.with_suffix(".json"), shown)
    write_text_aside(path.with_suffix(".md"), markdown)
