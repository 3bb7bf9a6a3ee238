"""Train heads on some texts of a corpus, and score them at any threshold."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import spacy
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin

from spacy_tommer.evaluation.calibration import CANDIDATES
from spacy_tommer.evaluation.counts import Scored
from spacy_tommer.evaluation.protocol import open_cache, score_docs
from spacy_tommer.files import whole_folder


def train_on(
    config: Path,
    parts: Iterable[Iterable[Doc]],
    folder: Path,
    cache: Path,
    seed: int,
    overrides: dict[str, Any],
) -> Path:
    """Train a head, unless it is there.

    config (Path): Training config.
    parts (Iterable[Iterable[Doc]]): Gold Docs. The states of a part are kept together, so
        that other heads that learn from it find them.
    folder (Path): Folder for the texts and the head, which appears whole.
    cache (Path): Folder that keeps the states.
    overrides (dict[str, Any]): Settings of the config, by dotted name.
    RETURNS (Path): The folder of the pipeline.
    """
    if not folder.is_dir():
        with whole_folder(folder) as aside:
            texts = aside / "texts"
            texts.mkdir()
            for number, docs in enumerate(parts):
                DocBin(docs=docs).to_disk(texts / f"{number:06}.spacy")
            settings = {
                **overrides,
                "paths.train": str(texts),
                "paths.dev": str(texts),
                "paths.cache": str(cache),
                "corpora.dev.limit": 10,
                "system.seed": seed,
            }
            train(config, aside, overrides=settings)
            shutil.rmtree(aside / "model-best")
    return folder / "model-last"


def score_sets(
    pipeline: Path, sets: Mapping[str, Iterable[Doc]], cache: Path
) -> dict[str, tuple[Scored, Scored]]:
    """Score a head on sets of gold Docs.

    pipeline (Path): Folder of its pipeline.
    sets (Mapping[str, Iterable[Doc]]): The Docs of each set.
    cache (Path): Folder that keeps the states.
    RETURNS (dict[str, tuple[Scored, Scored]]): All spans of each set, and those of the
        greedy segmentation.
    """
    nlp = spacy.load(pipeline)
    # The flat segmentation is measured at any threshold.
    nlp.get_pipe("tommer").threshold = 0.01
    states = open_cache(nlp, cache)
    return {
        name: score_docs(nlp, docs, thresholds=CANDIDATES, states=states)
        for name, docs in sets.items()
    }
