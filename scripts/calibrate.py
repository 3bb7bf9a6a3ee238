"""Choose the two thresholds of a trained pipeline on validation texts."""

from pathlib import Path

import numpy as np
import spacy
import typer
from spacy.tokens import DocBin

from spacy_tommer.decoding import sigmoid
from spacy_tommer.evaluation.protocol import Scored, score_docs


def f1_threshold(scored: Scored) -> float:
    """Find the threshold with the best F1."""
    found = np.arange(1, len(scored.logits) + 1)
    return rounded_down(scored.logits[np.argmax(scored.right / (found + scored.gold))])


def recall_threshold(scored: Scored, recall: float) -> float:
    """Find the highest threshold that reaches a recall."""
    index = np.searchsorted(scored.right, recall * scored.gold)
    if index == len(scored.logits):
        raise ValueError(
            f"No threshold finds {100 * recall:.1f} % of the mentions; all spans together "
            f"find {100 * scored.right[-1] / scored.gold:.1f} %. Give a lower --recall."
        )
    return rounded_down(scored.logits[index])


def rounded_down(logit: np.floating) -> float:
    """Turn a logit into a threshold of three digits that it exceeds."""
    return round(float(np.floor(1000 * sigmoid(logit))) / 1000, 3)


def calibrate(pipeline: Path, dev: Path, output: Path, recall: float = 0.98) -> None:
    """Write PIPELINE with new thresholds to OUTPUT.

    `threshold` is the highest that finds the share RECALL of the mentions of DEV, and
    `flat_threshold` has the best F1 of the flat segmentation. The scores on DEV are kept
    in the pipeline's meta.json.
    """
    nlp = spacy.load(pipeline)
    docs = (
        doc
        for path in sorted(dev.glob("*.spacy"))
        for doc in DocBin().from_disk(path).get_docs(nlp.vocab)
    )
    nested, flat = score_docs(nlp, docs)
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = recall_threshold(nested, recall)
    tommer.flat_threshold = f1_threshold(flat)
    scores = {
        "threshold": nested.at(tommer.threshold),
        "flat_threshold": flat.at(tommer.flat_threshold),
    }
    for name, score in scores.items():
        shown = ", ".join(f"{key.upper()} {100 * score[key]:.1f}" for key in "rpf")
        print(f"{name} {getattr(tommer, name)}: {shown}")
    nlp.meta["performance"]["calibration"] = scores
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(calibrate)
