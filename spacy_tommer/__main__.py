"""Print the mentions of texts: python -m spacy_tommer "John lives in New York City." """

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, BinaryIO, Optional, TextIO

import typer
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from .files import ShardWriter
from .page.formats import write_html, write_jsonl, write_table
from .pipelines import load

# Texts whose words are in memory at once.
CHUNK = 4096


class Format(str, Enum):
    table = "table"
    jsonl = "jsonl"
    html = "html"
    spacy = "spacy"


WRITERS = {
    Format.table: write_table,
    Format.jsonl: write_jsonl,
    Format.html: write_html,
}


app = typer.Typer(add_completion=False)


@app.command()
def main(
    texts: Annotated[
        Optional[list[str]], typer.Argument(metavar="[TEXT]...", help="Texts.")
    ] = None,
    file: Annotated[
        Optional[Path],
        typer.Option(
            exists=True, dir_okay=False, help="A file in UTF-8, each line a text."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or the folder of a pipeline.")
    ] = "minilm",
    threshold: Annotated[
        Optional[float],
        typer.Option(help="Probability that a mention must exceed, between 0 and 1."),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="spacy writes a folder of DocBins.")
    ] = Format.table,
    matches: Annotated[
        bool, typer.Option("--matches", help="Show match scores and token values in html.")
    ] = False,
    output: Annotated[
        Optional[Path],
        typer.Option(help="File or folder to write; otherwise standard output."),
    ] = None,
) -> None:
    """Print the entity mentions of texts, each with its score and its place in the text.

    Without texts and file, each line of standard input is a text. In the table, * marks
    the mentions of the flat segmentation.
    """
    if format is Format.spacy and output is None:
        fail("--format spacy writes a folder: name it with --output.")
    if matches and format is not Format.html:
        fail("--matches is for a page: write --format html.")
    try:
        nlp = load(model)
        spans_key = settle(nlp, model, threshold)
    except (ValueError, OSError, ImportError) as error:
        fail(str(error))
    if None not in (file, output) and output.exists() and output.samefile(file):
        fail(f"{output} is read and would be overwritten: name another --output.")
    docs = progress(annotate(nlp, read(texts, file)), output)
    write = partial(write_html, matches=nlp) if matches else WRITERS.get(format)
    try:
        if format is Format.spacy:
            with ShardWriter(output) as shards:
                for doc in docs:
                    shards.add(doc)
        else:
            with opened(output, whole=format is Format.html) as stream:
                write(docs, stream, spans_key)
    except BrokenPipeError:  # the reader of standard output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settle(nlp: Language, model: str, threshold: Optional[float]) -> str:
    """Prepare a pipeline for texts of any length.

    nlp (Language): The pipeline.
    model (str): What it was loaded from.
    threshold (Optional[float]): The threshold for all mentions, nested and flat.
    RETURNS (str): Key of the mentions in doc.spans.
    """
    if "tommer" not in nlp.pipe_names:
        raise ValueError(f"The pipeline {model} has no component named tommer.")
    tommer = nlp.get_pipe("tommer")
    if threshold is not None:
        tommer.threshold = threshold
        if tommer.flat_threshold is not None:
            tommer.flat_threshold = max(threshold, tommer.flat_threshold)
    nlp.max_length = sys.maxsize
    return tommer.spans_key


def read(texts: Optional[list[str]], file: Optional[Path]) -> Iterator[str]:
    """Read the texts, one at a time. What is no UTF-8 becomes U+FFFD.

    texts (Optional[list[str]]): Texts of the command line.
    file (Optional[Path]): A file with a text on each line.
    YIELDS (str): A text.
    """
    for text in texts or ():
        yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if file is not None:
        with file.open("rb") as stream:
            yield from read_lines(stream)
    elif not texts:
        yield from read_lines(sys.stdin.buffer)


def read_lines(stream: BinaryIO) -> Iterator[str]:
    """Read the lines of a file, without a byte order mark and the ends of lines."""
    lines = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="\n")
    yield from (line.removesuffix("\n").removesuffix("\r") for line in lines)


def annotate(nlp: Language, texts: Iterator[str]) -> Iterator[Doc]:
    """Find the mentions of a stream of texts, and forget the words of those behind.

    nlp (Language): The pipeline.
    texts (Iterator[str]): The texts.
    YIELDS (Doc): The Docs, in order.
    """
    for first in texts:
        with nlp.memory_zone():
            yield from nlp.pipe(chain([first], islice(texts, CHUNK - 1)))


def progress(docs: Iterable[Doc], output: Optional[Path]) -> Iterable[Doc]:
    """Show a progress bar on standard error if the run is long and it can be seen."""
    mixed = output is None and sys.stdout.isatty()
    # None leaves it to tqdm, which shows nothing where standard error is no terminal.
    return tqdm(docs, unit=" texts", delay=2, disable=True if mixed else None)


@contextmanager
def opened(output: Optional[Path], whole: bool) -> Iterator[TextIO]:
    """Open the output for writing in UTF-8.

    output (Optional[Path]): The file; standard output where there is none.
    whole (bool): Whether the file is useless before its end, so that it is written
        aside and put in place when it is complete.
    YIELDS (TextIO): The stream.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        yield sys.stdout
        sys.stdout.flush()
    else:
        path = output.with_name(output.name + ".part") if whole else output
        try:
            with path.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream
            if whole:
                os.replace(path, output)
        except BaseException:
            if whole:
                path.unlink(missing_ok=True)
            raise


def fail(message: str) -> None:
    """End with an error message and the exit code of wrong use."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="python -m spacy_tommer")
