import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS
from numpy.testing import assert_allclose
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_tommer.backbone.states import read_states
from spacy_tommer.decoding.decode import sigmoid
from spacy_tommer.entities import component as zeroshot
from spacy_tommer.entities import definitions
from spacy_tommer.entities import sampling as typed_batches
from spacy_tommer.entities.candidates import mention_logits
from spacy_tommer.entities.definitions import (
    TrainingType,
    as_types,
    read_labels,
    read_types,
)
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head
from spacy_tommer.entities.relations import Relations
from spacy_tommer.entities.sampling import TypedBatch, TypeSampler
from spacy_tommer.evaluation.typed import TypedCounts, count_entities, find_set, is_known
from spacy_tommer.training.corpus import CachedCorpus

CONFIG = Path(__file__).parents[1] / "configs" / "zeroshot.cfg"
LABELS = {"PER": "a human being", "LOC": "a place on the map", "ORG": "a firm"}
MODEL = {"@architectures": "spacy_tommer.TypeScorer.v1", "hidden": 16}
SENTENCES = [
    ("Anna Berg lives in Oslo.", {"Anna Berg": "PER", "Oslo": "LOC"}),
    ("The ship left Bergen on Monday.", {"Bergen": "LOC"}),
    ("Yesterday Tom Hill met Mary.", {"Tom Hill": "PER", "Mary": "PER"}),
    ("In New Delhi it rained.", {"New Delhi": "LOC"}),
    ("It rained again.", {}),
]


def gold_doc(nlp, text, entities):
    doc = nlp.make_doc(text)
    spans = [
        doc.char_span(text.index(name), text.index(name) + len(name), label)
        for name, label in entities.items()
    ]
    doc.spans["entities"] = spans
    doc.spans["mentions"] = spans
    doc.set_ents(spans)
    return doc


def make_examples(nlp, sentences=SENTENCES):
    return [
        Example(nlp.make_doc(text), gold_doc(nlp, text, gold)) for text, gold in sentences
    ]


@pytest.fixture
def make_typed(make_nlp):
    """Give a pipeline of a tiny backbone with a random tommer and random types."""

    def make(threshold=0.3, tommer=None, initialize=True, **config):
        nlp = make_nlp(**(tommer or {}))
        config = {"labels": LABELS, "model": MODEL, "threshold": threshold, **config}
        nlp.add_pipe("tommer_zeroshot", config=config)
        if initialize:
            nlp.initialize(lambda: make_examples(nlp))
        return nlp

    return make


def set_mentions(doc, places, scores=None):
    doc.spans["mentions"] = [Span(doc, *place, "MENTION") for place in places]
    if scores is not None:
        doc.spans["mentions"].attrs["scores"] = scores
    return doc


def stated(nlp, text, places, scores=None):
    """A Doc with states and with mentions set by hand."""
    doc = nlp.get_pipe("transformer")(nlp.make_doc(text))
    return set_mentions(doc, places, scores)


def bare(nlp, places):
    """A Doc of ten tokens with mentions, and without states."""
    return set_mentions(Doc(nlp.vocab, [f"w{i}" for i in range(10)]), places)


def typed(spans):
    return [(span.start, span.end, span.label_) for span in spans]


def outcome(doc):
    group = doc.spans["entities"]
    return typed(group), typed(doc.ents), np.array(group.attrs["scores"])


def assert_equal_docs(docs, others):
    for doc, other in zip(docs, others, strict=True):
        spans, ents, scores = outcome(doc)
        other_spans, other_ents, other_scores = outcome(other)
        assert spans == other_spans and ents == other_ents
        assert_allclose(scores, other_scores, atol=1e-4)


def definition_vectors(nlp, texts):
    transformer = nlp.get_pipe("transformer")
    docs = [transformer(Doc(nlp.vocab, text.split())) for text in texts]
    return np.array([read_states(doc, unit="piece").dataXd.mean(axis=0) for doc in docs])


def logits_by_hand(nlp, doc):
    """Logits of the mentions of a Doc each of whose tokens has a state."""
    pipe = nlp.get_pipe("tommer_zeroshot")
    states = read_states(doc).dataXd
    vectors = [
        np.concatenate(
            [states[s.start], states[s.end - 1], states[s.start : s.end].mean(0)]
        )
        for s in doc.spans["mentions"]
    ]
    definitions = np.array(
        [definition_vectors(nlp, texts).mean(0) for texts in pipe.label_data.values()]
    )
    head = pipe.model.shims[0]._model.eval()
    with torch.no_grad():
        scores = head(torch.tensor(np.array(vectors)), torch.tensor(definitions)).numpy()
    odds = np.array(doc.spans["mentions"].attrs["scores"])
    return scores + np.log(odds / (1 - odds))[:, None]


def test_labels_speak_for_themselves_or_have_a_definition():
    assert read_labels(["PER", "work_of-art"]) == {
        "PER": ["PER"],
        "work_of-art": ["work of art"],
    }
    assert read_labels({"work_of_art": " a song \n"}) == {
        "work_of_art": ["work of art", "work of art: a song", "a song"]
    }
    assert read_labels({"WORK_OF_ART": "a song"}) == {"WORK_OF_ART": ["a song"]}
    labels = read_labels({"city": "a town", "LOC": "a place"}) | read_labels(["PER"])
    assert as_types(labels) == {
        "city": TrainingType("city", ["a town"]),
        "LOC": TrainingType("a place", []),
        "PER": TrainingType("PER", []),
    }
    assert read_labels([]) == read_labels({}) == {}
    assert read_labels(("_",)) == {"_": ["_"]}


