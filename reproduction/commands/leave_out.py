"""Train without some corpora, to see how heads do on texts they have not seen."""

from pathlib import Path
from typing import Annotated

import typer

from ..heads.left_out import leave_out_mentions, leave_out_types
from . import options

Corpus = Annotated[Path, typer.Argument(help="Folder with a folder for each set.")]
Dev = Annotated[Path, typer.Argument(help="The same for the validation texts.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command(cls=options.TakesOverrides)
def mentions(
    ctx: typer.Context,
    config: options.Config,
    corpus: Corpus,
    dev: Dev,
    left_out: options.LeftOut,
    output: Annotated[Path, typer.Argument(help="Folder for pipeline and tables.")],
    cache: options.Cache = Path("cache"),
    mean_recall: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mean recall of sets at the point `recall`."),
    ] = 0.94,
    limit: options.Limit = 1000,
    seed: options.Seed = 0,
    gpu_id: options.GpuId = -1,
) -> None:
    """Train a head of mentions on the other sets, and score it on those left out.

    Thresholds are chosen on the validation texts of the other sets, and sources of the
    recipe that are left out get no output. OpenMentions has to be among the other sets;
    texts that it shares with those left out are not scored.
    """
    leave_out_mentions(
        config,
        corpus,
        dev,
        left_out,
        output,
        cache,
        mean_recall,
        limit,
        seed,
        gpu_id,
        options.overrides_of(ctx),
    )


@app.command(cls=options.TakesOverrides)
def types(
    ctx: typer.Context,
    pipeline: Annotated[Path, typer.Argument(help="It has learnt from all sets.")],
    output: Annotated[Path, typer.Argument(help="Folder for the pipeline with it.")],
    config: options.Config,
    corpus: Corpus,
    dev: Dev,
    mentions: Annotated[
        Path, typer.Argument(help="Pipeline whose transformer and tommer are taken.")
    ],
    definitions: Annotated[Path, typer.Argument(help="JSON of the training types.")],
    left_out: options.LeftOut,
    cache: options.Cache = Path("cache"),
    steps: Annotated[int, typer.Option(min=1, help="Updates of the head.")] = 1200,
    seed: options.Seed = 0,
    gpu_id: options.GpuId = -1,
) -> None:
    """Choose the threshold of types by a head that has not seen some sets, on their texts.

    On texts of sets that it knows, a head would choose too high a threshold.
    """
    line = leave_out_types(
        pipeline,
        output,
        config,
        corpus,
        dev,
        mentions,
        definitions,
        left_out,
        cache,
        steps,
        seed,
        gpu_id,
        options.overrides_of(ctx),
    )
    print(line)
