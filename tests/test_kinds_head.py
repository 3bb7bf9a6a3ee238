"""A head of several kinds of mentions, and the gold and the losses that it learns from."""

import json

import numpy as np
import pytest
import spacy
import torch
from numpy.testing import assert_allclose
from spacy.tokens import Span, SpanGroup
from spacy.training import Example
from torch.nn.functional import logsigmoid

from spacy_tommer.head.checkpoints import head_from_bytes, head_to_bytes
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.losses import united_bce
from spacy_tommer.head.matching import ToM
from spacy_tommer.head.model import Tommer, set_head
from spacy_tommer.keys import TARGETS
from spacy_tommer.tensors import from_bytes, to_bytes
from spacy_tommer.training.cells import gold_cells

KINDS = ("NAME", "TERM", "PHRASE")
LENGTH = 4


def make_head(hidden=6, kinds=KINDS, sources=()) -> MentionHead:
    """Make a head with random weights everywhere."""
    torch.manual_seed(0)
    head = MentionHead(8, ToM(8, 4, LENGTH), hidden, kinds, sources)
    for weights in head.parameters():
        torch.nn.init.normal_(weights)
    return head


def only(head: MentionHead, kind: int) -> MentionHead:
    """Make a head of one kind with its weights of a head of several."""
    weights = dict(head.state_dict())
    count = len(head.kinds)
    for name in ("value.weight", "value.bias"):
        weights[name] = weights[name][kind : kind + 1]
    weights["mixing"] = weights["mixing"].view(count, 5)[kind]
    if head.hidden:
        weights["edges.outer.weight"] = weights["edges.outer.weight"][kind::count]
        weights["edges.length"] = weights["edges.length"].view(-1, count)[:, kind]
    one = MentionHead(8, ToM(8, 4, LENGTH), head.hidden)
    one.load_state_dict(weights)
    return one


@pytest.mark.parametrize("hidden", [0, 6])
def test_each_kind_scores_as_a_head_of_its_own(hidden):
    head = make_head(hidden)
    lengths = torch.tensor([3, 1, 7])
    vectors = torch.randn(11, 8)
    logits = head(vectors, lengths).detach()
    assert logits.shape == (11, LENGTH, 3)
    for kind in range(3):
        (expected,) = only(head, kind)(vectors, lengths).detach().unbind(-1)
        assert_allclose(logits[..., kind], expected, atol=1e-4)
    # A span of n units ends at unit n of its text or later.
    assert torch.isneginf(logits).all(-1).sum() == (3 + 2 + 1) + 3 + (3 + 2 + 1)
    assert torch.equal(torch.isneginf(logits).any(-1), torch.isneginf(logits).all(-1))


def test_a_new_head_begins_with_the_same_mixing_for_each_kind():
    head = MentionHead(8, ToM(8, 4, LENGTH), kinds=KINDS)
    assert head.mixing.view(3, 5).tolist() == [[15.0, 10.0, -8.0, 1.0, 1.0]] * 3
    one, three = (make_head(6, kinds) for kinds in (["MENTION"], KINDS))
    assert [w.ndim for w in one.parameters()] == [w.ndim for w in three.parameters()]


def test_the_logits_of_each_kind_are_scaled_and_moved():
    head = make_head()
    vectors, lengths = torch.randn(9, 8), torch.tensor([9])
    before = head(vectors, lengths).detach()
    scales, shifts = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([1.0, -3.0, 0.0])
    head.rescale(scales, shifts)
    after = head(vectors, lengths).detach()
    assert_allclose(after, before * scales + shifts, atol=1e-4)
    plain = make_head(0)
    before = plain(vectors, lengths).detach()
    with pytest.raises(ValueError, match="hidden"):
        plain.rescale(scales, shifts)
    plain.rescale(scales, 0 * shifts)
    assert_allclose(plain(vectors, lengths).detach(), before * scales, atol=1e-4)


