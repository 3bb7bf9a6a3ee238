"""A component that tells kinds of mentions apart: what it writes, and its settings."""

import json

import numpy as np
import pytest
import spacy
import srsly
from conftest import GOLD, TEXTS
from numpy.testing import assert_allclose
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_tommer.decoding.borders import can_be_edge
from spacy_tommer.decoding.decode import sigmoid
from spacy_tommer.decoding.mentions import Mentions, mean_logit
from spacy_tommer.tensors import from_bytes, to_bytes

KINDS = ["NAME", "TERM", "QUANTITY", "PHRASE"]
SOURCES = ["one", "two"]
WORDS = [f"w{i}" for i in range(10)]
MODEL = {"@architectures": "spacy_tommer.Tommer.v1", "kinds": KINDS}


@pytest.fixture
def nlp(make_nlp):
    return make_nlp(model=MODEL, flat_threshold=0.5)


def scores_of(nlp, doc, cells):
    """Make the scores of a Doc from logits of spans (first, last, kind or source)."""
    attrs = nlp.get_pipe("tommer").model.attrs
    outputs = [*attrs["kinds"], *attrs["sources"]]
    logits = np.full((len(doc), 25, len(outputs)), -20.0, dtype="f")
    logits[np.arange(25) > np.arange(len(doc))[:, None]] = -np.inf
    for (first, last, output), score in cells.items():
        logits[last, last - first, outputs.index(output)] = score
    return [Ragged(logits, np.ones(len(doc), dtype="i"))]


def annotate(nlp, cells, words=WORDS):
    """Annotate words with given logits of spans (first, last, kind or source)."""
    doc = Doc(nlp.vocab, words)
    nlp.get_pipe("tommer").set_annotations([doc], scores_of(nlp, doc, cells))
    return doc


def spans(group):
    return [(span.start, span.end - 1, span.label_) for span in group]


CELLS = {
    (0, 3, "NAME"): 5.0,
    (1, 2, "TERM"): 2.0,
    (5, 5, "QUANTITY"): 1.0,
    (6, 9, "PHRASE"): 8.0,
    (8, 8, "TERM"): 0.5,
}


def test_labels_are_kinds(nlp):
    doc = annotate(nlp, CELLS)
    expected = [(0, 3, "NAME"), (1, 2, "TERM"), (5, 5, "QUANTITY"), (8, 8, "TERM")]
    assert spans(doc.spans["mentions"]) == expected
    assert spans(doc.ents) == [(0, 3, "NAME"), (5, 5, "QUANTITY"), (8, 8, "TERM")]
    tommer = nlp.get_pipe("tommer")
    assert tommer.labels == ("NAME", "TERM", "QUANTITY") == tuple(tommer.kinds)
    assert tommer.label_names == tuple(KINDS)


def test_only_wanted_kinds_are_written(nlp):
    tommer = nlp.get_pipe("tommer")
    tommer.kinds = ["PHRASE", "TERM"]
    doc = annotate(nlp, CELLS)
    assert tommer.kinds == ["TERM", "PHRASE"]  # as the head has them
    assert spans(doc.spans["mentions"]) == [
        (1, 2, "TERM"),
        (6, 9, "PHRASE"),
        (8, 8, "TERM"),
    ]
    assert spans(doc.ents) == [(1, 2, "TERM"), (6, 9, "PHRASE")]
    tommer.kinds = "NAME"
    doc = annotate(nlp, CELLS)
    assert spans(doc.spans["mentions"]) == spans(doc.ents) == [(0, 3, "NAME")]
    tommer.kinds = None
    assert tommer.kinds == KINDS[:3]
    for wrong in ("THING", [], 3, ["NAME", None]):
        with pytest.raises(ValueError, match=r"`kinds` is a list of kinds.* NAME, TERM"):
            tommer.kinds = wrong
    assert tommer.kinds == KINDS[:3]


def test_odds_of_kinds_add_up(nlp):
    """A span is a mention if it is one of any wanted kind, and has the likeliest."""
    odds = {"NAME": 0.5, "TERM": 0.75, "PHRASE": 9.0}
    doc = annotate(nlp, {(2, 4, kind): np.log(value) for kind, value in odds.items()})
    assert spans(doc.spans["mentions"]) == [(2, 4, "TERM")]
    (score,) = doc.spans["mentions"].attrs["scores"]
    assert score == pytest.approx(1.25 / 2.25, abs=1e-6)
    assert doc.ents[0]._.score == score
    nlp.get_pipe("tommer").kinds = ["NAME", "QUANTITY"]
    doc = annotate(nlp, {(2, 4, kind): np.log(value) for kind, value in odds.items()})
    assert not doc.spans["mentions"] and not doc.ents


