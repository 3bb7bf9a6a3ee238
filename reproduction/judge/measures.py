"""Shares that a judge accepts, with intervals (table 2 and section 4.2)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from spacy_tommer.decoding.decode import logit

from .candidates import Candidate, Key
from .prompt import Verdict

Verdicts = Mapping[Key, Optional[Verdict]]


def wilson(right: int, total: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share by Wilson's formula.

    right (int): How many of the sample have the property.
    total (int): Size of the sample, not 0.
    RETURNS (tuple[float, float]): The lower and the upper end.
    """
    from scipy.stats import binomtest  # comes with the extra "judge"

    interval = binomtest(right, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def accepted_share(candidates: Iterable[Candidate], verdicts: Verdicts) -> dict[str, Any]:
    """Measure which share of spans the judge accepts.

    candidates (Iterable[Candidate]): Spans of the sample.
    verdicts (Verdicts): The verdict of each; None where it has none.
    RETURNS (dict[str, Any]): The counts "yes", "no", "unclear" and "open"; the "share" of
        yes among yes and no, and the ends of its interval, "low" and "high", None without
        a verdict.
    """
    given = [verdicts[one.key] or "open" for one in candidates]
    counts = {kind: given.count(kind) for kind in ("yes", "no", "unclear", "open")}
    total = counts["yes"] + counts["no"]
    if not total:
        return {**counts, "share": None, "low": None, "high": None}
    low, high = wilson(counts["yes"], total)
    return {**counts, "share": counts["yes"] / total, "low": low, "high": high}


def measure_pipeline(
    pipeline: str,
    threshold: Optional[float],
    pool: Iterable[Candidate],
    sample: Sequence[Candidate],
    verdicts: Verdicts,
) -> dict[str, Any]:
    """Measure a pipeline against the judge.

    pipeline (str): Its name.
    threshold (Optional[float]): Probability that a span must exceed; None for a pipeline
        without scores.
    sample (Sequence[Candidate]): Those of the sample.
    RETURNS (dict[str, Any]): "threshold"; how many candidates were "found"; the
        "precision", which is the accepted share of those found, and the accepted share of
        the "gold" ones and of the "other" ones among them; the "recall", which is the
        share of all accepted spans that is found, with its counts "right" and "accepted".
    """
    # The component compares in single precision, too.
    least = -math.inf if threshold is None else float(np.float32(logit(threshold)))
    found = [one for one in sample if one.found(pipeline, least)]
    gold = [one for one in found if one.gold]
    other = [one for one in found if not one.gold]
    precision = accepted_share(found, verdicts)
    accepted = accepted_share(sample, verdicts)["yes"]
    return {
        "threshold": threshold,
        "found": sum(one.found(pipeline, least) for one in pool),
        "precision": precision,
        "gold": accepted_share(gold, verdicts),
        "other": accepted_share(other, verdicts),
        "recall": precision["yes"] / accepted if accepted else None,
        "right": precision["yes"],
        "accepted": accepted,
    }


def measure_all(
    thresholds: Mapping[str, Sequence[Optional[float]]],
    pool: Sequence[Candidate],
    sample: Sequence[Candidate],
    verdicts: Verdicts,
) -> dict[str, Any]:
    """Measure the gold mentions and all pipelines.

    thresholds (Mapping[str, Sequence[Optional[float]]]): The thresholds of each pipeline.
    sample (Sequence[Candidate]): Those of the sample.
    RETURNS (dict[str, Any]): How many "candidates" there are; the accepted shares of the
        "sample" and of "gold"; and in "pipelines" what `measure_pipeline` returns for each
        threshold.
    """
    pipelines = {
        name: [measure_pipeline(name, one, pool, sample, verdicts) for one in own]
        for name, own in thresholds.items()
    }
    return {
        "candidates": len(pool),
        "sample": accepted_share(sample, verdicts),
        "gold": accepted_share([one for one in sample if one.gold], verdicts),
        "pipelines": pipelines,
    }


def measure_sets(
    thresholds: Mapping[str, Sequence[Optional[float]]],
    pool: Mapping[Key, Candidate],
    sample: Sequence[Candidate],
    verdicts: Verdicts,
) -> dict[str, Any]:
    """Measure all sets together, and each.

    thresholds (Mapping[str, Sequence[Optional[float]]]): The thresholds of each pipeline.
    sample (Sequence[Candidate]): Those of the sample.
    RETURNS (dict[str, Any]): What `measure_all` returns for "all", and for each of "sets".
    """
    parts: dict[str, list[Candidate]] = {}
    for one in pool.values():
        parts.setdefault(one.key[0], []).append(one)
    sets = {}
    for name, part in sorted(parts.items()):
        drawn = [one for one in sample if one.key[0] == name]
        sets[name] = measure_all(thresholds, part, drawn, verdicts)
    every = measure_all(thresholds, list(pool.values()), sample, verdicts)
    return {"all": every, "sets": sets}
