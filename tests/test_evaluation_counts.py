"""Counts, means and thresholds, on spans whose scores are written by hand."""

import csv
import tracemalloc

import numpy as np
import pytest
from conftest import SHARED, needs_shared

from spacy_tommer.decoding.decode import sigmoid
from spacy_tommer.evaluation.calibration import (
    CANDIDATES,
    f1_threshold,
    measures_at,
    recall_threshold,
)
from spacy_tommer.evaluation.counts import Scored, bin_edges, measure
from spacy_tommer.evaluation.means import (
    curve_points,
    mean,
    micro,
    precision_at_recall,
    weighted_mean,
)


def make_scored(logits, is_gold, gold, thresholds=()):
    """Count spans, some of them gold, and further gold mentions that were not found."""
    scored = Scored(bin_edges(thresholds))
    logits, is_gold = np.array(logits, dtype="f"), np.array(is_gold, dtype=bool)
    missed = np.full(gold - is_gold.sum(), -np.inf)
    scored.add(logits, np.concatenate([logits[is_gold], missed]))
    scored.texts = 1
    return scored


@pytest.fixture
def scored():
    return make_scored([-1, 3, 1, 2, -3], [1, 1, 0, 1, 0], gold=4)


@pytest.fixture
def other():
    return make_scored([0.5, -2], [0, 1], gold=1)


def test_scores_at_a_threshold(scored):
    at = scored.at(0.5)
    assert (at["right"], at["found"], at["gold"]) == (2, 3, 4)
    assert (at["r"], at["p"]) == (0.5, pytest.approx(2 / 3))
    assert at["f"] == pytest.approx(2 * 2 / 7)
    assert scored.at(0.0)["found"] == 5
    assert scored.at(1.0) == {"r": 0, "p": 0, "f": 0, "right": 0, "found": 0, "gold": 4}


def test_thresholds_that_are_edges_are_exact():
    logits = np.float32([0.30002, 0.3, 0.29998])
    for i, threshold in enumerate(sigmoid(logits)):
        exact = make_scored(logits, [1, 0, 1], 2, thresholds=[threshold])
        assert exact.at(threshold)["found"] == i
        assert exact.at(threshold)["right"] == (i > 0)


def test_logits_beyond_the_bins():
    scored = make_scored([30, np.inf, 20], [1, 0, 1], gold=3)
    assert scored.at(0.999)["found"] == 3
    assert scored.average_precision() == pytest.approx(2 / 3 * 2 / 3)


def test_batches_add_up():
    one, parts = Scored(bin_edges()), Scored(bin_edges())
    logits, gold = np.array([1.0, 2.0, 2.0]), np.array([2.0, -np.inf])
    one.add(logits, gold, ["A", "B"], [True, False])
    parts.add(logits[:1], gold[:0])
    parts.add(logits[1:], gold, ["A", "B"], [True, False])
    assert one.details(0.8) == parts.details(0.8)
    assert one.details(0.8)["found"] == 2
    assert one.details(0.8)["inner"] == {"r": 1.0, "right": 1, "gold": 1}
    assert one.details(0.8)["types"]["B"] == {"r": 0.0, "right": 0, "gold": 1}


def test_ten_times_the_spans_take_the_same_memory():
    def peak(batches):
        rng = np.random.default_rng(0)
        tracemalloc.start()
        scored = Scored(bin_edges())
        for _ in range(batches):
            logits = rng.normal(size=2000)
            scored.add(logits, logits[:200], ["A", "B"] * 100, [True] * 200)
        assert scored.gold.total == 200 * batches
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(100) < 1.2 * peak(10)


def test_average_precision(scored):
    assert scored.average_precision() == pytest.approx((1 + 1 + 3 / 4) / 4)


def test_equal_scores_are_one_step_of_the_curve():
    scored = make_scored([1, 1, 0], [1, 0, 1], gold=2)
    assert scored.average_precision() == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_one_threshold_for_all_corpora(scored, other):
    # At a logit below -2: recalls 3/4 and 1, precisions 3/4 and 1/2; the point before,
    # below -1: recalls 3/4 and 0, precisions 3/4 and 0.
    assert precision_at_recall([scored, other], 0.875) == pytest.approx(0.625)
    assert precision_at_recall([scored, other], 0.625) == pytest.approx(0.5)
    assert precision_at_recall([scored, other], 0.9) == 0


