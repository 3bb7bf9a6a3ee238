"""Choose the two thresholds of a trained pipeline on validation texts."""

from pathlib import Path

import spacy
import typer

from spacy_tommer.evaluation.calibration import (
    CANDIDATES,
    f1_threshold,
    measures_at,
    recall_threshold,
)
from spacy_tommer.evaluation.protocol import score_docs
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.evaluation.tables import measure_table


def calibrate(
    pipeline: Path,
    dev: Path,
    output: Path,
    recall: float = 0.85,
    mean_recall: float = 0.94,
) -> None:
    """Write PIPELINE with new thresholds to OUTPUT.

    DEV has a folder of DocBins for each set, or is one. `threshold` is the highest at which
    the recall on every set is at least RECALL and their mean at least MEAN_RECALL, and
    `flat_threshold` has the best mean F1 of the flat segmentation. The scores on DEV are
    kept in the pipeline's meta.json.
    """
    nlp = spacy.load(pipeline)
    nested, flat = {}, {}
    for name, folder in find_sets(dev).items():
        docs = read_docs(folder, nlp.vocab)
        nested[name], flat[name] = score_docs(nlp, docs, thresholds=CANDIDATES)
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = recall_threshold(nested, recall, mean_recall)
    tommer.flat_threshold = f1_threshold(flat)
    scores = {
        "threshold": measures_at(nested, tommer.threshold),
        "flat_threshold": measures_at(flat, tommer.flat_threshold),
    }
    for name, measures in scores.items():
        print(
            f"{name} = {getattr(tommer, name)}", "", *measure_table(measures), "", sep="\n"
        )
    nlp.meta.setdefault("performance", {})["calibration"] = scores
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(calibrate)