@pytest.mark.parametrize(
    "labels, message",
    [
        ({"PER": "a human", "LOC": " "}, "'LOC' has an empty definition"),
        ({"LOC": None}, "'LOC' has an empty definition"),
        (["PER", "LOC", "PER"], "'PER' is given twice"),
        (["PER", ""], "A label is '', expected"),
        (["PER", "  "], "A label is '  ', expected"),
        ([7], "A label is 7, expected"),
        ({"": "nothing"}, "A label is '', expected"),
        ("PER", r'\["PER"\] or \{"PER"'),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        read_labels(labels)


def test_mentions_get_types_by_hand(make_typed):
    nlp = make_typed()
    pipe = nlp.get_pipe("tommer_zeroshot")
    places = [(7, 8), (0, 2), (0, 3), (3, 6)]
    doc = stated(nlp, TEXTS[0], places, [0.7, 0.9, 0.55, 0.8])
    assert all(read_states(doc).lengths == 1)
    logits = logits_by_hand(nlp, doc)
    order = np.array([1, 2, 3, 0])
    found, scores = pipe.predict([doc])
    assert found[0].tolist() == sorted(map(list, places))
    assert_allclose(scores, logits[order], atol=1e-4)
    top = sigmoid(logits).max(axis=1)
    pipe.threshold = float(np.sort(top)[:2].mean())
    pipe(doc)
    expected = [
        (*places[i], list(LABELS)[logits[i].argmax()])
        for i in order
        if top[i] > pipe.threshold
    ]
    assert len(expected) == 3
    assert typed(doc.spans["entities"]) == expected
    found_scores = doc.spans["entities"].attrs["scores"]
    assert all(type(score) is float for score in found_scores)
    kept = [i for i in order if top[i] > pipe.threshold]
    assert_allclose(found_scores, top[kept], atol=1e-5)


def test_the_head_by_hand():
    torch.manual_seed(0)
    head = TypeHead(4, hidden=5).eval()
    rng = np.random.default_rng(0)
    vectors, types = rng.normal(size=(3, 12)), rng.normal(size=(2, 4))
    training = rng.normal(size=(7, 4)) * [1, 2, 3, 1e-3] + 5
    head.standardise(torch.tensor(training, dtype=torch.float32))
    weights = {name: p.detach().numpy() for name, p in head.named_parameters()}
    rows = (vectors - vectors.mean(1, keepdims=True)) / vectors.std(1, keepdims=True)
    rows = rows @ weights["mention.2.weight"].T + weights["mention.2.bias"]
    rows = torch.nn.functional.gelu(torch.tensor(rows)).numpy()
    mention = rows @ weights["mention.5.weight"].T + weights["mention.5.bias"]
    spread = training.std(0)
    assert spread[3] < 0.1 * spread.mean()
    spread[3] = 0.1 * spread.mean()
    placed = (types - training.mean(0)) / spread
    placed /= np.linalg.norm(placed, axis=1, keepdims=True)
    none = mention @ weights["none.weight"].T + weights["none.bias"]
    inputs = (torch.tensor(array, dtype=torch.float32) for array in (vectors, types))
    found = head(*inputs).detach().numpy()
    assert_allclose(found, mention @ placed.T - none, atol=1e-4)


def test_one_training_type_is_enough_for_finite_scores():
    head = TypeHead(4, hidden=5).eval()
    head.standardise(torch.ones(1, 4))
    assert torch.isfinite(head(torch.randn(2, 12), torch.eye(4))).all()


def test_tokens_without_a_state_and_mentions_without_a_score(make_typed):
    nlp = make_typed()
    pipe = nlp.get_pipe("tommer_zeroshot")
    blank, plain = "Anna  Berg met", "Anna Berg met"
    (_, wide), (_, narrow) = (
        pipe.predict([stated(nlp, text, [place], [0.5])])
        for text, place in ((blank, (0, 3)), (plain, (0, 2)))
    )
    assert_allclose(wide, narrow, atol=1e-4)
    (_, bare_scores) = pipe.predict([stated(nlp, plain, [(0, 2)])])
    assert_allclose(bare_scores, narrow, atol=1e-5)
    doc = stated(nlp, plain, [(0, 2), (2, 3)], [0.9, 0.25])
    doc.spans["gold"] = [doc[0:2], doc[1:2]]
    places, _ = pipe.predict([doc])
    assert places[0].tolist() == [[0, 2], [1, 2], [2, 3]]
    odds = np.exp(mention_logits([doc], places, "mentions"))
    assert_allclose(odds, [9, 1 / 3, 1 / 3], rtol=1e-4)


def test_mentions_in_a_doc_without_states(make_typed):
    nlp = make_typed(0.0, keep_untyped=True)
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = stated(nlp, "  ", [(0, 1)])
    assert read_states(doc).lengths.tolist() == [0]
    assert np.isfinite(pipe(doc).spans["entities"].attrs["scores"]).all()


def test_proposed_gold_without_a_type(make_typed):
    nlp = make_typed(1.0, keep_untyped=True)
    doc = stated(nlp, TEXTS[0], [(0, 2)])
    doc.spans["gold"] = [doc[3:4]]
    nlp.get_pipe("tommer_zeroshot")(doc)
    assert typed(doc.spans["entities"]) == [(0, 2, "MENTION"), (3, 4, "")]


def test_sure_mentions_stay_finite(make_typed):
    nlp = make_typed()
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = pipe(stated(nlp, TEXTS[0], [(0, 2), (3, 4)], [1.0, 0.0]))
    assert np.isfinite(doc.spans["entities"].attrs["scores"]).all()
    assert typed(doc.spans["entities"])[0][:2] == (0, 2)


# Logits of three labels, for mentions of which the third fits no label.
PLACES = np.array([(0, 4), (1, 3), (5, 6), (7, 9)])
LOGITS = np.array([(1, 0, 2), (3, 0, 0), (-3, -2, -3), (0, 4, 1)], dtype="f")


def annotated(nlp, ents=()):
    """Annotate a Doc with these."""
    doc = bare(nlp, PLACES.tolist())
    doc.ents = [Span(doc, *ent) for ent in ents]
    nlp.get_pipe("tommer_zeroshot").set_annotations([doc], ([PLACES], LOGITS))
    return doc


@pytest.mark.parametrize("keep", [False, True])
def test_mentions_without_a_type(keep, make_typed):
    nlp = make_typed(0.5, keep_untyped=keep, initialize=False)
    doc = annotated(nlp, [(0, 4, "MENTION"), (5, 6, "MENTION")])
    kept = [(5, 6, "MENTION")] if keep else []
    assert typed(doc.spans["entities"]) == [
        (0, 4, "ORG"),
        (1, 3, "PER"),
        *kept,
        (7, 9, "LOC"),
    ]
    expected = sigmoid(np.array([2.0, 3.0, *([-2.0] if keep else []), 4.0]))
    assert_allclose(doc.spans["entities"].attrs["scores"], expected, atol=1e-6)
    assert typed(doc.ents) == [(1, 3, "PER"), *kept, (7, 9, "LOC")]
    assert typed(doc.spans["mentions"]) == [
        (*place, "MENTION") for place in PLACES.tolist()
    ]


def test_the_threshold_can_change(make_typed):
    nlp = make_typed(0.0, initialize=False)
    pipe = nlp.get_pipe("tommer_zeroshot")
    assert len(outcome(annotated(nlp))[0]) == 4
    pipe.threshold = 0.96
    assert outcome(annotated(nlp))[0] == [(7, 9, "LOC")]
    pipe.threshold = 1.0
    assert outcome(annotated(nlp))[0] == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        pipe.threshold = 2


@pytest.mark.parametrize(
    "overwrite, expected",
    [
        (False, [(2, 5, "CODE"), (7, 9, "LOC"), (9, 10, "CODE")]),
        (True, [(1, 3, "PER"), (7, 9, "LOC"), (9, 10, "CODE")]),
    ],
)
def test_entities_of_an_earlier_pipe(overwrite, expected, make_typed):
    nlp = make_typed(0.5, overwrite_ents=overwrite, initialize=False)
    assert typed(annotated(nlp, [(2, 5, "CODE"), (9, 10, "CODE")]).ents) == expected


def test_labels_can_change(make_typed):
    nlp = make_typed(0.0)
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = stated(nlp, TEXTS[0], [(0, 2), (3, 4), (7, 8)], [0.5] * 3)
    assert pipe.labels == ("PER", "LOC", "ORG")
    assert pipe.predict([doc])[1].shape == (3, 3)
    assert pipe.add_label("Work", "a song") == 1
    assert pipe.add_label("Work", "a song") == 0
    assert pipe.add_label("PER") == 1
    assert pipe.label_data["PER"] == ["PER"]
    assert pipe.label_data["Work"] == ["Work", "Work: a song", "a song"]
    assert_allclose(pipe.predict([doc])[1], logits_by_hand(nlp, doc), atol=1e-4)
    pipe.set_labels(["CITY"])
    assert {label for *_, label in typed(pipe(doc).spans["entities"])} == {"CITY"}
    assert list(pipe.model.attrs["vectors"]) == ["CITY"]
    pipe.set_labels({"two_words": "some", "two words": "some"})
    assert pipe.predict([doc])[1].shape == (3, 2)
    with pytest.raises(ValueError, match="'LOC' has an empty definition"):
        pipe.set_labels({"LOC": ""})
    assert pipe.labels == ("two_words", "two words")


def test_a_label_is_embedded_once(make_typed, passes):
    nlp = make_typed()
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = stated(nlp, TEXTS[0], [(0, 2)])
    passes.clear()
    pipe(doc)
    once = len(passes)
    assert once > 0
    for _ in range(3):
        pipe(doc)
    pipe.set_labels(dict(reversed(LABELS.items())))
    pipe(doc)
    assert len(passes) == once
    pipe.add_label("WORK")
    pipe(doc)
    assert len(passes) == once + 1


def test_a_saved_pipeline_embeds_nothing(make_typed, tmp_path, monkeypatch):
    nlp = make_typed()
    nlp.get_pipe("tommer_zeroshot").threshold = 0.1
    docs = list(nlp.pipe(TEXTS))
    assert sum(len(doc.spans["entities"]) for doc in docs) > 5
    nlp.to_disk(tmp_path / "nlp")
    monkeypatch.setattr(zeroshot, "embed", lambda *args: 1 / 0)
    from_disk = spacy.load(tmp_path / "nlp")
    from_bytes = make_typed(initialize=False).from_bytes(nlp.to_bytes())
    for loaded in (from_disk, from_bytes):
        assert loaded.get_pipe("tommer_zeroshot").threshold == 0.1
        assert_equal_docs(loaded.pipe(TEXTS), docs)
        loaded.get_pipe("tommer_zeroshot").add_label("WORK")
        with pytest.raises(ZeroDivisionError):
            loaded(TEXTS[0])


def test_labels_are_embedded_anew_in_another_precision(make_typed, tmp_path, monkeypatch):
    nlp = make_typed()
    vectors = {"float32": nlp.get_pipe("tommer_zeroshot").definitions()}
    nlp.to_disk(tmp_path / "float32")
    before = "float32"
    for precision in ("bfloat16", "float32"):
        config = {"components.transformer.model.precision": precision}
        nlp = spacy.load(tmp_path / before, config=config)
        pipe = nlp.get_pipe("tommer_zeroshot")
        pipe(stated(nlp, TEXTS[0], [(0, 2)]))
        found = pipe.definitions()
        texts = pipe.label_data.values()
        expected = [definition_vectors(nlp, label).mean(axis=0) for label in texts]
        # Processors without bfloat16 round a label in a batch in another way than alone.
        close = 1e-5 if precision == "float32" else 0.05
        assert_allclose(found, expected, atol=close)
        assert np.array_equal(vectors.setdefault(precision, found), found)
        nlp.to_disk(tmp_path / precision)
        before = precision
    assert not np.allclose(vectors["float32"], vectors["bfloat16"], atol=1e-5)
    # What was embedded in the same precision is kept.
    monkeypatch.setattr(zeroshot, "embed", lambda *args: 1 / 0)
    pipe = spacy.load(tmp_path / "bfloat16").get_pipe("tommer_zeroshot")
    assert np.array_equal(pipe.definitions(), vectors["bfloat16"])


def test_a_label_without_wordpieces(make_typed):
    nlp = make_typed(labels=["PER", "\u200b"])
    doc = stated(nlp, TEXTS[0], [(0, 2)])
    with pytest.raises(ValueError, match=r"no wordpiece in '\\u200b'"):
        nlp.get_pipe("tommer_zeroshot")(doc)


def test_a_thousand_labels(make_typed):
    nlp = make_typed(0.0)
    pipe = nlp.get_pipe("tommer_zeroshot")
    names = [
        f"{a} {b} {c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "abcdefghij"
    ]
    pipe.set_labels(names)
    doc = stated(nlp, TEXTS[0], [(0, 2), (3, 4), (7, 8)], [0.5] * 3)
    _, logits = pipe.predict([doc])
    assert logits.shape == (3, 1000)
    chosen = [0, 1, 499, 998, 999]
    pipe.set_labels([names[i] for i in chosen])
    assert_allclose(pipe.predict([doc])[1], logits[:, chosen], atol=1e-4)
    pipe.set_labels(names)
    expected = [names[i] for i in logits.argmax(axis=1)]
    assert [span.label_ for span in pipe(doc).spans["entities"]] == expected


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_without_labels(threshold, keep, make_typed):
    nlp = make_typed(threshold, labels=[], keep_untyped=keep, initialize=False)
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = pipe(bare(nlp, [(4, 6), (0, 2)]))
    expected = [(0, 2, "MENTION"), (4, 6, "MENTION")] if keep else []
    assert typed(doc.spans["entities"]) == expected
    assert doc.spans["entities"].attrs["scores"] == [0.0] * len(expected)
    assert not doc.ents


def test_without_mentions(make_typed):
    nlp = make_typed()
    pipe = nlp.get_pipe("tommer_zeroshot")
    docs = [stated(nlp, text, []) for text in (TEXTS[0], "", "  ")]
    docs.insert(1, stated(nlp, TEXTS[1], [(0, 1)], [0.99]))
    for doc in pipe.pipe(docs):
        assert len(doc.spans["entities"]) == (doc is docs[1])
    for doc in nlp.pipe(["", "  "]):
        assert outcome(doc)[:2] == ([], [])
    doc = nlp.get_pipe("transformer")(nlp.make_doc("no mentions"))
    with pytest.raises(ValueError, match=r"doc\.spans\['mentions'\] is missing"):
        pipe(doc)


def test_many_mentions_equal_their_parts(make_typed):
    nlp = make_typed(0.3)
    pipe = nlp.get_pipe("tommer_zeroshot")
    text = " ".join(TEXTS * 14)
    size = len(nlp.make_doc(text))
    places = [(i, j) for i in range(size - 10) for j in range(i + 1, i + 11)][:5000]
    assert len(places) == 5000
    scores = np.random.default_rng(0).uniform(0.1, 0.9, 5000).tolist()
    whole = stated(nlp, text, places, scores)
    _, logits = pipe.predict([whole])
    found, found_scores = [], []
    for start in range(0, 5000, 1250):
        part = slice(start, start + 1250)
        set_mentions(doc := whole.copy(), places[part], scores[part])
        assert_allclose(pipe.predict([doc])[1], logits[part], atol=1e-4)
        spans, _, some = outcome(pipe(doc))
        found += spans
        found_scores += some.tolist()
    spans, ents, all_scores = outcome(pipe(whole))
    assert 100 < len(spans) < 5000
    assert spans == found
    assert_allclose(all_scores, found_scores, atol=1e-5)
    assert len(ents) > 10


def test_scores_do_not_depend_on_the_batch(make_typed):
    nlp = make_typed(0.1)
    texts = ["Paris.", *TEXTS, "", " ".join(TEXTS * 3), "  ", "Angela Merkel met John."]
    alone = [nlp(text) for text in texts]
    assert sum(len(doc.spans["entities"]) for doc in alone) > 10
    for batch_size in (1, 3, 64):
        assert_equal_docs(nlp.pipe(texts, batch_size=batch_size), alone)


# A parent that computes in one thread would not tell whether its forks hang.
PIPE_IN_WORKERS = """
import sys, spacy, torch
torch.set_num_threads(2)
nlp = spacy.load(sys.argv[1])
for n in (1, 2):
    docs = list(nlp.pipe(sys.argv[2:] * 4, n_process=n, batch_size=3))
    for key in ("mentions", "entities"):
        print([[(s.start, s.end, s.label_) for s in doc.spans[key]] for doc in docs])
"""


def test_two_processes(make_typed, tmp_path):
    nlp = make_typed(0.1)
    nlp.to_disk(tmp_path / "nlp")
    command = [sys.executable, "-c", PIPE_IN_WORKERS, str(tmp_path / "nlp"), *TEXTS]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    *one, mentions, types = shown.stdout.splitlines()
    assert one == [mentions, types], shown.stderr
    docs = list(nlp.pipe(TEXTS * 4))
    found = [[(s.start, s.end, s.label_) for s in doc.spans["mentions"]] for doc in docs]
    assert any(found) and mentions == str(found)
    assert types == str([outcome(doc)[0] for doc in docs])
    assert "fork" not in shown.stderr


def test_errors_say_what_to_write(make_typed):
    with pytest.raises(ValueError, match=r'spacy_tommer\.load\("minilm"\)'):
        spacy.blank("en").add_pipe("tommer_zeroshot")
    nlp = make_typed(tommer={"threshold": 0.0})
    nlp.add_pipe("doc_cleaner", before="tommer_zeroshot")
    with pytest.raises(ValueError, match="tommer_cleaner"):
        nlp(TEXTS[0])
    nlp = make_typed(initialize=False)
    doc = stated(nlp, TEXTS[0], [(0, 2)])
    with pytest.raises(ValueError, match=r"no weights.*block 1, passes 1.*train a head"):
        nlp.get_pipe("tommer_zeroshot")(doc)
    pipe = nlp.get_pipe("tommer_zeroshot")
    with pytest.raises(ValueError, match="no shipped head 'nothing'"):
        pipe.initialize(lambda: make_examples(nlp), nlp=nlp, pretrained="nothing")
    with pytest.raises(ValueError, match=r"hidden = 16.*hidden = 5|hidden = 5.*16"):
        set_type_head(pipe.model, TypeHead(32, hidden=5))
    set_type_head(pipe.model, TypeHead(48, hidden=16))
    with pytest.raises(ValueError, match="width 48, and the transformer writes 32"):
        pipe.model.predict(
            zeroshot.TypeQuestion([doc], [PLACES[:1]], np.zeros((2, 48), "f"))
        )
    pipe.set_labels([])
    example = make_examples(nlp)[0]
    example.predicted = stated(nlp, TEXTS[0], PLACES[:1])
    with pytest.raises(ValueError, match="no training types"):
        pipe.update([example])


def test_a_saved_component_learns_on_with_its_own_labels(make_typed, tmp_path):
    nlp = make_typed()
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    pipe = again.get_pipe("tommer_zeroshot")
    example = make_examples(again)[0]
    places = [(s.start, s.end) for s in example.reference.spans["entities"]]
    pipe.set_labels(sorted({s.label_ for s in example.reference.spans["entities"]}))
    example.predicted = stated(again, example.reference.text, places)
    before = pipe.model.shims[0]._model.state_dict()["none.bias"].clone()
    losses = pipe.update([example], sgd=again.resume_training())
    assert losses["tommer_zeroshot"] > 0
    assert not torch.equal(before, pipe.model.shims[0]._model.state_dict()["none.bias"])


def test_new_labels_replace_the_entities_of_old_ones(make_typed):
    nlp = make_typed(threshold=0.0)
    pipe = nlp.get_pipe("tommer_zeroshot")
    doc = pipe(stated(nlp, TEXTS[0], [(0, 2), (3, 4)], [0.5, 0.5]))
    assert {ent.label_ for ent in doc.ents} <= set(pipe.labels)
    pipe.set_labels(["other"])
    assert {ent.label_ for ent in pipe(doc).ents} == {"other"}


def test_flat_mentions_of_tommer_give_way_where_no_mention_is_nested(make_typed):
    nlp = make_typed(tommer={"threshold": 1.0, "flat_threshold": 0.0})
    doc = nlp(TEXTS[0])
    assert len(doc.spans["mentions"]) == 0
    assert doc.ents == ()


def test_states_of_another_backbone_are_refused(make_typed, make_nlp):
    nlp, other = make_typed(), make_nlp("roberta")
    doc = set_mentions(other.get_pipe("transformer")(nlp.make_doc(TEXTS[0])), [(0, 2)])
    with pytest.raises(ValueError, match="another transformer"):
        nlp.get_pipe("tommer_zeroshot")(doc)


TYPES = {
    "PER": TrainingType("person", ["a human being", "someone with a name"]),
    "CITY": TrainingType("place", ["a town"]),
    "LOC": TrainingType("place", ["on the map"]),
    "ORG": TrainingType("firm", []),
}


def embedder(nlp):
    return lambda texts: definitions.embed(texts, nlp.get_pipe("transformer"), None)


def make_sampler(nlp):
    return TypeSampler(TYPES, embedder(nlp), "entities")


def placed(*places):
    return np.array(places, dtype="intp").reshape(-1, 2)


def test_forms_of_a_type():
    assert TYPES["PER"].texts("firm") == [
        "person",
        "person: a human being",
        "person: someone with a name",
        "a human being",
        "someone with a name",
        "firm: someone with a name",
    ]
    assert TYPES["ORG"].texts("place") == ["firm"]


def test_targets_by_hand(make_nlp):
    nlp = make_nlp()
    sampler = make_sampler(nlp)
    examples = make_examples(nlp, [SENTENCES[i] for i in (0, 1, 4, 4)])
    examples[0].reference.spans["entities"].attrs["labels"] = ["PER", "CITY", "UNKNOWN"]
    del examples[3].reference.spans["entities"]
    spans = [placed((0, 2), (0, 3), (4, 5)), placed((3, 4), (0, 2)), *[placed((0, 1))] * 2]
    batch = sampler.batch(examples, spans)
    firm, person, place = 1, 2, 3
    assert batch.targets.tolist() == [person, 0, place, place, 0, 0, 0]
    everything = [True] * 4
    assert batch.counted.tolist() == [
        everything,
        [True, False, True, True],
        *[everything] * 4,
        [True, False, False, False],
    ]
    assert batch.definitions.shape == (3, 32)
    for column, name in ((firm, "firm"), (person, "person"), (place, "place")):
        row = batch.definitions[column - 1]
        assert any((row == vector).all() for vector in sampler.vectors[name])
    assert len(sampler.vectors["place"]) > len(sampler.vectors["firm"])


def test_vectors_of_training_types(make_nlp):
    nlp = make_nlp()
    sampler = make_sampler(nlp)
    texts = TYPES["PER"].texts("")[:5]
    assert_allclose(
        sampler.vectors["person"][:5], definition_vectors(nlp, texts), atol=1e-4
    )


def test_types_that_a_batch_is_compared_with(make_nlp, monkeypatch):
    monkeypatch.setattr(typed_batches, "OTHERS", 1)
    nlp = make_nlp()
    sampler = make_sampler(nlp)
    examples = make_examples(nlp, [SENTENCES[1]])
    sizes = set()
    for _ in range(20):
        batch = sampler.batch(examples, [placed((3, 4))])
        columns = len(batch.definitions)
        sizes.add(columns)
        assert batch.counted.shape == (1, columns + 1)
        assert 1 <= batch.targets[0] <= columns
    assert sizes == {1, 2}


LEVELS = {
    "city": TrainingType("city", ["a large town"], ["settlement", "location"]),
    "town": TrainingType("settlement", [], ["location", "inhabited place"]),
    "river": TrainingType("river", ["it flows"], ["location"]),
    "poet": TrainingType("poet", [], ["person"]),
    "PER": TrainingType("person", ["a human being"]),
    "GPE": TrainingType("state or town", ["it has a government"], [], ["settlement"]),
}


def test_types_that_are_true_besides():
    relations = Relations(LEVELS.values())
    above = ["settlement", "location", "inhabited place"]
    assert relations.true["city"] == ["city", *above]
    assert relations.broader("settlement") == above[1:]
    assert relations.broader("location") == relations.broader("person") == []
    ring = [TrainingType("a", [], ["b"]), TrainingType("b", [], ["c"])]
    ring = [*ring, TrainingType("c", [], ["a"]), TrainingType("a", [], ["d"])]
    assert Relations(ring).true["a"] == ["a", "b", "d", "c"]

    def besides(name, target):
        return {one for one in relations.true if relations.may_hold(name, target, one)}

    assert besides("city", "city") == {"city", *above, "state or town"}
    assert besides("city", "location") == {"city", *above, "river", "state or town"}
    assert besides("river", "river") == {"river", "location"}
    assert besides("state or town", "state or town") == {
        "state or town",
        "settlement",
        "city",
    }
    assert besides("poet", "poet") == {"poet", "person"}


def test_the_target_is_the_most_specific_type_that_takes_part(make_nlp):
    nlp = make_nlp()
    sampler = TypeSampler(LEVELS, embedder(nlp), "entities")
    columns = {"location": 1, "person": 2, "poet": 3, "river": 4, "settlement": 5}
    target, row = sampler.compared("city", columns)
    assert (target, row.tolist()) == (5, [True, False, True, True, True, True])
    del columns["settlement"]
    target, row = sampler.compared("city", columns)
    assert (target, row.tolist()) == (1, [True, True, True, True, False])
    target, row = sampler.compared("river", columns)
    assert (target, row.tolist()) == (4, [True, False, True, True, True])
    target, row = sampler.compared("person", columns)
    assert (target, row.tolist()) == (2, [True, True, True, False, True])


def test_types_of_a_batch_are_narrow_and_broad(make_nlp, monkeypatch):
    monkeypatch.setattr(typed_batches, "OTHERS", 0)
    nlp = make_nlp()
    sampler = TypeSampler(LEVELS, embedder(nlp), "entities")
    examples = make_examples(nlp, [("Oslo is old.", {"Oslo": "city"})])
    examples[0].reference.spans["entities"].attrs["labels"] = ["town", "poet"]
    found = []
    for _ in range(200):
        batch = sampler.batch(examples, [placed((0, 1), (1, 2))])
        assert batch.targets.tolist() == [1, 0] and len(batch.definitions) == 1
        (name,) = [
            name
            for name, vectors in sampler.vectors.items()
            if any(np.array_equal(batch.definitions[0], vector) for vector in vectors)
        ]
        found.append(name)
        assert batch.counted.tolist() == [[True, True], [True, name != "city"]]
    counts = {name: found.count(name) for name in sampler.relations.true["city"]}
    assert sum(counts.values()) == 200
    assert 75 < counts.pop("city") < 125
    assert all(15 < count < 55 for count in counts.values())


def test_loss_against_torch():
    rng = np.random.default_rng(0)
    counted = rng.random((7, 5)) < 0.6
    counted[:, 0] = True
    targets = np.array([rng.choice(np.flatnonzero(row)) for row in counted])
    batch = TypedBatch(np.zeros((4, 2), dtype="f"), targets, counted)
    logits = torch.tensor(rng.normal(size=(7, 4)) * 3, requires_grad=True)
    scores = torch.cat([torch.zeros(7, 1, dtype=logits.dtype), logits], dim=1)
    masked = scores.masked_fill(~torch.tensor(counted), -torch.inf)
    expected = torch.nn.functional.cross_entropy(masked, torch.tensor(targets))
    expected.backward()
    loss, gradient = batch.loss(logits.detach().numpy().astype("f"))
    assert type(loss) is float and loss == pytest.approx(expected.item(), rel=1e-5)
    assert gradient.dtype == "float32"
    assert_allclose(gradient, logits.grad.numpy(), atol=1e-6)
    assert (gradient[~counted[:, 1:]] == 0).all()


def test_a_label_that_is_no_training_type(make_typed):
    nlp = make_typed()
    (example,) = make_examples(nlp, [("Anna sang.", {"Anna": "SINGER"})])
    example.predicted = stated(nlp, "Anna sang.", [(0, 1)])
    with pytest.raises(ValueError, match="the label 'SINGER'"):
        nlp.get_pipe("tommer_zeroshot").update([example])


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"name": "", "definitions": ["x"]},
        {"name": "x"},
        {"name": "x", "definitions": [], "broader": "y"},
        {"name": "x", "definitions": [], "broader": [""]},
        {"name": "x", "definitions": [], "overlaps": None},
        {"name": "x", "definitions": ["a", ""]},
        {"name": "x", "definitions": "a place"},
        "a place",
    ],
)
def test_a_definition_that_is_empty(entry, make_typed, tmp_path):
    path = tmp_path / "types.json"
    good = {"name": "person", "definitions": ["a human being"]}
    path.write_text(json.dumps({"PER": good, "LOC": entry}))
    nlp = make_typed()
    with pytest.raises(ValueError, match=r"types\.json, 'LOC' lacks its"):
        nlp.get_pipe("tommer_zeroshot").initialize(
            lambda: make_examples(nlp), nlp=nlp, definitions=str(path)
        )
    more = {"name": "poet", "definitions": [], "broader": ["person"], "overlaps": ["job"]}
    path.write_text(json.dumps({"PER": good, "poet": more}))
    assert read_types(path) == {
        "PER": TrainingType("person", ["a human being"]),
        "poet": TrainingType("poet", [], ["person"], ["job"]),
    }


