"""The calibration of scores, and the operating points that are chosen after it."""

import math

import numpy as np
import pytest
import spacy
from conftest import TEXTS
from numpy.testing import assert_allclose
from spacy.tokens import DocBin, Span, SpanGroup
from spacy.training import Example
from thinc.api import fix_random_seed

import spacy_tommer
from spacy_tommer.decoding.decode import sigmoid
from spacy_tommer.decoding.scorer import score_per_type
from spacy_tommer.evaluation.calibration import set_thresholds
from spacy_tommer.evaluation.reliability import calibrate, platt_scaling, reliability
from spacy_tommer.evaluation.tables import reliability_table
from spacy_tommer.evaluation.validation import ValidationSet

KINDS = ["NAME", "TERM"]
SOURCES = ["all", "names"]


@pytest.mark.parametrize(
    "scale, shift", [(1.0, 0.0), (0.4, -1.5), (2.5, 1.0), (0.05, -3.0), (8.0, 4.0)]
)
def test_platt_scaling_recovers_scale_and_shift(scale, shift):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3 / scale, size=200_000)
    gold = rng.random(len(logits)) < sigmoid(scale * logits + shift)
    found = platt_scaling(logits.astype("f"), gold)
    assert found == pytest.approx((scale, shift), rel=0.03, abs=0.03)
    # The best likelihood has as many mentions, and as large logits, as gold.
    probabilities = sigmoid(found[0] * logits + found[1])
    assert probabilities.mean() == pytest.approx(gold.mean(), abs=1e-4)
    assert (probabilities * logits).mean() == pytest.approx(
        (gold * logits).mean(), rel=1e-3
    )


def test_platt_scaling_without_a_best_factor():
    logits = np.array([-3.0, -1.0, 2.0, 4.0])
    assert platt_scaling(logits, np.zeros(4, dtype="bool")) == (1.0, 0.0)
    assert platt_scaling(logits, np.ones(4, dtype="bool")) == (1.0, 0.0)
    # Scores that say the opposite are left as they are.
    assert platt_scaling(-logits, logits > 0) == (1.0, 0.0)
    # Where gold is separated, the probabilities are 1 / 3 and 2 / 3.
    scale, shift = platt_scaling(np.array([-1.0, 1.0]), np.array([False, True]))
    assert (scale, shift) == pytest.approx((math.log(2), 0), abs=1e-5)
    for size in (1e-3, 1.0, 1e4):
        scale, shift = platt_scaling(size * logits, logits > 0)
        assert 0 < scale < 10 / size and math.isfinite(shift)
    for same in (0.0, 5.0, -40.0):
        scale, shift = platt_scaling(np.full(4, same), logits > 0)
        assert sigmoid(np.array(scale * same + shift)) == pytest.approx(0.5, abs=1e-3)


def test_bins_of_reliability():
    def logits(*probabilities):
        return [math.log(p / (1 - p)) for p in probabilities]

    first = logits(0.92, 0.96, 0.45, 0.02)
    gold = np.array([[True, False], [False, False], [False, True], [True, False]])
    never = [-np.inf] * 4
    found = reliability(np.array([first, never]).T, gold)
    assert [(one["from"], one["to"], one["mentions"]) for one in found["bins"]] == [
        (0.4, 0.5, 1),
        (0.9, 1.0, 2),  # nobody sees that of 0.02
    ]
    assert [one["score"] for one in found["bins"]] == pytest.approx([0.45, 0.94])
    assert [one["right"] for one in found["bins"]] == [1.0, 0.5]
    assert found["error"] == pytest.approx((0.55 + 2 * 0.44) / 3)
    # The odds of kinds add up: 1 / 4 and 1 / 4 are 1 / 2, a probability of a third.
    odds = np.log([[0.25, 0.25], [0.5, 1.0]])
    found = reliability(odds, np.array([[False, False], [True, False]]))
    assert [(one["score"], one["right"]) for one in found["bins"]] == [
        (pytest.approx(1 / 3), 0.0),
        (pytest.approx(0.6), 1.0),
    ]
    assert found["error"] == pytest.approx((1 / 3 + 0.4) / 2)
    nothing = reliability(np.full((3, 1), -9.0), np.zeros((3, 1), dtype="bool"))
    assert nothing == {"bins": [], "error": 0}


@pytest.fixture
def nlp(make_nlp):
    """A pipeline that has learnt names and other words a little, from two sources."""
    model = {
        "@architectures": "spacy_tommer.Tommer.v1",
        "kinds": KINDS,
        "sources": SOURCES,
    }
    nlp = make_nlp(model=model)
    fix_random_seed(0)
    examples = [
        Example(nlp.make_doc(doc.text), doc)
        for source in SOURCES
        for doc in gold_docs(nlp, source)
    ]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(15):
        nlp.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
    return nlp


