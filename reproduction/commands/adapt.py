"""Train an adapter of a language model."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from spacy.cli._util import setup_gpu

from ..adapters.memory import describe_memory, estimate_memory
from ..adapters.recipe import AnyPrecision, Recipe, best_precision
from ..adapters.train import train_adapter
from .options import GpuId, Seed


def adapt(
    corpus: Annotated[
        Path, typer.Argument(help='Folder of DocBins with doc.spans["entities"].')
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; it appears whole.")],
    layer: Annotated[int, typer.Option(min=0, help="Block that is read, from 0.")],
    backbone: Annotated[
        str, typer.Option(help="A folder, a GGUF file, or a name on the Hugging Face hub.")
    ] = "HuggingFaceTB/SmolLM2-135M-Instruct",
    passes: Annotated[
        int, typer.Option(min=1, max=2, help="How often each window is read.")
    ] = 2,
    types: Annotated[
        Optional[Path],
        typer.Option(help="JSON file with names and definitions of the labels."),
    ] = None,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapter.")] = Recipe.rank,
    alpha: Annotated[int, typer.Option(min=1, help="Scale of the adapter.")] = Recipe.alpha,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = Recipe.steps,
    batch_words: Annotated[
        int, typer.Option(min=1, help="Tokens of a step.")
    ] = Recipe.batch_words,
    learn_rate: Annotated[
        float, typer.Option(min=0, help="Highest learning rate of the adapter.")
    ] = Recipe.learn_rate,
    seed: Seed = 0,
    precision: Annotated[
        AnyPrecision,
        typer.Option(help="auto: bfloat16 where the processor computes in it."),
    ] = "auto",
    checkpoint_every: Annotated[
        int, typer.Option(min=1, help="Steps between checkpoints.")
    ] = 100,
    cache: Annotated[
        Path, typer.Option(help="Folder that keeps texts and vectors of definitions.")
    ] = Path("cache"),
    gpu_id: GpuId = -1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how much memory it needs.")
    ] = False,
) -> None:
    """Train a LoRA adapter of a language model on typed texts (arXiv 2604.05158).

    Heads are trained on its states afterwards, with `--recipe.adapter OUTPUT`. An
    interrupted run goes on from its last checkpoint when it is started again.
    """
    setup_gpu(gpu_id)
    recipe = Recipe(
        backbone=backbone,
        layer=layer,
        passes=passes,
        rank=rank,
        alpha=alpha,
        steps=steps,
        batch_words=batch_words,
        learn_rate=learn_rate,
        seed=seed,
        precision=best_precision() if precision == "auto" else precision,
    )
    typer.echo(describe_memory(estimate_memory(recipe)))
    if not dry_run:
        train_adapter(corpus, output, recipe, types, cache, checkpoint_every)
