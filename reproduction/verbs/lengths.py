"""Measure texts and mentions in wordpieces, and draw histograms of both."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from spacy.tokens import Doc, DocBin
from spacy.training.corpus import walk_corpus
from spacy.vocab import Vocab
from tqdm import tqdm
from transformers import AutoTokenizer

from spacy_tommer.backbone.sources import find_folder

from ..corpora.lengths import Lengths, count_lengths, describe_lengths


def read_shards(folder: Path) -> Iterator[Doc]:
    """Read the Docs of a folder, with a vocabulary for each file."""
    for path in tqdm(walk_corpus(folder, ".spacy"), desc=folder.name, disable=None):
        yield from DocBin().from_disk(path).get_docs(Vocab())


def draw(lengths: Lengths, title: str, path: Path) -> None:
    """Draw a histogram. The longest one per thousand is beyond its right edge."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            'To draw histograms, run: pip install "spacy-tommer[plots]"'
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    order = sorted(lengths)
    reached = np.cumsum([lengths[length] for length in order])
    edge = max(1, order[int(np.searchsorted(reached, 0.999 * reached[-1]))])
    width = -(-edge // 60)  # of a bar
    bounds = np.arange(0.5, edge + width, width)
    axes.hist(list(lengths), weights=list(lengths.values()), bins=bounds)
    axes.set(title=title, xlabel="length in wordpieces", ylabel="count")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main(
    corpora: Annotated[list[Path], typer.Argument(help="Folders with DocBins.")],
    output: Annotated[Path, typer.Option(help="Folder for JSON and figures.")],
    tokenizer: str = "sentence-transformers/all-MiniLM-L6-v2",
    max_length: Annotated[int, typer.Option(help="Limit of the share printed.")] = 25,
) -> None:
    """Write lengths of texts and mentions to OUTPUT: lengths.json, text_length.png and
    mention_length.png (the paper's figures 9 and 10)."""
    pieces = AutoTokenizer.from_pretrained(find_folder(tokenizer, 1)).backend_tokenizer
    pieces.no_truncation()
    pieces.no_padding()
    texts, mentions = Lengths(), Lengths()
    for folder in corpora:
        found = count_lengths(read_shards(folder), pieces)
        texts, mentions = texts + found[0], mentions + found[1]
    if not texts:
        raise ValueError(f"There are no texts in {', '.join(map(str, corpora))}.")
    output.mkdir(parents=True, exist_ok=True)
    described = {
        "tokenizer": tokenizer,
        "texts": describe_lengths(texts, max_length),
        "mentions": describe_lengths(mentions, max_length),
    }
    (output / "lengths.json").write_text(json.dumps(described, indent=2), "utf-8")
    draw(texts, "Length of texts", output / "text_length.png")
    if mentions:
        draw(mentions, "Length of mentions", output / "mention_length.png")
    for name in ("texts", "mentions"):
        numbers = {k: v for k, v in described[name].items() if k != "counts"}
        print(f"{name}: " + ", ".join(f"{k} {v:.6g}" for k, v in numbers.items()))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(str(error))
