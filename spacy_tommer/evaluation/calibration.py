"""Choose thresholds on validation texts, on several sets at once."""

from collections.abc import Mapping
from pathlib import Path

import spacy
from spacy.language import Language

from .counts import Scored
from .means import mean
from .pipes import require_pipe
from .protocol import score_docs
from .sets import find_sets, read_docs
from .tables import measure_table

# In rising order, with three digits.
CANDIDATES = [i / 1000 for i in range(1, 1000)]


def write_thresholds(
    pipeline: Path,
    dev: Path,
    output: Path,
    recall: float = 0.85,
    mean_recall: float = 0.94,
) -> list[str]:
    """Write a trained pipeline with the thresholds that `set_thresholds` chooses.

    pipeline (Path): Folder of the pipeline.
    dev (Path): A folder with a folder of DocBins for each set; or one that is a set.
    output (Path): Folder to write.
    recall (float): The least recall of every set.
    mean_recall (float): The least plain mean of the recalls.
    RETURNS (list[str]): Lines that show both thresholds and their scores.
    """
    nlp = spacy.load(pipeline)
    tommer = require_pipe(nlp, "tommer", pipeline)
    lines = []
    for name, measures in set_thresholds(nlp, dev, recall, mean_recall).items():
        lines += [f"{name} = {getattr(tommer, name)}", "", *measure_table(measures), ""]
    nlp.to_disk(output)
    return lines


def set_thresholds(
    nlp: Language, dev: Path, recall: float = 0.85, mean_recall: float = 0.94
) -> dict[str, dict[str, dict[str, float]]]:
    """Choose both thresholds of a pipeline on validation texts. `threshold` is the highest
    that has the wanted recalls, `flat_threshold` the one with the best mean F1 of the flat
    segmentation. The pipeline's meta keeps the scores, as "calibration".

    dev (Path): A folder with a folder of DocBins for each set; or one that is a set.
    recall (float): The least recall of every set.
    mean_recall (float): The least plain mean of the recalls.
    RETURNS (dict[str, dict]): The measures of each set, and their "mean", by threshold.
    """
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
    nlp.meta.setdefault("performance", {})["calibration"] = scores
    return scores


def recall_threshold(
    corpora: Mapping[str, Scored], recall: float, mean_recall: float
) -> float:
    """Find the highest threshold that reaches the recall on every set and on average.

    corpora (Mapping[str, Scored]): All scored spans of each set.
    recall (float): The least recall of every set.
    mean_recall (float): The least plain mean of the recalls.
    RETURNS (float): One of CANDIDATES. ValueError is raised if none reaches both.
    """
    for threshold in reversed(CANDIDATES):
        recalls = {name: scored.at(threshold)["r"] for name, scored in corpora.items()}
        average = sum(recalls.values()) / len(recalls)
        if min(recalls.values()) >= recall and average >= mean_recall:
            return threshold
    worst = min(recalls, key=recalls.__getitem__)
    raise ValueError(
        f"Even at a threshold of {CANDIDATES[0]} the recall on {worst!r} is "
        f"{100 * recalls[worst]:.1f} % and the mean recall {100 * average:.1f} %; wanted "
        f"are {100 * recall:.1f} % and {100 * mean_recall:.1f} %. Write a lower --recall "
        "or --mean-recall."
    )


def f1_threshold(corpora: Mapping[str, Scored]) -> float:
    """Find the threshold with the best plain mean of F1.

    corpora (Mapping[str, Scored]): The greedily picked spans of each set.
    RETURNS (float): One of the candidates.
    """
    return max(
        CANDIDATES, key=lambda threshold: measures_at(corpora, threshold)["mean"]["f"]
    )


def measures_at(
    corpora: Mapping[str, Scored], threshold: float
) -> dict[str, dict[str, float]]:
    """Measure all sets at one threshold.

    corpora (Mapping[str, Scored]): The scored spans of each set.
    threshold (float): Probability that a span must exceed.
    RETURNS (dict[str, dict[str, float]]): The measures of each set, and their "mean".
    """
    measures = {name: scored.at(threshold) for name, scored in corpora.items()}
    return {**measures, "mean": mean(list(measures.values()))}
