"""Print the mentions of texts."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Optional, TextIO

import typer
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..page.formats import write_html, write_jsonl, write_table
from ..pipelines import load
from ..scale.shards import PARQUET, find_inputs
from ..scale.worker import ShardsFailed
from ..version import __version__
from .errors import fail
from .folder import (
    Column,
    Gpus,
    Id,
    KeepText,
    Options,
    Processes,
    Ray,
    ShardRows,
    names_folder,
    write_folder,
)
from .output import opened
from .texts import as_they_come, read_texts

# How many texts share a memory zone of the vocabulary.
TEXTS_IN_MEMORY = 4096


class Format(str, Enum):
    """List the output formats."""

    table = "table"
    jsonl = "jsonl"
    html = "html"
    parquet = "parquet"
    spacy = "spacy"


FOLDER_ONLY = (Format.parquet, Format.spacy)
WRITERS: dict[Format, Callable] = {
    Format.table: write_table,
    Format.jsonl: write_jsonl,
    Format.html: write_html,
}


def show_version(wanted: bool) -> None:
    """Print the version and exit, if requested."""
    if wanted:
        typer.echo(f"spacy_tommer {__version__}")
        raise typer.Exit


def find(
    texts: Annotated[
        Optional[list[str]], typer.Argument(metavar="[TEXT]...", help="Texts.")
    ] = None,
    file: Annotated[
        Optional[list[Path]],
        typer.Option(
            "--file",
            "-i",
            help="A file, each line a text, or a pattern; may be given several times.",
        ),
    ] = None,
    encoding: Annotated[
        Optional[str],
        typer.Option(help="Encoding of files and standard input; UTF-8 by default."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="Name of a shipped model, or the folder of a pipeline."
        ),
    ] = "minilm",
    precision: Annotated[
        Optional[str],
        typer.Option(
            "--precision",
            "-p",
            help="What the backbone computes in: float32, bfloat16, int8 or auto.",
        ),
    ] = None,
    threshold: Annotated[
        Optional[float],
        typer.Option(
            "--threshold",
            "-t",
            help="Probability that a mention must exceed, between 0 and 1.",
        ),
    ] = None,
    recall: Annotated[
        bool,
        typer.Option("--recall", help="Find nearly all mentions, and more that are none."),
    ] = False,
    kinds: Annotated[
        Optional[str],
        typer.Option(
            "--kinds", "-k", help="Kinds of mentions to find: NAME,TERM,QUANTITY,PHRASE."
        ),
    ] = None,
    format: Annotated[
        Optional[Format],
        typer.Option(
            "--format",
            "-f",
            help="table by default; parquet in a folder. spacy are DocBins in a folder.",
        ),
    ] = None,
    matches: Annotated[
        bool, typer.Option("--matches", help="Show match scores and token values in html.")
    ] = False,
    output: Annotated[
        Optional[str],
        typer.Option(
            "--output", "-o", help="File or folder to write; otherwise standard output."
        ),
    ] = None,
    column: Column = None,
    id: Id = None,
    keep_text: KeepText = False,
    shard_rows: ShardRows = None,
    n_process: Processes = None,
    ray: Ray = None,
    gpus: Gpus = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=show_version,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Print the entity mentions of texts, each with its score and its place in the text.

    Without texts and file, each line of standard input is a text. In the table, * marks
    the entities: the flat segmentation. With a folder as output, or an option that only a
    folder takes, mentions are written in shards, and a run that was stopped goes on where
    it was.
    """
    place = None if output is None else Path(output)
    options = Options(column, id, keep_text, shard_rows, n_process, ray, gpus)
    shards = any(options) or names_folder(output) or format in FOLDER_ONLY
    format = format or (Format.parquet if shards else Format.table)
    if shards and place is None:
        fail("This writes a folder. Name it with --output.")
    if shards and format not in (*FOLDER_ONLY, Format.jsonl):
        fail("A folder takes --format parquet, jsonl or spacy.")
    if matches and format is not Format.html:
        fail("--matches needs an HTML page. Write --format html.")
    try:
        files = find_inputs(file) if file else []
        if not shards:
            check_files(files, place)
        points = "recall" if recall else None
        nlp = load(model, thresholds=points, precision=precision)
        spans_key = settle(nlp, model, threshold, kinds)
        if shards:
            assert place is not None
            write_folder(nlp, texts or [], files, encoding, format.value, place, options)
        else:
            stream = read_texts(texts or [], files, encoding)
            write_all(nlp, stream, spans_key, format, matches, place)
    except BrokenPipeError:  # the reader of standard output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError, ShardsFailed) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_files(files: Iterable[Path], output: Optional[Path]) -> None:
    """Raise ValueError for a file that is also the output, or that is not read by lines."""
    for path in files:
        if output is not None and output.exists() and output.samefile(path):
            raise ValueError(
                f"{output} is also an input and would be overwritten. Name another "
                "--output."
            )
        if path.suffix == PARQUET:
            raise ValueError(f"{path} is a table. Name a folder for it: --output out/")


