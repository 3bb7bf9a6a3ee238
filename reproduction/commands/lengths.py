"""Plot the lengths of texts and mentions."""

from pathlib import Path
from typing import Annotated

import typer

from ..analyses.length_files import write_lengths


def lengths(
    corpora: Annotated[list[Path], typer.Argument(help="Folders with DocBins.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path(
        "metrics/lengths"
    ),
    tokenizer: Annotated[
        str, typer.Option(help="Model whose wordpieces are counted.")
    ] = "sentence-transformers/all-MiniLM-L6-v2",
    max_length: Annotated[int, typer.Option(help="Limit of the share printed.")] = 25,
) -> None:
    """Plot how long texts and mentions are, in wordpieces.

    These are the paper's figures 9 and 10. Writes lengths.json, text_length.png and
    mention_length.png.
    """
    described = write_lengths(corpora, output, tokenizer, max_length)
    for name in ("texts", "mentions"):
        numbers = {k: v for k, v in described[name].items() if k != "counts"}
        print(f"{name}: " + ", ".join(f"{k} {v:.6g}" for k, v in numbers.items()))
