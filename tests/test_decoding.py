import numpy as np
import pytest
from numpy.testing import assert_allclose

from spacy_tommer.decoding.decode import (
    best_flat_decode,
    greedy_decode,
    logit,
    sigmoid,
    threshold_decode,
)


def test_thresholds_at_the_ends():
    logits = np.array([[[0.0], [-np.inf]], [[-50.0], [50.0]]], dtype="f")
    assert [len(x) for x in threshold_decode(logits, 0.0)] == [3, 3, 3]
    assert [len(x) for x in threshold_decode(logits, 1.0)] == [0, 0, 0]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            logit(wrong)


def test_a_span_at_the_threshold_is_not_above_it():
    assert not len(threshold_decode(np.array([[[0.0]]]), 0.5)[0])


def test_spans_are_start_and_end_of_units():
    logits = np.full((3, 2, 1), -9.0)
    logits[2, 1] = 3.0
    starts, ends, scores = threshold_decode(logits, 0.5)
    assert (starts.tolist(), ends.tolist(), scores.tolist()) == ([1], [3], [3.0])


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.97])
def test_the_odds_of_kinds_add_up(threshold):
    logits = np.random.default_rng(0).normal(scale=3, size=(40, 6, 3))
    odds = np.exp(logits).sum(axis=-1)
    rows, columns = np.nonzero(odds / (1 + odds) > threshold)
    assert (logits[rows, columns].max(axis=-1) < logit(threshold)).any()
    starts, ends, scores = threshold_decode(logits, threshold)
    assert (starts.tolist(), ends.tolist()) == (
        (rows - columns).tolist(),
        (rows + 1).tolist(),
    )
    assert_allclose(scores, np.log(odds[rows, columns]), rtol=1e-9, atol=1e-9)


def greedy(spans, scores, free=10, decode=greedy_decode):
    """Decode spans that are given by their first and last position."""
    starts, ends = np.array(spans).T
    free = np.ones(free, bool) if isinstance(free, int) else free
    picked = decode(starts, ends + 1, np.array(scores), free)
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


def best_by_trying(spans, scores, free):
    """The largest sum of probabilities of spans that do not overlap, by trying all sets."""
    best = 0.0
    for chosen in range(1 << len(spans)):
        tokens = [
            token
            for i, (first, last) in enumerate(spans)
            if chosen >> i & 1
            for token in range(first, last + 1)
        ]
        if len(tokens) == len(set(tokens)) and all(free[token] for token in tokens):
            total = sum(p for i, p in enumerate(sigmoid(scores)) if chosen >> i & 1)
            best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(20))
def test_best_flat_has_the_largest_sum(seed):
    rng = np.random.default_rng(seed)
    firsts = rng.integers(0, 9, size=8)
    spans = sorted({(int(f), int(f + rng.integers(0, 3))) for f in firsts})
    scores = rng.normal(size=len(spans))
    free = rng.random(12) > 0.1
    picked = greedy(spans, scores, free, best_flat_decode)
    assert picked == sorted(picked)
    total = sum(sigmoid(scores)[spans.index(span)] for span in picked)
    assert total == pytest.approx(best_by_trying(spans, scores, free))
    tokens = [token for first, last in picked for token in range(first, last + 1)]
    assert len(tokens) == len(set(tokens)) and free[tokens].all()


def test_best_flat_prefers_two_sure_spans_to_a_surer_one_over_both():
    spans, scores = [(0, 3), (0, 1), (3, 3)], [2.0, 1.5, 1.0]
    assert greedy(spans, scores) == [(0, 3)]
    assert greedy(spans, scores, decode=best_flat_decode) == [(0, 1), (3, 3)]
    assert greedy(spans, scores, np.array([1, 1, 1, 0], bool), best_flat_decode) == [(0, 1)]


def test_no_spans():
    nothing = np.zeros(0, int)
    for decode in (greedy_decode, best_flat_decode):
        assert len(decode(nothing, nothing, np.zeros(0), np.ones(3, bool))) == 0


def test_best_flat_sums_begin_again_where_no_span_crosses():
    """A large sum before two equal choices must not decide between them by rounding."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        size = 12
        starts = np.sort(rng.integers(0, 12, size))
        ends = starts + rng.integers(1, 4, size)
        logits = rng.choice([0.1, 0.2, 0.3, 0.6], size)
        alone = best_flat_decode(starts, ends, logits, np.ones(20, dtype="bool"))
        before = np.arange(3001)
        both = best_flat_decode(
            np.concatenate([before, starts + 3001]),
            np.concatenate([before + 1, ends + 3001]),
            np.concatenate([np.full(3001, 0.37), logits]),
            np.ones(3021, dtype="bool"),
        )
        assert (both[3001:] - 3001).tolist() == alone.tolist()