def settle(
    nlp: Language, model: str, threshold: Optional[float], kinds: Optional[str]
) -> str:
    """Set the threshold and the kinds of a pipeline, and allow texts of any length.

    nlp (Language): The pipeline. ValueError is raised if it has no component "tommer".
    model (str): The name or folder that it was loaded from, for the error message.
    threshold (Optional[float]): The threshold for all mentions; for flat ones, too, unless
        the head scores entities apart.
    kinds (Optional[str]): The kinds to find, separated by commas.
    RETURNS (str): Key of the mentions in doc.spans.
    """
    if "tommer" not in nlp.pipe_names:
        raise ValueError(f"The pipeline {model} has no component named tommer.")
    tommer = nlp.get_pipe("tommer")
    if threshold is not None:
        tommer.threshold = threshold
    if kinds is not None:
        known = {kind.upper(): kind for kind in tommer.label_names}
        wanted = [kind.strip() for kind in kinds.split(",")]
        tommer.kinds = [known.get(kind.upper(), kind) for kind in wanted]
    nlp.max_length = sys.maxsize
    return tommer.spans_key


def write_all(
    nlp: Language,
    texts: Iterator[str],
    spans_key: str,
    format: Format,
    matches: bool,
    output: Optional[Path],
) -> None:
    """Find the mentions of a stream of texts and write them.

    spans_key (str): Key of the mentions in doc.spans.
    format (Format): The output format.
    matches (bool): Whether an HTML page also shows match scores and token values.
    output (Optional[Path]): File to write; by default standard output.
    """
    write = partial(write_html, matches=nlp) if matches else WRITERS[format]
    with opened(output, whole=format is Format.html) as stream:
        write(progress(find_mentions_of(nlp, texts, stream), output), stream, spans_key)


def find_mentions_of(
    nlp: Language, texts: Iterable[str], stream: Optional[TextIO] = None
) -> Iterator[Doc]:
    """Find the mentions of a stream of texts, in memory zones, so that the vocabulary does
    not grow with the stream.

    nlp (Language): The pipeline.
    texts (Iterable[str]): The texts.
    stream (Optional[TextIO]): The output stream of the Docs, which is flushed after each
        batch.
    YIELDS (Doc): The Docs, in order.
    """
    for batch in as_they_come(texts, TEXTS_IN_MEMORY):
        with nlp.memory_zone():
            yield from nlp.pipe(batch)
        if stream is not None:
            stream.flush()


def progress(docs: Iterable[Doc], output: Optional[Path]) -> Iterable[Doc]:
    """Show a progress bar on standard error if the run is long and no output mixes with
    it."""
    mixed = output is None and sys.stdout.isatty()
    # With None, tqdm shows nothing if standard error is not a terminal.
    return tqdm(docs, unit=" texts", delay=2, disable=True if mixed else None)
