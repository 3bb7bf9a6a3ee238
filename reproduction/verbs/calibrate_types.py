"""Choose the threshold of a zero-shot pipeline on typed validation texts."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import spacy
import typer
from spacy.language import Language

from spacy_tommer.decoding.decode import sigmoid
from spacy_tommer.evaluation.typed import count_entities, find_set
from spacy_tommer.training.corpus import CachedCorpus

CANDIDATES = sigmoid(np.arange(-5.0, 3.01, 0.25)).round(3).tolist()


def choose_threshold(
    nlp: Language, sets: dict[str, dict[str, str]], corpora: Path, cache: Path
) -> float:
    """Find the threshold that has the best mean F1 of doc.ents, and print that.

    nlp (Language): The pipeline.
    sets (dict[str, dict[str, str]]): Definitions by set and label.
    corpora (Path): Folder with a DocBin or a folder of them for each set.
    cache (Path): Folder of cached states.
    RETURNS (float): The threshold.
    """
    scores = {}
    for name, labels in sets.items():
        read = CachedCorpus(find_set(corpora, name), cache)
        counts = count_entities(nlp, read, labels, CANDIDATES)
        scores[name] = [count.measures()["f"] for count in counts]
    means = np.mean(list(scores.values()), axis=0)
    best = int(means.argmax())
    each = {name: round(100 * values[best], 1) for name, values in scores.items()}
    print(f"threshold = {CANDIDATES[best]}: mean F1 {100 * means[best]:.1f}", each)
    return CANDIDATES[best]


def calibrate(
    pipeline: Path,
    output: Path,
    types: Annotated[Path, typer.Option(help="Definitions: by set, by label.")],
    corpora: Annotated[Path, typer.Option(help="Folder with DocBins for each set.")],
    cache: Path = Path("cache"),
) -> None:
    """Write PIPELINE to OUTPUT with the threshold that has the best mean F1 of doc.ents."""
    nlp = spacy.load(pipeline)
    sets = json.loads(types.read_text("utf-8"))
    nlp.get_pipe("tommer_zeroshot").threshold = choose_threshold(nlp, sets, corpora, cache)
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(calibrate)
