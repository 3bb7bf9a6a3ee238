"""Write the mentions of many texts to a folder of shards."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Optional

import typer
from spacy.language import Language

from ..scale.job import SHARD_ROWS, Job, Shard
from ..scale.run import Summary, annotate_shards
from ..scale.shards import find_shards, shards_of_texts
from .texts import read_texts

PANEL = "A folder of shards"

Column = Annotated[
    Optional[str],
    typer.Option(
        "--column",
        help="Column of the texts of parquet, CSV and JSON lines: text by default.",
        rich_help_panel=PANEL,
    ),
]
Id = Annotated[
    Optional[str],
    typer.Option(
        "--id",
        help="Column of the ids: id by default, or row numbers.",
        rich_help_panel=PANEL,
    ),
]
KeepText = Annotated[
    bool,
    typer.Option("--keep-text", help="Write the texts, too.", rich_help_panel=PANEL),
]
ShardRows = Annotated[
    Optional[int],
    typer.Option(
        "--shard-rows", min=1, help="Most rows in a shard.", rich_help_panel=PANEL
    ),
]
Processes = Annotated[
    Optional[int],
    typer.Option(
        "--n-process", min=1, help="Processes, or actors of Ray.", rich_help_panel=PANEL
    ),
]
Ray = Annotated[
    Optional[str],
    typer.Option(
        "--ray",
        help="Address of a cluster of Ray, or local for Ray on this machine.",
        rich_help_panel=PANEL,
    ),
]
Gpus = Annotated[
    Optional[float],
    typer.Option("--gpus", min=0, help="GPUs of each actor of Ray.", rich_help_panel=PANEL),
]


class Options(NamedTuple):
    """Hold the options that only a folder takes. Any of them asks for a folder."""

    column: Optional[str] = None
    id: Optional[str] = None
    keep_text: bool = False
    shard_rows: Optional[int] = None
    n_process: Optional[int] = None
    ray: Optional[str] = None
    gpus: Optional[float] = None


def names_folder(output: Optional[str]) -> bool:
    """Check whether an output is a folder, or ends like one."""
    return output is not None and (output.endswith(("/", os.sep)) or Path(output).is_dir())


def write_folder(
    nlp: Language,
    texts: Sequence[str],
    files: Sequence[Path],
    encoding: Optional[str],
    format: str,
    output: Path,
    options: Options,
) -> None:
    """Find the mentions of texts or files, write them to a folder, and tell what was done.

    nlp (Language): The pipeline.
    texts (Sequence[str]): Arguments of the command line. ValueError is raised for texts and
        files together.
    files (Sequence[Path]): Files; without them and texts, the lines of standard input are
        read.
    encoding (Optional[str]): Encoding of files and standard input.
    format (str): "parquet", "jsonl" or "spacy".
    output (Path): The folder.
    """
    if texts and files:
        raise ValueError(
            f"A folder takes texts or files, and not both. Is {texts[0]!r} a file? Give "
            "each file an --file of its own, or a pattern in quotes: --file 'in/*.parquet'"
        )
    job = Job(
        output,
        format=format,
        text=options.column or "text",
        id=options.id or "id",
        keep_text=options.keep_text,
        shard_rows=options.shard_rows or SHARD_ROWS,
        encoding=encoding if encoding and files else "utf-8",
    )
    shards: Iterable[Shard] = (
        find_shards(files, job)
        if files
        else shards_of_texts(read_texts(texts, (), encoding), job.shard_rows)
    )
    workers, gpus = options.n_process or 1, options.gpus or 0
    show(annotate_shards(shards, job, nlp, files, workers, options.ray, gpus))


def show(summary: Summary) -> None:
    """Print what a run did on standard error."""
    skipped = f"; {summary.skipped:,} were there already" if summary.skipped else ""
    speed = f"{summary.words:,} words, {summary.words_per_second:,.0f} a second"
    typer.echo(
        f"{summary.rows:,} rows, {summary.errors:,} of them bad, in {summary.shards:,} "
        f"shards{skipped}. {speed}.",
        err=True,
    )
