import numpy as np
import torch
from numpy.testing import assert_allclose
from torch.nn.functional import logsigmoid

from spacy_tommer.losses import balanced_bce


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