def test_points_of_the_curve(scored, other):
    points = curve_points([scored, other])
    by_threshold = [point["threshold"] for point in points]
    assert by_threshold == sorted(by_threshold)
    # Above a logit of 0.5 the other corpus has no span.
    assert sigmoid(np.array(0.4)) < by_threshold[-1] < sigmoid(np.array(0.5))
    assert points[0]["r"] == 0.875 and points[0]["p"] == (3 / 5 + 1 / 2) / 2
    assert points[-1]["r"] == 0.25 and points[-1]["p"] == pytest.approx(1 / 3, abs=1e-4)


def test_three_means():
    measures = [measure(8, 10, 10), measure(10, 100, 20)]
    assert mean(measures) == pytest.approx({"r": 0.65, "p": 0.45, "f": (0.8 + 1 / 6) / 2})
    pooled = micro(measures)
    assert (pooled["right"], pooled["found"], pooled["gold"]) == (18, 110, 30)
    assert pooled["f"] == pytest.approx(36 / 140)
    weighted = weighted_mean(measures, [1, 3])
    assert (weighted["r"], weighted["p"]) == pytest.approx((0.575, 0.275))
    assert weighted["f"] == pytest.approx(2 * 0.575 * 0.275 / 0.85)
    assert weighted_mean([measure(0, 0, 5)], [1])["f"] == 0


@needs_shared
@pytest.mark.parametrize("decoding", ["threshold", "greedy"])
def test_the_paper_s_aggregates(decoding):
    with (SHARED / "oracle" / f"eval_{decoding}.csv").open(encoding="utf-8") as file:
        rows = {row["dataset"]: row for row in csv.DictReader(file, delimiter="\t")}
    expected = {name: rows.pop(name) for name in ("Aggregated", "Mean")}
    measures = [
        {"r": float(row["recall"]), "p": float(row["precision"]), "f": float(row["f1"])}
        for row in rows.values()
    ]
    texts = [int(row["n_samples"]) for row in rows.values()]
    for name, found in (
        ("Aggregated", weighted_mean(measures, texts)),
        ("Mean", mean(measures)),
    ):
        wanted = [float(expected[name][key]) for key in ("recall", "precision", "f1")]
        assert [found[key] for key in "rpf"] == pytest.approx(wanted, abs=2e-4)


@pytest.fixture
def corpora():
    # Thresholds below 0.7 find 2 of 2 and 1 of 2; below 0.3, all; below 0.9, 1 of 2 and 0.
    scores = {"easy": [0.9, 0.7, 0.2], "hard": [0.7, 0.3, 0.1]}
    gold = {"easy": [1, 1, 0], "hard": [1, 1, 0]}
    return {
        name: make_scored(
            np.log(np.divide(s, np.subtract(1, s))), gold[name], 2, CANDIDATES
        )
        for name, s in scores.items()
    }


def test_threshold_with_enough_recall_on_average(corpora):
    assert recall_threshold(corpora, 0.75) == 0.699
    assert recall_threshold(corpora, 0.8) == 0.299
    assert recall_threshold(corpora, 0.25) == 0.899
    assert recall_threshold(corpora, 0.0) == 0.999
    corpora["lost"] = make_scored([2.0], [1], 4, CANDIDATES)
    assert recall_threshold(corpora, 0.75) == 0.299
    with pytest.raises(
        ValueError, match=r"of 0\.001 the mean recall is 75\.0 %; wanted .* 80"
    ):
        recall_threshold(corpora, 0.8)


def test_threshold_with_the_best_mean_f1(corpora):
    # Between 0.2 and 0.3 both find all and nothing wrong.
    assert f1_threshold(corpora) == 0.2
    assert f1_threshold(corpora, 0.25) == 0.25
    assert f1_threshold(corpora, 0.8) == 0.8
    at = measures_at(corpora, 0.25)
    assert at["easy"]["f"] == at["hard"]["f"] == at["mean"]["f"] == 1
    assert measures_at(corpora, 0.5)["mean"]["f"] == pytest.approx((1 + 2 / 3) / 2)