@pytest.fixture
def apart(make_nlp):
    """A pipeline whose head scores entities by two sources."""
    return make_nlp(model={**MODEL, "sources": SOURCES}, flat_threshold=0.6)


def chances(**of_spans):
    """Give logits of sources that mean (first, last) as "s0_3" to their probabilities."""
    return {
        (*map(int, name[1:].split("_")), source): np.log(one / (1 - one))
        for name, both in of_spans.items()
        for source, one in zip(SOURCES, both)
    }


# Mean probabilities: 0.5, 0.8, 0.2, 0.99, 0.95.
ENTITIES = chances(
    s0_3=(0.75, 0.25),
    s1_2=(0.9, 0.7),
    s5_5=(0.3, 0.1),
    s6_9=(0.99, 0.99),
    s8_8=(0.95, 0.95),
)


def test_sources_score_entities(apart):
    tommer = apart.get_pipe("tommer")
    assert tommer.scores_entities
    doc = annotate(apart, {**CELLS, **ENTITIES})
    expected = [(0, 3, "NAME"), (1, 2, "TERM"), (5, 5, "QUANTITY"), (8, 8, "TERM")]
    assert spans(doc.spans["mentions"]) == expected
    for threshold, found in (
        (0.6, [expected[1], expected[3]]),
        (0.9, [expected[3]]),
        # Of two that overlap, the likelier entity, not the likelier mention.
        (0.4, [expected[1], expected[3]]),
        (0.15, expected[1:]),
        (0.96, []),
    ):
        tommer.flat_threshold = threshold
        assert spans(annotate(apart, {**CELLS, **ENTITIES}).ents) == found
    # The scores are those of mentions.
    tommer.flat_threshold = 0.9
    (ent,) = annotate(apart, {**CELLS, **ENTITIES}).ents
    assert ent._.score == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6)
    # An entity is a mention, however likely.
    tommer.threshold = 0.7
    assert not annotate(apart, {**CELLS, **ENTITIES}).ents
    tommer.flat_threshold = None
    assert not annotate(apart, {**CELLS, **ENTITIES}).ents


def test_thresholds_of_mentions_and_entities_are_apart_with_sources(apart, nlp):
    tommer, plain = apart.get_pipe("tommer"), nlp.get_pipe("tommer")
    assert not plain.scores_entities
    tommer.threshold = plain.threshold = 0.9
    assert (tommer.flat_threshold, plain.flat_threshold) == (0.6, 0.9)
    tommer.flat_threshold = plain.flat_threshold = 0.2
    assert (tommer.flat_threshold, plain.flat_threshold) == (0.2, 0.9)


def test_entities_of_mentions_at_any_threshold(apart):
    tommer = apart.get_pipe("tommer")
    doc = Doc(apart.vocab, WORDS)
    scores = scores_of(apart, doc, {**CELLS, **ENTITIES})
    mentions = tommer.decode([doc], scores, 0.01)
    picked = tommer.entities(mentions)
    places = list(zip(picked.starts.tolist(), (picked.ends - 1).tolist()))
    assert places == [(1, 2), (5, 5), (8, 8)]
    assert_allclose(sigmoid(picked.logits), [0.8, 0.2, 0.95], atol=1e-5)
    tommer.threshold = 0.7  # (8, 8) is no mention any more
    assert tommer.entities(mentions).starts.tolist() == [1, 5]


def test_mentions_as_entities():
    logits, others = np.float32([1.0, 2.0, 3.0]), np.float32([0.5, -1.0, 4.0])
    starts, kinds = np.array([0, 1, 3]), np.array([0, 1, 1])
    mentions = Mentions(starts, starts + 2, logits, kinds, others, np.array([0, 3, 5]))
    assert mentions.above(0.8).starts.tolist() == [1, 3]
    entities = mentions.as_entities()
    assert entities.logits.tolist() == [0.5, -1.0, 4.0] and entities.kinds is kinds
    assert entities.above(0.5).starts.tolist() == [0, 3]
    assert entities.above(0.5).kinds.tolist() == [0, 1]
    assert entities.flat().starts.tolist() == [0, 3]
    assert mentions.flat().starts.tolist() == [1, 3]
    one, two = mentions.by_doc()
    assert one.entity_logits.tolist() == [0.5, -1.0]
    assert (two.starts.tolist(), two.entity_logits.tolist()) == ([0], [4.0])


