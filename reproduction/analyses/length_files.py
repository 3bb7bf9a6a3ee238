"""Measure texts and mentions in wordpieces, and draw histograms of both."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.tokens import Doc, DocBin
from spacy.training.corpus import walk_corpus
from spacy.vocab import Vocab
from tqdm import tqdm
from transformers import AutoTokenizer

from spacy_tommer.backbone.sources import find_folder

from ..corpora.lengths import Lengths, count_lengths, describe_lengths
from ..evaluation.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_lengths(
    corpora: list[Path], output: Path, tokenizer: str, max_length: int
) -> dict[str, Any]:
    """Write lengths.json, text_length.png and mention_length.png.

    corpora (list[Path]): Folders with DocBins.
    output (Path): Folder to write.
    tokenizer (str): Model whose wordpieces are counted.
    max_length (int): Limit of the share that is measured.
    RETURNS (dict[str, Any]): What lengths.json holds.
    RAISES (ValueError): If there are no texts.
    """
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
    draw(texts, "Length of texts").savefig(output / "text_length.png")
    if mentions:
        draw(mentions, "Length of mentions").savefig(output / "mention_length.png")
    return described


def read_shards(folder: Path) -> Iterator[Doc]:
    """Read the Docs of a folder, with a vocabulary for each file."""
    for path in tqdm(walk_corpus(folder, ".spacy"), desc=folder.name, disable=None):
        yield from DocBin().from_disk(path).get_docs(Vocab())


def draw(lengths: Lengths, title: str) -> "Figure":
    """Draw a histogram. The longest one per thousand is beyond its right edge."""
    figure = new_figure((6, 3.5))
    axes = figure.add_subplot(title=title, xlabel="length in wordpieces", ylabel="count")
    order = sorted(lengths)
    reached = np.cumsum([lengths[length] for length in order])
    edge = max(1, order[int(np.searchsorted(reached, 0.999 * reached[-1]))])
    width = -(-edge // 60)  # of a bar
    bounds = np.arange(0.5, edge + width, width)
    axes.hist(list(lengths), weights=list(lengths.values()), bins=bounds.tolist())
    return figure
