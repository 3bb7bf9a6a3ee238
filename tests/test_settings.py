"""Settings of components: what they take, and what they move."""

import json

import numpy as np
import pytest

TEXT = "Barack Obama visits Paris, New York and Dublin."


@pytest.fixture
def nlp(make_nlp, examples):
    nlp = make_nlp(threshold=0.2, flat_threshold=0.6)
    nlp.initialize(lambda: examples)
    return nlp


@pytest.mark.parametrize("number", [np.float32(0.35), np.float64(0.35), np.array(0.35)[()]])
def test_numbers_of_numpy_become_python_s(nlp, number, tmp_path):
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = number
    assert type(tommer.threshold) is float
    nlp.to_disk(tmp_path / "nlp")
    saved = json.loads((tmp_path / "nlp" / "tommer" / "cfg").read_text("utf-8"))
    assert saved["threshold"] == pytest.approx(0.35)


@pytest.mark.parametrize(
    "name, value",
    [
        *[("threshold", v) for v in ("0.5", [0.5], None, True, -0.1, 1.1, float("nan"))],
        *[("flat_threshold", v) for v in ("0.5", [0.5], 2, {"NAME": 0.5}, {"MENTION": 2})],
        *[("spans_key", v) for v in (None, 3, "")],
        *[("label", v) for v in (None, 3, "")],
        *[("overwrite_ents", v) for v in (None, "yes", 1)],
        *[("border_rules", v) for v in (None, "yes", 1)],
        *[("kinds", v) for v in ("NAME", ["MENTION", "NAME"], [], 3, [None], [[]], {})],
    ],
)
def test_other_values_are_refused_and_change_nothing(nlp, name, value):
    tommer = nlp.get_pipe("tommer")
    before = dict(tommer.cfg)
    with pytest.raises(ValueError, match=rf"`{name}` is .*, and not "):
        setattr(tommer, name, value)
    assert tommer.cfg == before


def test_one_threshold_moves_both_outputs(nlp):
    tommer = nlp.get_pipe("tommer")
    assert (tommer.threshold, tommer.flat_threshold) == (0.2, 0.6)
    tommer.threshold = 0.4
    assert tommer.flat_threshold == 0.4
    tommer.flat_threshold = 0.7
    tommer.threshold = 0.3
    assert tommer.flat_threshold == 0.7
    tommer.threshold = 0.8
    assert tommer.flat_threshold == 0.8


def test_an_entity_is_a_mention(nlp):
    tommer = nlp.get_pipe("tommer")
    tommer.flat_threshold = 0.0
    for threshold in (0.0, 0.3, 0.5, 0.7):
        tommer.threshold = threshold
        doc = nlp(TEXT)
        mentions = {(span.start, span.end) for span in doc.spans["mentions"]}
        assert {(ent.start, ent.end) for ent in doc.ents} <= mentions


def test_none_leaves_ents_alone(nlp):
    tommer = nlp.get_pipe("tommer")
    tommer.flat_threshold = None
    tommer.threshold = 0.0
    assert tommer.flat_threshold is None and nlp(TEXT).ents == ()


def test_every_mention_and_entity_has_its_score(nlp):
    nlp.get_pipe("tommer").threshold = 0.3
    doc = nlp(TEXT)
    group = doc.spans["mentions"]
    assert [span._.score for span in group] == group.attrs["scores"]
    scores = {(s.start, s.end): score for s, score in zip(group, group.attrs["scores"])}
    assert doc.ents
    assert [e._.score for e in doc.ents] == [scores[e.start, e.end] for e in doc.ents]
    absent = next(
        doc[i:j]
        for i in range(len(doc))
        for j in range(i + 1, len(doc) + 1)
        if (i, j) not in scores
    )
    assert absent._.score is None
    del doc.spans["mentions"]
    assert doc.ents[0]._.score is None


def test_typed_mentions_keep_a_key_of_their_own(nlp):
    with pytest.raises(ValueError, match="key of the mentions that are typed"):
        nlp.add_pipe("tommer_zeroshot", config={"spans_key": "mentions"})
    typed = nlp.add_pipe("tommer_zeroshot", config={"threshold": 0.25})
    assert typed.threshold == 0.25
    with pytest.raises(ValueError, match="key of the mentions that are typed"):
        typed.spans_key = "mentions"