def test_labels_of_the_training_texts(make_typed, tmp_path):
    nlp = make_typed(labels=[])
    assert nlp.get_pipe("tommer_zeroshot").label_data == {"LOC": ["LOC"], "PER": ["PER"]}
    path = tmp_path / "types.json"
    types = {
        label: {"name": type_.name, "definitions": type_.definitions}
        for label, type_ in TYPES.items()
        if type_.definitions
    }
    types["poet"] = {"name": "poet", "definitions": [], "broader": ["person"]}
    path.write_text(json.dumps(types))
    nlp = make_typed(labels=[], initialize=False)
    pipe = nlp.get_pipe("tommer_zeroshot")
    pipe.initialize(lambda: [], nlp=nlp, definitions=str(path))
    assert pipe.label_data == {
        "PER": ["person, a human being"],
        "CITY": ["place, a town"],
        "LOC": ["place, on the map"],
    }


def test_overfit(make_typed, tmp_path):
    nlp = make_typed(
        0.5, tommer={"threshold": 0.0}, initialize=False, labels=["LOC", "PER"]
    )
    golds = [gold_doc(nlp, *sentence) for sentence in SENTENCES]
    DocBin(docs=golds).to_disk(tmp_path / "gold.spacy")
    read = CachedCorpus(tmp_path / "gold.spacy", tmp_path / "cache", propose_gold=True)
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: read(nlp))
    before = nlp.evaluate(make_examples(nlp))["ents_f"]
    optimizer.learn_rate = 0.01
    examples = list(read(nlp))
    for _ in range(200):
        losses = nlp.update(
            examples,
            sgd=optimizer,
            exclude=["transformer"],
            annotates=["tommer"],
        )
    assert losses["tommer_zeroshot"] < 0.1
    scores = nlp.evaluate(make_examples(nlp))
    assert before < 0.5
    assert scores["ents_f"] > 0.9
    assert scores["spans_entities_f"] > 0.9
    assert scores["ents_per_type"]["LOC"]["r"] == 1


