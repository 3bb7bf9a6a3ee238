import numpy as np
import pytest
import torch
from conftest import SHARED, needs_shared
from numpy.testing import assert_allclose
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from spacy_tommer.head.losses import balanced_bce, dense_bce


def test_loss_and_gradient_equal_autograd():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=4, size=(30, 6)).astype("f")
    targets = (rng.random((30, 6)) < 0.1).astype("f")
    counted = rng.random((30, 6)) < 0.8
    z = torch.tensor(logits, requires_grad=True)
    y, mask = torch.tensor(targets), torch.tensor(counted)
    positives = (y * mask).sum()
    alpha = (mask.sum() - positives) / positives
    cells = -alpha * y * logsigmoid(z) - (1 - y) * logsigmoid(-z)
    expected = cells[mask].mean()
    expected.backward()
    loss, gradient = balanced_bce(logits, targets, counted)
    assert_allclose(loss, expected.item(), rtol=1e-5)
    assert_allclose(gradient, z.grad.numpy(), atol=1e-7)


def test_cells_that_do_not_count_have_no_gradient():
    logits = np.array([[2.0, -np.inf], [1.0, 3.0]], dtype="f")
    targets = np.array([[1, 0], [0, 1]], dtype="f")
    counted = np.array([[True, False], [True, False]])
    loss, gradient = balanced_bce(logits, targets, counted)
    assert_allclose(loss, (np.log1p(np.exp(-2)) + np.log1p(np.exp(1))) / 2, rtol=1e-6)
    assert (gradient[~counted] == 0).all()
    assert np.isfinite(gradient).all()


def test_batches_without_positives_or_cells():
    logits = np.array([[-100.0, 100.0]], dtype="f")
    zeros, everywhere = np.zeros((1, 2), "f"), np.ones((1, 2), bool)
    loss, gradient = balanced_bce(logits, zeros, everywhere)
    assert_allclose(loss, 50)
    assert_allclose(gradient, [[0, 0.5]], atol=1e-6)
    loss, gradient = balanced_bce(logits, zeros, ~everywhere)
    assert loss == 0 and (gradient == 0).all()


@needs_shared
def test_distillation_losses_equal_the_reference():
    case = np.load(SHARED / "oracle" / "distill_losses.npz")
    student, mask = case["student"], case["mask"].astype(bool)
    probabilities = 1 / (1 + np.exp(-np.where(case["gt"], 1e4, case["teacher"])))
    counted = np.broadcast_to(mask, student.shape)
    dense, _ = dense_bce(student, probabilities, counted)
    assert dense == pytest.approx(1.4518620, abs=1e-5)
    sparse, _ = balanced_bce(student, (probabilities > 0.9) * 1.0, counted)
    assert sparse == pytest.approx(2.2571909, abs=1e-5)


def test_dense_loss_and_gradient_equal_autograd():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (40, 25)).astype("f")
    targets = rng.random((40, 25)).astype("f")
    counted = rng.random((40, 25)) > 0.3
    z = torch.tensor(logits, requires_grad=True)
    kept = torch.tensor(counted)
    expected = binary_cross_entropy_with_logits(z[kept], torch.tensor(targets)[kept])
    expected.backward()
    loss, gradient = dense_bce(np.where(counted, logits, -np.inf), targets, counted)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert gradient == pytest.approx(z.grad.numpy(), abs=1e-7)
