import numpy as np
import pytest

from spacy_tommer.decoding.decode import greedy_decode, logit, sigmoid, threshold_decode


def test_thresholds_at_the_ends():
    logits = np.array([[0.0, -np.inf], [-50.0, 50.0]], dtype="f")
    assert [len(x) for x in threshold_decode(logits, 0.0)] == [3, 3, 3]
    assert [len(x) for x in threshold_decode(logits, 1.0)] == [0, 0, 0]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            logit(wrong)


def test_a_span_at_the_threshold_is_not_above_it():
    assert not len(threshold_decode(np.array([[0.0]]), 0.5)[0])


def test_spans_are_first_and_last_unit():
    logits = np.full((3, 2), -9.0)
    logits[2, 1] = 3.0
    starts, ends, scores = threshold_decode(logits, 0.5)
    assert (starts.tolist(), ends.tolist(), scores.tolist()) == ([1], [2], [3.0])


def greedy(spans, scores, free=10):
    starts, ends = np.array(spans).T
    free = np.ones(free, bool) if isinstance(free, int) else free
    picked = greedy_decode(starts, ends, np.array(scores), free)
    return [spans[i] for i in picked]


def test_greedy_takes_the_best_first():
    spans = [(0, 2), (2, 4), (4, 6), (8, 8)]
    assert greedy(spans, [1.0, 3.0, 2.0, 0.5]) == [(2, 4), (8, 8)]


def test_greedy_prefers_longer_then_earlier_on_ties():
    assert greedy([(3, 3), (3, 4), (1, 3)], [1.0, 1.0, 1.0]) == [(1, 3)]
    assert greedy([(2, 3), (1, 2)], [1.0, 1.0]) == [(1, 2)]


def test_greedy_tells_logits_apart_that_saturate_as_probabilities():
    assert greedy([(0, 5), (2, 3)], [40.0, 41.0]) == [(2, 3)]


def test_greedy_leaves_taken_tokens():
    free = np.array([True, False, True])
    assert greedy([(0, 1), (0, 0), (2, 2)], [9.0, 1.0, 1.0], free) == [(0, 0), (2, 2)]
    assert free.tolist() == [True, False, True]


def test_probabilities_of_large_logits_stay_apart():
    probabilities = sigmoid(np.array([20.0, 25.0, -800.0], dtype="f"))
    assert probabilities[0] < probabilities[1] < 1
    assert probabilities[2] == 0