@pytest.mark.parametrize(
    "kinds", [(), ("NAME", "NAME"), ("NAME", ""), (1, 2), ("NAME", None)]
)
def test_wrong_kinds(kinds):
    with pytest.raises(ValueError, match=r"`kinds` is .*expected one or more different"):
        make_head(kinds=kinds)


def test_a_saved_head_keeps_its_kinds():
    head = make_head()
    loaded, metadata = head_from_bytes(head_to_bytes(head), "It")
    assert loaded.kinds == KINDS
    assert json.loads(metadata["kinds"]) == list(KINDS)
    for name, weights in head.state_dict().items():
        assert torch.equal(weights, loaded.state_dict()[name])


def test_sources_are_outputs_behind_the_kinds():
    head = make_head(sources=("x", "y"))
    vectors, lengths = torch.randn(6, 8), torch.tensor([2, 4])
    logits = head(vectors, lengths)
    assert logits.shape == (6, LENGTH, 5)
    every = make_head(kinds=(*KINDS, "x", "y"))
    every.load_state_dict(head.state_dict())
    assert torch.equal(every(vectors, lengths), logits)
    loaded, metadata = head_from_bytes(head_to_bytes(head), "It")
    assert (loaded.kinds, loaded.sources) == (KINDS, ("x", "y"))
    assert json.loads(metadata["sources"]) == ["x", "y"]
    for wrong in (("x", "x"), ("x", "NAME"), ("", "x"), (1,)):
        with pytest.raises(ValueError, match="different names"):
            make_head(sources=wrong)
    settings = {"rank": 4, "max_length": LENGTH, "hidden": 6, "kinds": KINDS}
    model = Tommer(**settings, sources=["x", "y"])
    set_head(model, head)
    assert model.attrs["sources"] == ["x", "y"]
    for other in (["x"], None):
        with pytest.raises(ValueError, match=r'sources = \["x", "y"\]'):
            set_head(Tommer(**settings, sources=other), head)


def test_a_head_of_an_earlier_version_has_one_kind():
    head = make_head(kinds=["MENTION"])
    weights, metadata = from_bytes(head_to_bytes(head), "It")
    del metadata["kinds"]
    loaded, _ = head_from_bytes(to_bytes(weights, metadata), "It")
    assert loaded.kinds == ("MENTION",)
    vectors, lengths = torch.randn(5, 8), torch.tensor([5])
    assert torch.equal(loaded(vectors, lengths), head(vectors, lengths))


@pytest.mark.parametrize("kinds", ['["NAME"]', '["A", "A", "A"]', "3", "[1, 2, 3]", "[["])
def test_kinds_that_do_not_fit_the_weights(kinds):
    weights, metadata = from_bytes(head_to_bytes(make_head()), "It")
    with pytest.raises(ValueError, match="It"):
        head_from_bytes(to_bytes(weights, {**metadata, "kinds": kinds}), "It")


def test_the_model_has_the_kinds_of_its_head():
    settings = {"rank": 4, "max_length": LENGTH, "hidden": 6}
    model = Tommer(**settings, kinds=KINDS)
    with pytest.raises(ValueError, match=r'kinds = \["NAME", "TERM"\]'):
        set_head(model, make_head(kinds=("NAME", "TERM")))
    set_head(model, make_head())
    again = Tommer(**settings, kinds=KINDS).from_bytes(model.to_bytes())
    assert again.attrs["kinds"] == list(KINDS)
    assert again.shims[0]._model.kinds == KINDS
    set_head(again, make_head())
    with pytest.raises(ValueError, match="different names"):
        Tommer(kinds=["NAME", "NAME"])


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def cells(
    nlp,
    spans,
    kinds=KINDS,
    ignored=(),
    marked=None,
    targets=None,
    lengths=None,
    sources=(),
    source=None,
):
    """Compute the cells of five tokens with gold spans (start, end, label)."""
    gold = nlp.make_doc("a b c d e")
    given = {"kinds": marked, "source": source}
    attrs = {name: value for name, value in given.items() if value is not None}
    mentions = [Span(gold, *span) for span in spans]
    gold.spans["mentions"] = SpanGroup(gold, name="mentions", spans=mentions, attrs=attrs)
    gold.spans["ignored"] = [Span(gold, *span) for span in ignored]
    if targets is not None:
        gold.user_data[TARGETS] = targets
    lengths = np.ones(5, dtype="int") if lengths is None else np.array(lengths)
    within = np.arange(LENGTH) <= np.arange(lengths.sum())[:, None]
    example = Example(nlp.make_doc(gold.text), gold)
    return within, *gold_cells(example, within, lengths, kinds, "mentions", sources)


