import numpy as np
import pytest
import torch
from conftest import SHARED, needs_shared
from numpy.testing import assert_allclose
from thinc.api import NumpyOps
from torch.nn.functional import gelu
from torch.utils._python_dispatch import TorchDispatchMode

from spacy_tommer.decoding.decode import greedy_decode, threshold_decode
from spacy_tommer.head.checkpoints import read_released
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.losses import balanced_bce
from spacy_tommer.head.matching import ToM
from spacy_tommer.head.wordpieces import bar_inside

ORACLE = SHARED / "oracle"
ALONE = ("case3_seq0_alone_n20", "case3_seq1_alone_n13", "case3_seq2_alone_n7")


def to_band(square: np.ndarray, length: int) -> np.ndarray:
    """Turn cells [end, start] into [end, length - 1], with NaN where there are none."""
    band = np.full((len(square), length), np.nan)
    for end in range(len(square)):
        for start in range(max(0, end + 1 - length), end + 1):
            band[end, end - start] = square[end, start]
    return band


def score(head: MentionHead, *texts: np.ndarray) -> list[np.ndarray]:
    lengths = torch.tensor([len(text) for text in texts])
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.concatenate(texts)), lengths).numpy()
    return np.split(logits.squeeze(-1), np.cumsum(lengths)[:-1])


@pytest.fixture(scope="module")
def released() -> MentionHead:
    return read_released(ORACLE)[0]


@needs_shared
@pytest.mark.parametrize("name", ["case1_short_n12", "case2_long_n60", *ALONE])
def test_released_head_equals_the_reference(name, released):
    case = np.load(ORACLE / f"{name}.npz")
    # The reference gives position 0, its BOS, no span; here it is no unit at all.
    (logits,) = score(released, case["hidden"][0, 1:])
    expected = to_band(case["logits"][0, 1:, 1:], released.max_length)
    valid = ~np.isnan(expected)
    assert valid.sum() == case["mask"].sum()
    assert_allclose(logits[valid], expected[valid], atol=1e-4)
    assert np.isneginf(logits[~valid]).all()


@needs_shared
def test_released_head_is_free_of_padding(released):
    """The reference's padded batch, of which each text must score as it does alone."""
    batch = np.load(ORACLE / "case3_batch_padded.npz")
    mask = batch["attention_mask"].astype(bool)
    texts = [hidden[real] for hidden, real in zip(batch["hidden"], mask)]
    for logits, name in zip(score(released, *texts), ALONE):
        alone = np.load(ORACLE / f"{name}.npz")
        expected = to_band(
            np.where(alone["mask"][0], alone["logits"][0], np.nan), released.max_length
        )
        valid = ~np.isnan(expected)
        assert_allclose(logits[valid], expected[valid], atol=1e-4)


@needs_shared
def test_loss_equals_the_reference_without_its_leak(released):
    case = np.load(ORACLE / "train_losses.npz")
    hidden = [np.load(ORACLE / f"{name}.npz")["hidden"][0, 1:] for name in ALONE]
    logits = np.concatenate(score(released, *hidden))
    targets = np.concatenate(
        [
            to_band(pattern[1 : len(text) + 1, 1:], released.max_length)
            for pattern, text in zip(case["pattern"], hidden)
        ]
    )
    counted = ~np.isnan(targets)
    loss, _ = balanced_bce(logits, np.nan_to_num(targets), counted)
    assert loss == pytest.approx(1.3162442, abs=1e-4)


@needs_shared
@pytest.mark.parametrize("name", ["case1_short_n12", "case2_long_n60", *ALONE])
@pytest.mark.parametrize("threshold", ["0.5", "0.9"])
def test_decodings_equal_the_reference(name, threshold, released):
    case = np.load(ORACLE / f"{name}.npz")
    (logits,) = score(released, case["hidden"][0, 1:])
    starts, ends, found = threshold_decode(logits[..., None], float(threshold))
    expected = case[f"threshold_{threshold}"][:, 1:] - [1, 0]
    assert np.stack([starts, ends], 1).tolist() == sorted(
        expected.tolist(), key=lambda span: (span[1], span[1] - span[0])
    )
    picked = greedy_decode(starts, ends, found, np.ones(len(logits), bool))
    flat = np.stack([starts[picked] + 1, ends[picked]], 1)
    assert flat.tolist() == case[f"greedy_{threshold}"][:, 1:].tolist()