def test_the_logit_of_a_mean_probability():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(50, 3))
    mean = sigmoid(logits).mean(-1)
    assert_allclose(mean_logit(logits), np.log(mean / (1 - mean)), rtol=1e-9)
    assert_allclose(mean_logit(logits[:, :1]), logits[:, 0], rtol=1e-9)
    # Beyond what probabilities in double precision can hold.
    assert_allclose(mean_logit(np.array([[900.0, 900.0], [-900.0, -900.0]])), [900, -900])
    assert mean_logit(np.zeros((0, 2))).shape == (0,)


def test_named_thresholds(make_nlp):
    points = {
        "recall": {"threshold": 0.1, "flat_threshold": 0.05},
        "quiet": {"threshold": 0.9, "flat_threshold": None},
        "plain": {"threshold": 0.2, "flat_threshold": 0.6},
    }
    for sources, flat in ((None, 0.1), (SOURCES, 0.05)):
        model = {**MODEL, "sources": sources}
        tommer = make_nlp(model=model, operating_points=points).get_pipe("tommer")
        assert tommer.operating_points == points
        assert (tommer.threshold, tommer.flat_threshold) == (0.5, 0.9)
        tommer.use_thresholds("recall")
        assert (tommer.threshold, tommer.flat_threshold) == (0.1, flat)
        tommer.use_thresholds("quiet")
        assert (tommer.threshold, tommer.flat_threshold) == (0.9, None)
        tommer.use_thresholds("plain")
        assert (tommer.threshold, tommer.flat_threshold) == (0.2, 0.6)
        tommer.threshold = 0.7  # one number moves both again, unless they are apart
        assert tommer.flat_threshold == (0.6 if sources else 0.7)
        with pytest.raises(ValueError, match=r"no thresholds 'best'.*'quiet', 'plain'"):
            tommer.use_thresholds("best")
        assert tommer.threshold == 0.7


@pytest.mark.parametrize(
    "points",
    [
        None,
        ["recall"],
        {"recall": 0.5},
        {"recall": {"threshold": 0.5}},
        {"recall": {"threshold": 0.5, "flat_threshold": 0.5, "kinds": []}},
        {"recall": {"threshold": 2, "flat_threshold": 0.5}},
        {"recall": {"threshold": 0.5, "flat_threshold": {"NAME": 0.5}}},
        {"": {"threshold": 0.5, "flat_threshold": 0.5}},
    ],
)
def test_wrong_operating_points(nlp, points):
    with pytest.raises(ValueError, match=r"`(operating_points|\w*threshold)` (has|is) "):
        nlp.get_pipe("tommer").operating_points = points
    assert nlp.get_pipe("tommer").operating_points == {}
    with pytest.raises(ValueError, match="no named ones"):
        nlp.get_pipe("tommer").use_thresholds("recall")


MARKS = ["(", "]", "“", "”", "\u2019", '"', "``", "''", ",", ":", ";", ":)"]
MARKS += ["😀", "🇫🇷", "❤️", "👨‍👩‍👧"]
ALLOWED = ["Yahoo!", "C++", "#ErasTour", "@emma_k", "°C", "°", "$", "%", "A.I.", "O'Neil"]
ALLOWED += ["'s", "U.S.", "-", "&", "!", "#", "™", "№", "24/7", "(x)y", "मे", "東京"]


def test_marks_are_no_edges():
    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, [*MARKS, *ALLOWED])
    assert can_be_edge(doc).tolist() == [False] * len(MARKS) + [True] * len(ALLOWED)
    assert can_be_edge(doc, rules=False).all()
    doc = Doc(vocab, ["a", " ", "\u200b", "b\x00"])
    for rules in (True, False):
        assert can_be_edge(doc, rules).tolist() == [True, False, False, False]


@pytest.mark.parametrize("mark", MARKS)
def test_border_rules_can_be_switched_off(nlp, mark):
    words = ["Yahoo!", "and", "C++", mark, "Eras", "Tour", mark, "20", "°C", mark]
    cells = {(0, 0, "NAME"): 3.0, (2, 2, "NAME"): 3.0, (4, 5, "NAME"): 3.0}
    cells |= {(2, 4, "TERM"): 3.0, (7, 8, "QUANTITY"): 3.0}
    wrong = {(3, 5, "NAME"): 9.0, (4, 6, "NAME"): 9.0, (9, 9, "TERM"): 9.0}
    doc = annotate(nlp, {**cells, **wrong}, words)
    assert set(spans(doc.spans["mentions"])) == set(cells)
    nlp.get_pipe("tommer").border_rules = False
    doc = annotate(nlp, {**cells, **wrong}, words)
    assert set(spans(doc.spans["mentions"])) == {*cells, *wrong}
    assert {(3, 5, "NAME"), (9, 9, "TERM")} <= set(spans(doc.ents))


