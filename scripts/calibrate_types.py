"""Choose the threshold of a zero-shot pipeline on typed validation texts."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import spacy
import typer

from spacy_tommer.corpora.cached import CachedCorpus
from spacy_tommer.decoding import sigmoid
from spacy_tommer.evaluation.typed import count_entities, find_set

CANDIDATES = sigmoid(np.arange(-5.0, 3.01, 0.25)).round(3).tolist()


def calibrate(
    pipeline: Path,
    output: Path,
    types: Annotated[Path, typer.Option(help="Definitions: by set, by label.")],
    corpora: Annotated[Path, typer.Option(help="Folder with DocBins for each set.")],
    cache: Path = Path("cache"),
) -> None:
    """Write PIPELINE to OUTPUT with the threshold that has the best mean F1 of doc.ents."""
    nlp = spacy.load(pipeline)
    zeroshot = nlp.get_pipe("tommer_zeroshot")
    labels = zeroshot.label_data
    scores = {}
    for name, definitions in json.loads(types.read_text("utf-8")).items():
        read = CachedCorpus(find_set(corpora, name), cache)
        counts = count_entities(nlp, read, definitions, CANDIDATES)
        scores[name] = [count.measures()["f"] for count in counts]
    means = np.mean(list(scores.values()), axis=0)
    best = int(means.argmax())
    zeroshot.threshold = CANDIDATES[best]
    zeroshot.cfg["texts"] = labels
    each = {name: round(100 * values[best], 1) for name, values in scores.items()}
    print(f"threshold = {CANDIDATES[best]}: mean F1 {100 * means[best]:.1f}", each)
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(calibrate)
