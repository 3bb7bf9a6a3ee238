"""Choose the two thresholds of a trained pipeline on validation texts."""

from pathlib import Path

import numpy as np
import spacy
import typer
from spacy.tokens import DocBin

from spacy_tommer.decoding import sigmoid
from spacy_tommer.evaluation.protocol import Scored, score_docs


def best_threshold(scored: Scored) -> float:
    """Find the threshold with the highest F1, to two digits of 1 - threshold."""
    found = np.arange(1, len(scored.logits) + 1)
    f1 = 2 * scored.right / (found + scored.gold)
    return rounded(scored.logits[f1.argmax()])


def recall_threshold(scored: Scored, recall: float) -> float:
    """Find the highest threshold that reaches a recall."""
    index = np.searchsorted(scored.right, recall * scored.gold)
    return rounded(scored.logits[index])


def rounded(logit: float) -> float:
    """Round a threshold down, to a number that reads well in a config."""
    return float(np.floor(1000 * sigmoid(np.array(logit))) / 1000)


def calibrate(pipeline: Path, dev: Path, output: Path, recall: float = 0.94) -> None:
    """Write PIPELINE with its thresholds to OUTPUT: `threshold` is the highest that finds
    the share RECALL of the mentions of DEV, `flat_threshold` has the best greedy F1."""
    nlp = spacy.load(pipeline)
    docs = [
        doc
        for path in sorted(dev.glob("*.spacy"))
        for doc in DocBin().from_disk(path).get_docs(nlp.vocab)
    ]
    nested, flat = score_docs(nlp, docs)
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = recall_threshold(nested, recall)
    tommer.flat_threshold = best_threshold(flat)
    for name, scored in (("threshold", nested), ("flat_threshold", flat)):
        value = getattr(tommer, name)
        scores = scored.at(value)
        nlp.config["components"]["tommer"][name] = value
        print(f"{name} = {value}: R {scores['r']:.3f} P {scores['p']:.3f} F {scores['f']:.3f}")
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(calibrate)