def gold_docs(nlp, source):
    """Mark capitals as names and words of seven letters or more as terms; the source
    "names" has only the names."""
    for doc in map(nlp.make_doc, TEXTS):
        names = [Span(doc, t.i, t.i + 1, label="NAME") for t in doc if t.is_title]
        terms = [
            Span(doc, t.i, t.i + 1, label="TERM")
            for t in doc
            if not t.is_title and (len(t) >= 5 or t.i % 4 == 1)
        ]
        doc.spans["mentions"] = SpanGroup(
            doc,
            name="mentions",
            spans=names + terms if source == "all" else names,
            attrs={"kinds": KINDS if source == "all" else ["NAME"], "source": source},
        )
        yield doc


@pytest.fixture
def dev(nlp, tmp_path):
    """A folder with a set that marks both kinds, and one that marks names."""
    for source in SOURCES:
        folder = tmp_path / "dev" / source
        folder.mkdir(parents=True)
        DocBin(docs=list(gold_docs(nlp, source))).to_disk(folder / "0.spacy")
    return tmp_path / "dev"


def test_a_set_tells_what_it_marks(nlp, dev):
    every, names = (ValidationSet(nlp, dev / name) for name in SOURCES)
    assert every.marks_any and every.marks_all
    assert names.marks_any and not names.marks_all
    nlp.get_pipe("tommer").kinds = ["TERM"]
    every, names = (ValidationSet(nlp, dev / name) for name in SOURCES)
    assert every.marks_all and not names.marks_any
    found = {
        span.label_ for batch in every.gold for d in batch for span in d.spans["mentions"]
    }
    assert found == {"TERM"}


def test_calibration_changes_the_head(nlp, dev):
    tommer = nlp.get_pipe("tommer")
    docs = list(map(nlp.get_pipe("transformer"), map(nlp.make_doc, TEXTS)))
    before = [one.dataXd for one in tommer.predict(docs)]
    sets = {name: ValidationSet(nlp, dev / name) for name in SOURCES}
    found = calibrate(tommer, sets, ["all"])
    assert set(found["scales"]) == set(found["shifts"]) == set(KINDS)
    scales = np.array([*found["scales"].values(), 1, 1])
    shifts = np.array([*found["shifts"].values(), 0, 0])
    assert (scales[:2] > 0).all() and not np.allclose(scales[:2], 1, atol=0.05)
    after = [one.dataXd for one in tommer.predict(docs)]
    for old, new in zip(before, after):
        band = np.isfinite(old)
        assert (band == np.isfinite(new)).all()
        # What is told has three digits.
        assert_allclose(new[band], (old * scales + shifts)[band], rtol=1e-2, atol=0.02)
    # The scores of the sets are those of the new head, so that nothing is left to do.
    for name, one in sets.items():
        again = ValidationSet(nlp, dev / name)
        for old, new in zip(one.scores[0], again.scores[0]):
            assert_allclose(new.dataXd, old.dataXd, rtol=1e-4, atol=1e-4)
    twice = calibrate(tommer, sets, ["all"])
    assert [*twice["scales"].values()] == pytest.approx([1, 1], abs=0.01)
    assert [*twice["shifts"].values()] == pytest.approx([0, 0], abs=0.01)
    assert twice["before"]["error"] == pytest.approx(found["after"]["error"], abs=1e-3)
    lines = reliability_table(found)
    assert len(lines) == len(found["after"]["bins"]) + 4
    assert f"NAME {found['scales']['NAME']:.2f} and " in lines[-1]


def test_a_head_without_hidden_units_is_not_calibrated(make_nlp, examples, tmp_path):
    nlp = make_nlp(model={"@architectures": "spacy_tommer.Tommer.v1", "hidden": 0})
    nlp.initialize(lambda: examples)
    DocBin(docs=[example.reference for example in examples]).to_disk(tmp_path / "0.spacy")
    one = ValidationSet(nlp, tmp_path)
    before = one.scores[0][0].dataXd.copy()
    found = calibrate(nlp.get_pipe("tommer"), {"one": one}, ["one"])
    assert (found["scales"], found["shifts"]) == ({"MENTION": 1.0}, {"MENTION": 0.0})
    assert found["before"] == found["after"]
    again = ValidationSet(nlp, tmp_path)
    for scores in (one.scores[0][0].dataXd, again.scores[0][0].dataXd):
        assert_allclose(scores, before, rtol=1e-5)