def dense(head: MentionHead, states: np.ndarray) -> np.ndarray:
    """Equations 1 and 2, span by span."""
    weights = {name: p.detach().numpy() for name, p in head.named_parameters()}
    query, key = states @ weights["matching.query"], states @ weights["matching.key"]
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    key /= np.linalg.norm(key, axis=1, keepdims=True)
    value = states @ weights["value.weight"][0] + weights["value.bias"]
    value = np.append(value, 0)
    inner = states @ weights["edges.inner.weight"].T + weights["edges.inner.bias"]
    inner = gelu(torch.from_numpy(inner)).numpy()
    # The unit behind the last one and the one before the first have no values.
    edges = np.vstack([inner @ weights["edges.outer.weight"].T, np.zeros(4)])
    logits = np.full((len(states), head.max_length), -np.inf)
    for end in range(len(states)):
        for first in range(max(0, end + 1 - head.max_length), end + 1):
            match = query[end] @ key[first]
            inside = [query[end] @ key[k] for k in range(first + 1, end + 1)]
            features = (
                match,
                min([0, *inside]),
                max([0, *inside]),
                value[end],
                value[end + 1],
            )
            edge = edges[[end, end + 1, first, first - 1], range(4)].sum()
            length = weights["edges.length"][end - first]
            logits[end, end - first] = weights["mixing"] @ features + edge + length
    return logits


def fill(edges: torch.nn.Module) -> None:
    """Give the values of the edges weights; a new head begins without any."""
    for weights in (edges.outer.weight, edges.length):
        torch.nn.init.normal_(weights)


@pytest.mark.parametrize("length", [1, 7, 64, 65, 150])
@pytest.mark.parametrize("max_length", [1, 6, 80])
def test_head_equals_its_equations(length, max_length):
    torch.manual_seed(0)
    head = MentionHead(16, ToM(16, 4, max_length), hidden=8)
    fill(head.edges)
    states = np.random.default_rng(0).normal(size=(length, 16)).astype("f")
    (logits,) = score(head, states)
    assert_allclose(logits, dense(head, states), atol=1e-4)


def test_a_text_scores_the_same_beside_others():
    torch.manual_seed(0)
    head = MentionHead(16, ToM(16, 4, 25), hidden=8)
    fill(head.edges)
    rng = np.random.default_rng(0)
    texts = [rng.normal(size=(n, 16)).astype("f") for n in (5, 0, 90, 1, 30)]
    for text, logits in zip(texts, score(head, *texts)):
        if len(text):
            assert_allclose(logits, score(head, text)[0], atol=1e-5)


def test_parameters():
    def size(width, rank, hidden):
        head = MentionHead(width, ToM(width, rank, 25), hidden)
        return sum(p.numel() for p in head.parameters())

    assert size(2048, 64, 0) == 264_198
    assert size(768, 128, 128) == 2 * 768 * 128 + 769 + 5 + 769 * 128 + 4 * 128 + 25
    assert size(768, 128, 128) < 300_000
    with pytest.raises(ValueError, match="rank"):
        ToM(16, 0, 25)
    with pytest.raises(ValueError, match="max_length"):
        MentionHead(16, ToM(16, 4, 0))


class Largest(TorchDispatchMode):
    """Remember the most cells that any tensor has."""

    cells = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.cells = max(self.cells, tensor.numel())
        return result


def test_memory_grows_with_the_units_not_with_their_square():
    head = MentionHead(8, ToM(8, 4, 25))
    most = []
    for units in (1024, 8192):
        with Largest() as largest:
            head(torch.randn(units, 8), torch.tensor([units]))
        most.append(largest.cells)
    assert most[0] < 1024 * 200
    assert most[1] <= 8 * most[0]


def test_no_span_begins_or_ends_between_units_with_the_same_vector():
    """Characters of one wordpiece have its vector, as units 1 and 2 do here."""
    states = np.array([[0.0], [1.0], [1.0], [2.0]], dtype="f")
    logits = np.zeros((4, 3, 1), dtype="f")
    bar_inside(logits, states, np.ones(4, dtype="bool"), NumpyOps())
    spans = {
        (end - length, end + 1)
        for end, length in zip(*np.nonzero(np.isfinite(logits[..., 0])))
        if length <= end
    }
    assert spans == {(0, 1), (0, 3), (1, 3), (1, 4), (3, 4)}


def test_white_space_that_shares_a_wordpiece_bars_nothing():
    states = np.ones((2, 1), dtype="f")
    logits = np.zeros((2, 2, 1), dtype="f")
    bar_inside(logits, states, np.array([False, True]), NumpyOps())
    assert np.isfinite(logits).all()