def test_labels_are_kinds(nlp):
    spans = [(0, 2, "NAME"), (1, 2, "TERM"), (1, 2, "PHRASE"), (0, 5, "NAME")]
    within, target, counted, united = cells(nlp, spans)
    assert np.argwhere(target).tolist() == [[1, 0, 1], [1, 0, 2], [1, 1, 0]]  # one too long
    assert target.dtype == "float32" and target.max() == 1
    assert (counted == within[..., None]).all() and not united.any()


def test_spans_of_tokens_of_several_units(nlp):
    _, target, _, _ = cells(nlp, [(1, 3, "TERM")], lengths=[1, 2, 1, 0, 3])
    assert np.argwhere(target).tolist() == [[3, 2, 1]]


def test_an_unknown_label_stands_for_any_kind(nlp):
    within, target, counted, united = cells(nlp, [(0, 2, "CITY"), (2, 3, "NAME")])
    assert united[1, 1].all() and united.sum() == 3
    assert not counted[1, 1].any() and counted.sum() == 3 * within.sum() - 3
    assert np.argwhere(target).tolist() == [[2, 0, 0]]


def test_marked_kinds_alone_count(nlp):
    spans = [(0, 2, "CITY"), (1, 2, "PHRASE"), (2, 3, "NAME")]
    within, target, counted, united = cells(nlp, spans, marked=["NAME", "TERM"])
    assert united[1, 1].tolist() == [True, True, False] and united.sum() == 2
    assert counted[1, 0].tolist() == [True, True, False]  # phrases are not marked
    assert counted[2, 0].tolist() == [True, True, False]
    assert counted[4, 0].tolist() == [True, True, False]
    assert counted.sum() == 2 * within.sum() - 2
    assert np.argwhere(target).tolist() == [[1, 0, 2], [2, 0, 0]]


def test_ignored_spans_do_not_count_unless_they_are_gold(nlp):
    spans = [(1, 2, "TERM"), (3, 4, "CITY")]
    ignored = [(0, 1, ""), (1, 2, ""), (3, 4, "")]
    within, _, counted, united = cells(nlp, spans, ignored=ignored)
    assert not counted[0, 0].any() and counted[1, 0].all()
    assert not counted[3, 0].any() and united[3, 0].all()
    assert counted.sum() == 3 * (within.sum() - 2)


def test_a_known_kind_wins_at_its_place(nlp):
    spans = [(0, 1, "NAME"), (0, 1, "CITY"), (0, 1, "PHRASE"), (2, 3, "TERM")]
    _, target, counted, united = cells(nlp, spans, marked=["TERM"])
    assert not united.any()
    assert target[0, 0].tolist() == [1, 0, 1]
    assert counted[0, 0].tolist() == [False, True, False]


def test_one_kind_takes_every_label(nlp):
    spans, ignored = [(0, 2, "CITY"), (2, 3, "NAME")], [(4, 5, "")]
    within, target, counted, united = cells(
        nlp, spans, ["MENTION"], ignored, marked=["NAME"]
    )
    assert np.argwhere(target).tolist() == [[1, 1, 0], [2, 0, 0]]
    assert not united.any() and counted.sum() == within.sum() - 1