def test_training_from_the_command_line(make_nlp, tmp_path):
    nlp = make_nlp(threshold=0.0)
    nlp.initialize(lambda: make_examples(nlp))
    nlp.to_disk(tmp_path / "mentions")
    golds = [gold_doc(nlp, *sentence) for sentence in SENTENCES]
    DocBin(docs=golds).to_disk(tmp_path / "gold.spacy")
    types = {key: {"name": text, "definitions": [text]} for key, text in LABELS.items()}
    (tmp_path / "types.json").write_text(json.dumps(types))
    overrides = {
        "paths.train": str(tmp_path / "gold.spacy"),
        "paths.dev": str(tmp_path / "gold.spacy"),
        "paths.cache": str(tmp_path / "cache"),
        "paths.mentions": str(tmp_path / "mentions"),
        "paths.definitions": str(tmp_path / "types.json"),
        "training.max_steps": 4,
        "training.eval_frequency": 2,
    }
    train(CONFIG, tmp_path / "output", overrides=overrides)
    trained = spacy.load(tmp_path / "output" / "model-last")
    pipe = trained.get_pipe("tommer_zeroshot")
    assert pipe.label_data == {key: [f"{text}, {text}"] for key, text in LABELS.items()}
    doc = stated(trained, TEXTS[0], [(0, 2), (3, 4)], [0.5, 0.9])
    assert_allclose(pipe.predict([doc])[1], logits_by_hand(trained, doc), atol=1e-4)
    assert trained.meta["performance"]["spans_entities_f"] is not None