def test_breaks_are_crossed_without_border_rules(nlp):
    words = ["Lisbon", "\n\n", "Nairobi", "|", "Cork", "\t", "Galway"]
    cells = {(0, 2, "NAME"): 3.0, (2, 4, "NAME"): 3.0, (4, 6, "NAME"): 3.0}
    assert not annotate(nlp, cells, words).spans["mentions"]
    nlp.get_pipe("tommer").border_rules = False
    doc = annotate(nlp, cells, words)
    assert spans(doc.spans["mentions"]) == list(cells)
    # White space is never an edge.
    assert not annotate(nlp, {(1, 2, "NAME"): 3.0}, words).spans["mentions"]


LABELS = {
    "Barack Obama": "NAME",
    "Hawaii": "NAME",
    "New York City": "NAME",
    "York": "TERM",
    "U.S.": "NAME",
    "2024": "QUANTITY",
    "John": "NAME",
    "John's sister": "PHRASE",
    "Paris": "CITY",
    "Angela Merkel": "NAME",
    "Gare du Nord": "TERM",
}


def learn(nlp):
    """Train on gold with kinds, and a label that is none; a second source marks nothing."""
    examples = []
    for text, mentions in zip(TEXTS, GOLD):
        for source in SOURCES:
            doc = nlp.make_doc(text)
            places = [(text.index(one), one) for one in mentions]
            marked = [
                doc.char_span(at, at + len(one), label=LABELS[one]) for at, one in places
            ]
            first = source == SOURCES[0]
            doc.spans["mentions"] = SpanGroup(
                doc,
                name="mentions",
                spans=marked if first else [],
                attrs={"kinds": KINDS if first else [], "source": source},
            )
            examples.append(Example(nlp.make_doc(text), doc))
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(250):
        losses = nlp.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
    return losses["tommer"], examples


def test_learn_save_load(make_nlp, tmp_path):
    points = {"sure": {"threshold": 0.8, "flat_threshold": 0.9}}
    settings = {
        "model": {**MODEL, "sources": SOURCES},
        "flat_threshold": 0.6,
        "operating_points": points,
        "kinds": ["NAME", "TERM", "QUANTITY", "PHRASE"],
        "border_rules": False,
    }
    nlp = make_nlp(**settings)
    loss, examples = learn(nlp)
    assert loss < 0.01
    docs = list(nlp.pipe(TEXTS))
    for doc, gold in zip(docs, GOLD):
        found = {span.text: span.label_ for span in doc.spans["mentions"]}
        assert set(found) == set(gold)
        assert {one: kind for one, kind in found.items() if LABELS[one] != "CITY"} == {
            one: LABELS[one] for one in gold if LABELS[one] != "CITY"
        }
    # The corpus "one" marks all of these, and "two" nothing.
    assert not any(doc.ents for doc in docs)
    nlp.get_pipe("tommer").flat_threshold = 0.4
    assert [ent.text for ent in nlp(TEXTS[1]).ents[:2]] == ["U.S.", "2024"]

    nlp.get_pipe("tommer").kinds = ["NAME", "PHRASE"]
    docs = list(nlp.pipe(TEXTS))
    nlp.to_disk(tmp_path / "nlp")
    config = spacy.util.load_config(tmp_path / "nlp" / "config.cfg")
    written = config["components"]["tommer"]
    assert written["flat_threshold"] == 0.6  # when it was made
    assert written["operating_points"] == points
    assert written["border_rules"] is False
    assert written["model"]["kinds"] == KINDS
    assert written["model"]["sources"] == SOURCES
    for loaded in (
        spacy.load(tmp_path / "nlp"),
        make_nlp(**settings).from_bytes(nlp.to_bytes()),
    ):
        tommer = loaded.get_pipe("tommer")
        assert tommer.kinds == ["NAME", "PHRASE"] and tommer.border_rules is False
        assert tommer.flat_threshold == pytest.approx(0.4) and tommer.scores_entities
        assert tommer.operating_points["sure"]["threshold"] == pytest.approx(0.8)
        assert tommer.label_names == tuple(KINDS)
        for doc, again in zip(docs, loaded.pipe(TEXTS)):
            assert spans(again.spans["mentions"]) == spans(doc.spans["mentions"])
            assert_allclose(
                again.spans["mentions"].attrs["scores"],
                doc.spans["mentions"].attrs["scores"],
                atol=1e-6,
            )
            assert spans(again.ents) == spans(doc.ents)
        tommer.use_thresholds("sure")
        assert tommer.flat_threshold == pytest.approx(0.9)
        # Training goes on from there.
        optimizer = loaded.resume_training()
        losses = loaded.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
        assert losses["tommer"] < 0.02
    changed = {"components.tommer.kinds": ["TERM"]}
    assert spacy.load(tmp_path / "nlp", config=changed)
    changed = {"components.tommer.kinds": ["THING"]}
    with pytest.raises(ValueError, match="`kinds` is a list of kinds"):
        spacy.load(tmp_path / "nlp", config=changed)


