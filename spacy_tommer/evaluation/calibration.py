"""Choose thresholds on validation texts, on several sets at once, and calibrate scores.

Axis letters: S spans; K kinds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from spacy.language import Language

from ..pipelines import load
from .counts import Scored
from .means import mean
from .pipes import require_pipe
from .protocol import bin_edges
from .reliability import calibrate
from .sets import find_sets
from .tables import measure_table, reliability_table
from .validation import ValidationSet

# In rising order, with three digits.
CANDIDATES = [i / 1000 for i in range(1, 1000)]
BALANCED, RECALL = "balanced", "recall"


def write_thresholds(
    pipeline: Union[str, Path],
    dev: Path,
    output: Path,
    mean_recall: float = 0.94,
) -> list[str]:
    """Write a pipeline with calibrated scores and the thresholds that `set_thresholds`
    chooses.

    pipeline (Union[str, Path]): Name of a shipped model, or the folder of a pipeline.
    dev (Path): A folder with a folder of DocBins for each set; or one that is a set.
    output (Path): Folder to write.
    mean_recall (float): The least plain mean of the recalls of sets at "recall".
    RETURNS (list[str]): Lines that show what was chosen, and its scores.
    """
    nlp = load(pipeline)
    tommer = require_pipe(nlp, "tommer", pipeline)
    chosen = set_thresholds(nlp, dev, mean_recall)
    lines = []
    for name, point in tommer.operating_points.items():
        for key, value in point.items():
            measures = chosen["points"][name][key]
            lines += [f"{name}: {key} = {value}", "", *measure_table(measures), ""]
    lines += ["scores", "", *reliability_table(chosen["reliability"])]
    nlp.to_disk(output)
    return lines


def set_thresholds(nlp: Language, dev: Path, mean_recall: float = 0.94) -> dict[str, Any]:
    """Calibrate the scores of a pipeline on validation texts, and choose its operating
    points.

    "balanced", which it then uses, has the best F1 of all mentions, on sets that mark all
    kinds that are wanted, and the best mean F1 of the flat segmentation on all sets: the
    entities that most corpora would mark. "recall" has the wanted mean recall on all sets,
    and the best F1 of the flat segmentation where all kinds are marked.

    dev (Path): A folder with a folder of DocBins for each set; or one that is a set.
    mean_recall (float): The least plain mean of the recalls of sets at "recall".
    RETURNS (dict[str, Any]): "points", by name and threshold the measures of each set and
        their "mean"; and "reliability", see `calibrate`. The pipeline's meta keeps it as
        "calibration". ValueError is raised if no set marks all kinds.
    """
    tommer = nlp.get_pipe("tommer")
    sets = {name: ValidationSet(nlp, path) for name, path in find_sets(dev).items()}
    sets = {name: one for name, one in sets.items() if one.marks_any}
    whole = {name: one for name, one in sets.items() if one.marks_all}
    if not whole:
        raise ValueError(
            f"No set in {dev} marks mentions of all kinds, {', '.join(tommer.kinds)}, so "
            "precision cannot be measured. Add one that does, or set `kinds`."
        )
    reliability = calibrate(tommer, sets, list(whole))
    edges = bin_edges(CANDIDATES)
    nested = {name: one.score(tommer, edges) for name, one in sets.items()}
    thresholds = {
        BALANCED: f1_threshold({name: nested[name] for name in whole}),
        RECALL: recall_threshold(nested, mean_recall),
    }
    chosen: dict[str, Any] = {"points": {}, "reliability": reliability}
    points: dict[str, Any] = {}
    for name, value in thresholds.items():
        tommer.threshold = value
        flat = {key: one.score_flat(tommer, edges) for key, one in sets.items()}
        judged = flat if name == BALANCED else {key: flat[key] for key in whole}
        # An entity of a head that does not score these apart is always a mention.
        flat_threshold = f1_threshold(judged, 0 if tommer.scores_entities else value)
        points[name] = {"threshold": value, "flat_threshold": flat_threshold}
        chosen["points"][name] = {
            "threshold": measures_at(nested, value),
            "flat_threshold": measures_at(flat, flat_threshold),
        }
    tommer.operating_points = points
    tommer.use_thresholds(BALANCED)
    nlp.meta.setdefault("performance", {})["calibration"] = chosen
    return chosen


def recall_threshold(corpora: Mapping[str, Scored], mean_recall: float) -> float:
    """Find the highest threshold that reaches a recall on average.

    corpora (Mapping[str, Scored]): All scored spans of each set.
    mean_recall (float): The least plain mean of the recalls.
    RETURNS (float): One of CANDIDATES. ValueError is raised if none reaches it.
    """
    for threshold in reversed(CANDIDATES):
        average = measures_at(corpora, threshold)["mean"]["r"]
        if average >= mean_recall:
            return threshold
    raise ValueError(
        f"Even at a threshold of {CANDIDATES[0]} the mean recall is {100 * average:.1f} %; "
        f"wanted is {100 * mean_recall:.1f} %. Write a lower --mean-recall."
    )


def f1_threshold(corpora: Mapping[str, Scored], least: float = 0) -> float:
    """Find the threshold with the best plain mean of F1.

    corpora (Mapping[str, Scored]): The scored spans of each set.
    least (float): The least threshold.
    RETURNS (float): One of CANDIDATES.
    """
    return max(
        (threshold for threshold in CANDIDATES if threshold >= least),
        key=lambda threshold: measures_at(corpora, threshold)["mean"]["f"],
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
