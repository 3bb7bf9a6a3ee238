"""Let trained heads annotate a corpus."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from spacy_tommer.training.distillation import Purpose

from ..heads.distil import distil_corpus
from .options import Cache


def distil(
    corpus: Annotated[Path, typer.Argument(help="Folder of DocBins.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; it appears whole.")],
    teachers: Annotated[
        list[Path],
        typer.Argument(help="Pipelines with one backbone, or folders of such pipelines."),
    ],
    cache: Cache = Path("cache"),
    purpose: Annotated[
        Purpose,
        typer.Option(
            help="mentions: what they find becomes gold; ignored: it is left out of the "
            "loss; targets: the probabilities of all spans are learnt."
        ),
    ] = "mentions",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Mean probability that a span must exceed.")
    ] = 0.9,
    keep: Annotated[
        str, typer.Option(help="Sets that are copied as they are, separated by commas.")
    ] = "",
    gold_share: Annotated[
        Optional[float],
        typer.Option(
            min=0,
            max=1,
            help="Share of gold in the targets; if not set, gold mentions have "
            "probability 1.",
        ),
    ] = None,
) -> None:
    """Let trained heads annotate a corpus, for a new head to learn from (section 2.3).

    A span counts by the mean of the probabilities that the teachers find.
    """
    distil_corpus(corpus, output, teachers, cache, purpose, threshold, keep, gold_share)