def test_two_operating_points(nlp, dev, tmp_path):
    tommer = nlp.get_pipe("tommer")
    chosen = set_thresholds(nlp, dev, 0.95)
    assert nlp.meta["performance"]["calibration"] is chosen
    points = tommer.operating_points
    assert list(points) == list(chosen["points"]) == ["balanced", "recall"]
    balanced, recall = points.values()
    assert (tommer.threshold, tommer.flat_threshold) == tuple(balanced.values())
    assert recall["threshold"] <= balanced["threshold"]
    for name in points:
        measures = chosen["points"][name]
        assert set(measures["threshold"]) == {"all", "names", "mean"}
        tommer.use_thresholds(name)
        docs = list(nlp.pipe(TEXTS))
        gold = list(gold_docs(nlp, "all"))
        for key, group in (("threshold", "mentions"), ("flat_threshold", "ents")):
            found = [
                {(s.start, s.end) for s in (d.ents if group == "ents" else d.spans[group])}
                for d in docs
            ]
            told = measures[key]["all"]
            assert told["found"] == sum(map(len, found))
            assert told["right"] == sum(
                (s.start, s.end) in places
                for d, places in zip(gold, found)
                for s in d.spans["mentions"]
            )
    measured = chosen["points"]["recall"]["threshold"]
    assert measured["mean"]["r"] >= 0.95
    assert measured["mean"]["r"] == (measured["all"]["r"] + measured["names"]["r"]) / 2
    best = chosen["points"]["balanced"]["threshold"]["all"]["f"]
    assert best >= measured["all"]["f"]
    # Both are saved, and `load` takes one by name.
    nlp.to_disk(tmp_path / "nlp")
    for name in (None, "balanced", "recall"):
        loaded = spacy_tommer.load(tmp_path / "nlp", thresholds=name).get_pipe("tommer")
        expected = tuple(points[name or "recall"].values())
        assert (loaded.threshold, loaded.flat_threshold) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"no thresholds 'best'.* 'balanced', 'recall'"):
        spacy_tommer.load(tmp_path / "nlp", thresholds="best")
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ValueError, match="no component named tommer"):
        spacy_tommer.load(tmp_path / "blank", thresholds="recall")


def test_thresholds_of_some_kinds(nlp, dev):
    tommer = nlp.get_pipe("tommer")
    tommer.kinds = ["NAME"]
    chosen = set_thresholds(nlp, dev, 0.5)
    assert set(chosen["reliability"]["scales"]) == {"NAME"}
    assert set(chosen["points"]["recall"]["threshold"]) == {"all", "names", "mean"}
    gold = chosen["points"]["balanced"]["threshold"]
    assert gold["all"]["gold"] == gold["names"]["gold"]
    tommer.kinds = ["TERM"]
    chosen = set_thresholds(nlp, dev, 0.5)
    assert set(chosen["points"]["recall"]["threshold"]) == {"all", "mean"}


def test_without_a_set_that_marks_all_kinds(nlp, dev):
    with pytest.raises(ValueError, match=r"No set in .*names marks .* NAME, TERM"):
        set_thresholds(nlp, dev / "names")


def test_precision_recall_and_f1_of_each_kind():
    nlp = spacy.blank("en")

    def example(gold, found):
        docs = []
        for spans in (found, gold):
            doc = nlp.make_doc("a b c d e f")
            doc.spans["mentions"] = [Span(doc, *span) for span in spans]
            docs.append(doc)
        return Example(*docs)

    examples = [
        example(
            [(0, 1, "NAME"), (1, 2, "NAME"), (2, 4, "TERM"), (5, 6, "QUANTITY")],
            # Labels are not compared: one name is found as a term.
            [(0, 1, "NAME"), (1, 2, "TERM"), (2, 4, "TERM"), (4, 5, "TERM")],
        ),
        example([(0, 2, "NAME")], [(0, 3, "NAME"), (3, 4, "PHRASE")]),
    ]
    assert score_per_type(examples, "mentions") == {
        "NAME": {"p": 1 / 2, "r": 2 / 3, "f": pytest.approx(4 / 7)},
        "PHRASE": {"p": 0.0, "r": None, "f": None},
        "QUANTITY": {"p": None, "r": 0.0, "f": None},
        "TERM": {"p": 2 / 3, "r": 1.0, "f": pytest.approx(4 / 5)},
    }
    nothing = score_per_type([example([(0, 1, "A")], [(1, 2, "A")])], "mentions")
    assert nothing == {"A": {"p": 0.0, "r": 0.0, "f": 0.0}}
    assert score_per_type([], "mentions") == {}