def test_an_update_without_mentions(make_typed):
    nlp = make_typed()
    (example,) = make_examples(nlp, SENTENCES[:1])
    example.predicted = stated(nlp, example.text, [])
    pipe = nlp.get_pipe("tommer_zeroshot")
    assert pipe.update([example]) == {"tommer_zeroshot": 0.0}


def test_typed_counts_by_hand():
    counts = TypedCounts()
    counts.add(
        {(0, 4, "PER"), (5, 9, "LOC"), (10, 12, "LOC")}, {(0, 4, "PER"), (5, 9, "ORG")}
    )
    counts.add({(0, 4, "PER")}, {(0, 4, "PER"), (6, 8, "LOC")})
    assert counts.right == {"PER": 2}
    assert counts.wrong == {"LOC": 2}
    assert counts.missed == {"ORG": 1, "LOC": 1}
    assert counts.measures() == {"p": 0.5, "r": 0.5, "f": 0.5}
    assert counts.measures(["PER", "ORG"]) == {"p": 1, "r": 2 / 3, "f": 0.8}
    assert counts.measures([]) == TypedCounts().measures() == {"p": 0, "r": 0, "f": 0}


def test_counts_at_each_threshold(make_typed, monkeypatch):
    nlp = make_typed(0.5, tommer={"flat_threshold": 0.0})
    pipe = nlp.get_pipe("tommer_zeroshot")
    (example,) = make_examples(nlp, SENTENCES[:1])
    example.reference.ents = [
        *example.reference.ents,
        Span(example.reference, 2, 3, "VERB"),
    ]
    logits = np.array([(2, 0), (1, -1), (-1, -9)], dtype="f")
    found = ([placed((0, 2), (3, 4), (4, 5))], logits)
    monkeypatch.setattr(pipe, "predict", lambda docs: found)

    def read(nlp):
        example.predicted = nlp.get_pipe("transformer")(nlp.make_doc(example.text))
        return [example]

    labels = {"PER": "a human being", "LOC": "a place"}
    vectors = pipe.definitions()
    low, high = count_entities(nlp, read, labels, [0.1, 0.8])
    assert len(pipe.model.attrs["vectors"]) == 3
    assert_allclose(pipe.definitions(), vectors)
    assert pipe.threshold == 0.5 and pipe.labels == tuple(LABELS)
    assert (low.right, low.wrong, low.missed) == ({"PER": 1}, {"PER": 2}, {"LOC": 1})
    assert (high.right, high.wrong, high.missed) == ({"PER": 1}, {}, {"LOC": 1})
    (own,) = count_entities(nlp, read, {"PER": "a human being"})
    assert (own.right, own.wrong, own.missed) == ({"PER": 1}, {"PER": 1}, {})
    pipe.model.attrs["precision"] = "int8"  # the label vectors come from another machine
    count_entities(nlp, read, {"PER": "a human being"})
    assert pipe.model.attrs["precision"] == "int8"


