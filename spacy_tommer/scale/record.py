"""The record of a run in its output folder: a later run goes on only with the same."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import write_text_aside
from .job import Job

# Readers of tables pass over names that begin with an underscore or a dot.
RECORD = "_run.json"
LEFTOVERS = ".*.part"


def open_folder(job: Job, inputs: Sequence[Path]) -> None:
    """Prepare the output folder: check that it is new, or was begun by the same run.

    job (Job): The run.
    inputs (Sequence[Path]): The input files; none for texts that come from elsewhere.
        FileExistsError or ValueError is raised if the folder holds anything else than what
        an earlier part of this run wrote.
    """
    folder = job.output
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD
    record = make_record(job, inputs)
    if path.exists() and inputs:
        record["inputs"] = check_record(path, record) | record["inputs"]
    elif any(folder.glob(f"*.{job.format}")):
        raise FileExistsError(
            f"The folder {folder} already holds *.{job.format} files. Remove them or "
            "write to another folder."
        )
    remove_leftovers(folder)
    if inputs:
        write_text_aside(path, json.dumps(record, indent=1, ensure_ascii=False))


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that died left unfinished."""
    for leftover in folder.glob(LEFTOVERS):
        leftover.unlink(missing_ok=True)


def make_record(job: Job, inputs: Sequence[Path]) -> dict[str, Any]:
    """Describe all that the output depends on: settings, and path and size of each input
    by its name."""
    return {
        **job.about,
        "format": job.format,
        "text": job.text,
        "id": job.id,
        "keep_text": job.keep_text,
        "shard_rows": job.shard_rows,
        "max_chars": job.max_chars,
        "encoding": job.encoding,
        "inputs": {
            path.name: [str(path.resolve()), path.stat().st_size] for path in inputs
        },
    }


def check_record(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Compare the record in the folder with that of this run.

    path (Path): The file. ValueError is raised if a setting differs, or an input that both
        name.
    record (dict[str, Any]): The record of this run.
    RETURNS (dict[str, Any]): The inputs of earlier runs.
    """
    earlier = json.loads(path.read_text("utf-8"))
    inputs = earlier.get("inputs", {})
    advice = f"Write to another folder, or remove {path.parent}."
    for name, value in record.items():
        before = earlier.get(name)
        if name != "inputs" and before != value:
            raise ValueError(
                f"{path.parent} was begun with {name} = {before!r}, and this run has "
                f"{value!r}. {advice}"
            )
    for name, (place, size) in record["inputs"].items():
        before = inputs.get(name, [place, size])
        if before != [place, size]:
            raise ValueError(
                f"{path.parent} was begun with {before[0]} of {before[1]:,} bytes, and the "
                f"input {place} has {size:,}. {advice}"
            )
    return inputs
