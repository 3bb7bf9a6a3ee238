"""Choose the thresholds of a trained pipeline on validation texts."""

from pathlib import Path
from typing import Annotated

import typer

from spacy_tommer.evaluation.calibration import write_thresholds
from spacy_tommer.evaluation.typed import write_type_threshold

from .options import Cache

Pipeline = Annotated[Path, typer.Argument(help="Folder of the pipeline.")]
Output = Annotated[Path, typer.Argument(help="Folder for the pipeline with them.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def mentions(
    pipeline: Pipeline,
    dev: Annotated[
        Path, typer.Argument(help="Folder of DocBins, or with one for each set.")
    ],
    output: Output,
    mean_recall: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mean recall of sets at the point `recall`."),
    ] = 0.94,
) -> None:
    """Choose both thresholds of mentions.

    There are two pairs: `balanced`, which is used, has the best F1, and `recall` the wanted
    mean recall. Scores are calibrated. The pipeline's meta.json keeps the scores.
    """
    print("\n".join(write_thresholds(pipeline, dev, output, mean_recall)))


@app.command()
def types(
    pipeline: Pipeline,
    output: Output,
    types: Annotated[Path, typer.Option(help="JSON of definitions by set, by label.")],
    corpora: Annotated[Path, typer.Option(help="Folder with DocBins for each set.")],
    cache: Cache = Path("cache"),
) -> None:
    """Choose the threshold of types: the one with the best mean F1 of doc.ents."""
    print(write_type_threshold(pipeline, output, types, corpora, cache))