def test_marked_kinds_alone_are_unlearnt(nlp):
    """Where gold has all names only, terms and phrases have no gradient."""
    doc = nlp.make_doc(TEXTS[0])
    gold = [Span(doc, 0, 2, label="NAME"), Span(doc, 5, 6, label="CITY")]
    attrs = {"kinds": ["NAME", "TERM"]}
    doc.spans["mentions"] = SpanGroup(doc, name="mentions", spans=gold, attrs=attrs)
    examples = [Example(nlp.make_doc(doc.text), doc)]
    nlp.initialize(lambda: examples)
    tommer = nlp.get_pipe("tommer")
    nlp.get_pipe("transformer")(examples[0].x)
    scores = tommer.predict([examples[0].x])
    loss, gradient = tommer.get_loss(examples, scores)
    logits = scores[0].dataXd
    assert gradient.shape == logits.shape == (len(doc), 25, 4) and loss > 0
    assert not gradient[..., 2:].any()
    band = np.isfinite(logits[..., 0])
    assert (gradient[1, 1] != 0).tolist() == [True, True, False, False]
    assert gradient[1, 1, 0] < 0 < gradient[1, 1, 1]
    assert (gradient[5, 0, :2] < 0).all()
    assert not gradient[~band].any()


def forget_kinds(folder):
    """Make a saved pipeline of one kind what versions without kinds wrote."""
    new = {"kinds", "sources", "border_rules", "operating_points"}
    config = spacy.util.load_config(folder / "config.cfg", interpolate=False)
    for part in (config["components"]["tommer"], config["components"]["tommer"]["model"]):
        for name in new & set(part):
            del part[name]
    config.to_disk(folder / "config.cfg")
    place = folder / "tommer"
    cfg = srsly.read_json(place / "cfg")
    srsly.write_json(place / "cfg", {k: v for k, v in cfg.items() if k not in new})
    model = srsly.msgpack_loads((place / "model").read_bytes())
    for attrs in model["attrs"]:
        attrs.pop("kinds")
        attrs.pop("sources")
    shim = srsly.msgpack_loads(model["shims"][0][0])
    weights, metadata = from_bytes(shim["state"], "It")
    assert json.loads(metadata.pop("kinds")) == ["MENTION"]
    assert json.loads(metadata.pop("sources")) == []
    shim["state"] = to_bytes(weights, metadata)
    model["shims"] = [[srsly.msgpack_dumps(shim)]]
    (place / "model").write_bytes(srsly.msgpack_dumps(model))
    (place / "hashes.json").unlink()


def test_a_pipeline_of_an_earlier_version(make_nlp, examples, tmp_path):
    nlp = make_nlp(threshold=0.3, flat_threshold=0.5)
    fix_random_seed(0)
    nlp.initialize(lambda: examples)
    nlp.to_disk(tmp_path / "nlp")
    forget_kinds(tmp_path / "nlp")
    old = spacy.load(tmp_path / "nlp")
    tommer = old.get_pipe("tommer")
    assert tommer.labels == ("MENTION",) and tommer.kinds == ["MENTION"]
    assert tommer.border_rules is True and tommer.operating_points == {}
    assert not tommer.scores_entities
    assert (tommer.threshold, tommer.flat_threshold) == pytest.approx((0.3, 0.5))
    for doc, again in zip(nlp.pipe(TEXTS), old.pipe(TEXTS)):
        assert spans(again.spans["mentions"]) == spans(doc.spans["mentions"])
        assert spans(again.ents) == spans(doc.ents) != []
        both = (one.spans["mentions"].attrs["scores"] for one in (doc, again))
        assert_allclose(*both, atol=1e-6)
        assert {span.label_ for span in doc.spans["mentions"]} == {"MENTION"}
