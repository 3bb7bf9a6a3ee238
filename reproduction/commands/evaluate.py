"""Score pipelines on benchmarks."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..corpora.sets import ASSETS
from ..evaluation.new_types import score_new_types
from ..evaluation.score_kinds import score_kinds
from ..evaluation.score_mentions import score_mentions
from ..evaluation.score_types import score_types
from . import options

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def mentions(
    pipelines: Annotated[
        Optional[list[str]],
        typer.Argument(help="Names of shipped models, or folders of pipelines."),
    ] = None,
    benchmarks: options.Benchmarks = Path("corpus/benchmarks"),
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics"),
    limit: options.Limit = 0,
    cache: options.OwnCache = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Score spaCy's own pipeline, too.")
    ] = False,
) -> None:
    """Score mentions by the evaluation protocol (section 4.1): exact spans without types.

    Writes protocol.json, protocol.md and curves.png.
    """
    lines, left_out = score_mentions(
        pipelines or [], benchmarks, output, limit, cache, baselines
    )
    show(lines, left_out, output / "protocol.md")


@app.command()
def kinds(
    pipelines: options.Pipelines,
    benchmarks: options.Benchmarks = Path("corpus/benchmarks"),
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics"),
    limit: options.Limit = 0,
    cache: options.OwnCache = None,
) -> None:
    """Score names and terms apart, on benchmarks whose types are kinds of names or terms.

    Writes kinds.json and kinds.md. Heads that do not tell names and terms are left out.
    """
    lines, left_out = score_kinds(pipelines, benchmarks, output, limit, cache)
    show(lines, left_out, output / "kinds.md")


@app.command()
def types(
    pipelines: Annotated[list[Path], typer.Argument(help="Folders of pipelines.")],
    types: Annotated[Path, typer.Option(help="JSON of definitions by set, by label.")],
    corpora: Annotated[
        Path, typer.Option(help="Folder with a DocBin or a folder for each set.")
    ],
    known: Annotated[
        Optional[Path], typer.Option(help="JSON of the training types.")
    ] = None,
    cache: options.Cache = Path("cache"),
    output: Annotated[
        Path, typer.Option(help="Files to write, without .json and .md.")
    ] = Path("metrics/types"),
) -> None:
    """Score types that a pipeline was not trained on: exact typed entities, F1.

    With and without the type "misc", and for types whose name the training texts have and
    for those without.
    """
    lines = score_types(pipelines, types, corpora, known, cache, output)
    print("", *lines, sep="\n")


@app.command()
def new_types(
    pipelines: Annotated[list[Path], typer.Argument(help="Folders of pipelines.")],
    types: Annotated[Path, typer.Option(help="JSON of the training types.")],
    corpus: Annotated[
        Path, typer.Option(help="Folder with passages of OpenMentions to type.")
    ] = Path("corpus/dev/openmentions"),
    train: Annotated[
        Path, typer.Option(help="Folder with those that were learnt from.")
    ] = Path("corpus/train/openmentions"),
    cache: options.Cache = Path("cache"),
    output: Annotated[
        Path, typer.Option(help="Files to write, without .json, .md and .png.")
    ] = Path("metrics/new_types"),
    seed: options.Seed = 0,
) -> None:
    """Score types that the training texts lack, on gold mentions of OpenMentions: the share
    whose fine type wins over 20 others and none.

    Writes that for seen types, too, and with a mention's coarse class among the others;
    and what the mentions of each class are taken for.
    """
    lines, left_out = score_new_types(
        pipelines, types, corpus, train, cache, output, ASSETS / "openmentions", seed
    )
    show(lines, left_out, output.with_suffix(".md"))


def show(lines: list[str], left_out: dict[str, str], tables: Path) -> None:
    """Print an overview, what was left out, and where all tables are."""
    print("\n".join(lines))
    for name, reason in left_out.items():
        typer.echo(f"Left out: {name}. {reason}", err=True)
    print(f"All tables: {tables}")
