"""Choose the thresholds of a pipeline on validation texts."""

from pathlib import Path
from typing import Annotated

import typer

from ..evaluation.calibration import write_thresholds


def thresholds(
    pipeline: Annotated[
        str, typer.Argument(help="Name of a shipped model, or the folder of a pipeline.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A DocBin, a folder of them, or a folder with a folder for each set.",
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the pipeline with them.")],
    mean_recall: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mean recall of sets at the point `recall`."),
    ] = 0.94,
) -> None:
    """Choose both thresholds on validation texts, and write the pipeline with them.

    There are two pairs: `balanced`, which is used, has the best F1, and `recall` the wanted
    mean recall. Scores are calibrated.
    """
    typer.echo("\n".join(write_thresholds(pipeline, data, output, mean_recall)))