@pytest.mark.parametrize("source, own", [("x", [1, 0]), ("y", [0, 1]), ("z", [0, 0])])
def test_a_source_learns_from_its_corpus(source, own, nlp):
    """All its mentions, of whatever kind, and that other spans are none."""
    spans, sources = [(0, 1, "NAME"), (1, 2, "CITY"), (2, 3, "PHRASE")], ("x", "y")
    within, target, counted, united = cells(
        nlp, spans, marked=["NAME"], sources=sources, source=source, ignored=[(4, 5, "")]
    )
    assert target.shape == (5, LENGTH, 5)
    assert target[:, 0, 3:].tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    assert target[..., 3:].sum() == 6
    assert counted[..., 3:].sum((0, 1)).tolist() == [(within.sum() - 1) * n for n in own]
    assert counted[1, 0].tolist() == [False, False, False, *map(bool, own)]
    assert counted[2, 0].tolist() == [True, False, False, *map(bool, own)]
    assert united[1, 0].tolist() == [True, False, False, False, False]
    assert united.sum() == 1


def test_gold_of_no_source_counts_for_all_sources(nlp):
    within, target, counted, united = cells(nlp, [(0, 1, "NAME")], sources=("x", "y"))
    assert counted.sum() == 5 * within.sum() and not united.any()
    assert np.argwhere(target)[:, 2].tolist() == [0, 3, 4]
    # A head of one kind takes every label for it.
    _, target, counted, _ = cells(
        nlp, [(0, 1, "CITY")], ["MENTION"], marked=[], sources=("x", "y"), source="y"
    )
    assert np.argwhere(target)[:, 2].tolist() == [0, 1, 2]
    assert counted.any((0, 1)).tolist() == [True, False, True]


def test_a_text_without_gold_does_not_count(nlp):
    doc = nlp.make_doc("a b c")
    within = np.ones((3, LENGTH), dtype="bool")
    target, counted, united = gold_cells(
        Example(doc, doc.copy()), within, np.ones(3, dtype="int"), KINDS, "mentions"
    )
    assert target.shape == counted.shape == united.shape == (3, LENGTH, 3)
    assert not counted.any() and not united.any()


def test_targets_that_are_nan_do_not_count(nlp):
    given = np.random.default_rng(0).random((5, LENGTH, 3)).astype("f2")
    given[2, 1] = np.nan
    given[:, :, 2] = np.nan
    spans, ignored = [(0, 1, "CITY"), (1, 2, "NAME")], [(1, 2, ""), (3, 4, "")]
    within, target, counted, united = cells(nlp, spans, KINDS, ignored, targets=given)
    expected = within[..., None] & ~np.isnan(given)
    assert expected[3, 0].any()
    expected[3, 0] = False  # ignored, and not gold
    assert (counted == expected).all() and not united.any()
    assert_allclose(target, np.nan_to_num(given))


def test_targets_of_earlier_versions_have_no_kinds(nlp):
    given = np.full((5, LENGTH), 0.25, dtype="f2")
    _, target, counted, _ = cells(nlp, [(0, 1, "X")], ["MENTION"], targets=given)
    assert target.shape == (5, LENGTH, 1) and (target == 0.25).all() and counted.any()
    with pytest.raises(ValueError):
        cells(nlp, [(0, 1, "X")], targets=given)


@pytest.mark.parametrize("scale", [1, 100])
def test_united_loss_and_gradient_equal_autograd(scale):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=scale, size=(30, 5, 4)).astype("f")
    united = (rng.random((30, 5, 1)) < 0.3) & (rng.random((30, 5, 4)) < 0.6)
    cells = united.any(-1)
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    alike = torch.where(torch.tensor(united), z, -torch.inf)[torch.tensor(cells)]
    expected = -logsigmoid(torch.logsumexp(alike, -1)).sum() / 7
    expected.backward()
    outside = np.where(cells[..., None], logits, -np.inf).astype("f")
    loss, gradient = united_bce(outside, united, 7)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert gradient.dtype == "float32"
    assert_allclose(gradient, z.grad.numpy(), atol=1e-6)


def test_united_loss_of_nothing():
    logits = np.full((2, 3, 2), -np.inf, dtype="f")
    loss, gradient = united_bce(logits, np.zeros(logits.shape, dtype="bool"), 1.0)
    assert loss == 0 and gradient.shape == logits.shape and not gradient.any()
