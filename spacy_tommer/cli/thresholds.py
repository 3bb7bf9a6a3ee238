"""Choose the thresholds of a pipeline on validation texts."""

from pathlib import Path
from typing import Annotated

import typer

from ..evaluation.calibration import write_thresholds


def thresholds(
    pipeline: Annotated[Path, typer.Argument(exists=True, help="Folder of the pipeline.")],
    data: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A DocBin, a folder of them, or a folder with a folder for each set.",
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the pipeline with them.")],
    recall: Annotated[
        float, typer.Option(min=0, max=1, help="Least recall on each set.")
    ] = 0.85,
    mean_recall: Annotated[
        float, typer.Option(min=0, max=1, help="Least mean of these recalls.")
    ] = 0.94,
) -> None:
    """Choose both thresholds on validation texts, and write the pipeline with them.

    `threshold` is the highest one that has these recalls of doc.spans["mentions"], and
    `flat_threshold` the one with the best mean F1 of the flat segmentation.
    """
    typer.echo("\n".join(write_thresholds(pipeline, data, output, recall, mean_recall)))