def test_gold_is_taken_with_its_types(make_typed, monkeypatch):
    nlp = make_typed(0.5, tommer={"flat_threshold": 0.0})
    pipe = nlp.get_pipe("tommer_zeroshot")
    (example,) = make_examples(nlp, SENTENCES[:1])
    kinds = [Span(example.reference, 0, 2, "NAME"), Span(example.reference, 4, 5, "NAME")]
    example.reference.set_ents(kinds)
    logits = np.array([(2, 0), (-1, -1)], dtype="f")
    monkeypatch.setattr(pipe, "predict", lambda docs: ([placed((0, 2), (4, 5))], logits))
    example.predicted = nlp.get_pipe("transformer")(nlp.make_doc(example.text))
    labels = {"PER": "a human being", "LOC": "a place"}
    (counts,) = count_entities(nlp, lambda nlp: [example], labels)
    assert (counts.right, counts.wrong, counts.missed) == ({"PER": 1}, {}, {"LOC": 1})
    del example.reference.spans["entities"]
    (counts,) = count_entities(nlp, lambda nlp: [example], {**labels, "NAME": "a name"})
    assert (counts.right, counts.wrong, counts.missed) == ({}, {"PER": 1}, {"NAME": 2})


def test_the_docbin_of_a_set(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.spacy").touch()
    assert find_set(tmp_path, "folder") == tmp_path / "folder"
    assert find_set(tmp_path, "file") == tmp_path / "file.spacy"
    (tmp_path / "folder" / "test.spacy").touch()
    assert find_set(tmp_path, "folder") == tmp_path / "folder" / "test.spacy"
    with pytest.raises(FileNotFoundError, match="no DocBin of 'nothing'"):
        find_set(tmp_path, "nothing")


def test_known_types():
    names = {"person", "river"}
    assert is_known("river", "flows", names)
    assert is_known("PER", "person, a human being", names)
    assert not is_known("PER", "a person", names)
    assert not is_known("rivers", "flows, river", names)
    assert not is_known("river", "flows", set())
