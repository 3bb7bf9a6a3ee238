import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
import spacy
from conftest import GOLD, TEXTS, add_backbone, mark
from numpy.testing import assert_allclose
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_tommer.head.model import get_head


def train(nlp, examples, steps=80, **kwargs):
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(steps):
        losses = nlp.update(
            examples,
            sgd=optimizer,
            exclude=["transformer"],
            annotates=["transformer"],
            **kwargs,
        )
    return losses


def found(doc, key="mentions"):
    return sorted(span.text for span in doc.spans[key])


def test_the_name_is_known_without_an_import():
    code = """
import spacy
try:
    spacy.blank("en").add_pipe("tommer")
except ValueError as error:
    print(error)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'spacy_tommer.add(nlp, "minilm")' in shown.stdout, shown.stderr


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("unit", ["token", "piece"])
def test_overfit_save_reload(family, unit, make_nlp, examples, tmp_path):
    model = {"@architectures": "spacy_tommer.Tommer.v1", "unit": unit}
    nlp = make_nlp(family, model=model, flat_threshold=0.5)
    train(nlp, examples)
    docs = [nlp(text) for text in TEXTS]
    for doc, gold in zip(docs, GOLD):
        assert found(doc) == sorted(gold)
        scores = doc.spans["mentions"].attrs["scores"]
        assert len(scores) == len(gold)
        assert all(type(score) is float and 0.5 < score <= 1 for score in scores)
        order = [(span.start, span.end) for span in doc.spans["mentions"]]
        assert order == sorted(order)
        assert {span.label_ for span in doc.spans["mentions"]} == {"MENTION"}
    assert {"Barack Obama", "Hawaii"} < {ent.text for ent in docs[0].ents}
    assert len(docs[0].ents) == 3

    scores = nlp.evaluate(examples)
    assert scores["spans_mentions_f"] == 1
    assert scores["spans_mentions_per_type"]["THING"]["r"] == 1

    nlp.to_disk(tmp_path / "nlp")
    from_disk = spacy.load(tmp_path / "nlp")
    from_bytes = make_nlp(family, model=model).from_bytes(nlp.to_bytes())
    for loaded in (from_disk, from_bytes):
        for doc, again in zip(docs, loaded.pipe(TEXTS)):
            assert found(again) == found(doc)
            assert_allclose(
                again.spans["mentions"].attrs["scores"],
                doc.spans["mentions"].attrs["scores"],
                atol=1e-6,
            )
            assert [ent.text for ent in again.ents] == [ent.text for ent in doc.ents]


def test_scores_survive_a_docbin(make_nlp, examples):
    nlp = make_nlp()
    train(nlp, examples, steps=5)
    doc = nlp(TEXTS[0])
    stored = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes())
    (again,) = stored.get_docs(nlp.vocab)
    assert again.spans["mentions"].attrs == doc.spans["mentions"].attrs
    assert len(doc.spans["mentions"]) > 0


def test_spans_inside_tokens_are_counted_and_told_once(make_nlp, examples):
    model = {"@architectures": "spacy_tommer.Tommer.v1", "unit": "piece"}
    nlp = make_nlp(model=model, threshold=0.0, border_rules=False)
    nlp.initialize(lambda: examples)
    # Wordpieces "Angel", "##a" and "met": of six spans, three start or end inside "Angela".
    doc = Doc(nlp.vocab, ["Angela", "met"])
    with pytest.warns(UserWarning, match="^3 spans .*'tommer' start or end inside a token"):
        nlp(doc)
    assert found(doc) == ["Angela", "Angela met", "met"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp("Angela met John.")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_scores_do_not_depend_on_the_batch(family, make_nlp, examples, monkeypatch):
    nlp = make_nlp(family)
    nlp.initialize(lambda: examples)
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = 0.0
    texts = ["Paris.", *TEXTS, "", " ".join(TEXTS * 3), "  ", "Angela Merkel met John."]
    alone = [nlp(text).spans["mentions"].attrs["scores"] for text in texts]
    assert [len(scores) > 0 for scores in alone] == [bool(t.strip()) for t in texts]
    monkeypatch.setattr("spacy_tommer.head.model.BATCH_UNITS", 20)
    for batch_size in (1, 2, 3, 64):
        for doc, scores in zip(nlp.pipe(texts, batch_size=batch_size), alone):
            assert_allclose(doc.spans["mentions"].attrs["scores"], scores, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_long_documents(family, make_nlp, examples):
    """A mention deep inside scores as in a Doc of the window that first holds it, and
    one that two windows share is found."""
    nlp = make_nlp(family, window=40, stride=30, threshold=0.0)
    nlp.initialize(lambda: examples)
    doc = nlp(" ".join(TEXTS * 20))
    scores = dict(zip(doc.spans["mentions"], doc.spans["mentions"].attrs["scores"]))
    first = 30 * 15
    window = nlp(doc[first : first + 40].text)
    inside = {
        (span.start + first, span.end + first): score
        for span, score in zip(
            window.spans["mentions"], window.spans["mentions"].attrs["scores"]
        )
        # before lie the tokens of the last window; the end has no next token
        if span.start - (span.end - span.start) >= 10 and span.end < 40
    }
    assert len(inside) > 100
    found = {(span.start, span.end): score for span, score in scores.items()}
    for span, score in inside.items():
        assert found[span] == pytest.approx(score, abs=1e-4)
    assert (first + 38, first + 43) in found


def test_no_mention_begins_or_ends_with_white_space(make_nlp, examples):
    nlp = make_nlp("gpt2", threshold=0.0)
    nlp.initialize(lambda: examples)
    doc = nlp("Barack  Obama \n visits \u200b Paris.")
    assert len(doc.spans["mentions"]) > 10
    for span in doc.spans["mentions"]:
        assert span.text == span.text.strip()
    inner = {span.text for span in doc.spans["mentions"]}
    assert "Barack  Obama" in inner


def scored_doc(nlp, cells):
    """A Doc of ten tokens with given logits of spans (first, last)."""
    doc = Doc(nlp.vocab, [f"w{i}" for i in range(10)])
    logits = np.full((10, 25, 1), -20.0, dtype="f")
    for (first, last), score in cells.items():
        logits[last, last - first] = score
    return doc, [Ragged(logits, np.ones(10, dtype="i"))]


def test_settings_of_a_loaded_pipeline(make_nlp):
    nlp = make_nlp()
    tommer = nlp.get_pipe("tommer")
    doc, scores = scored_doc(nlp, {(0, 3): 5.0, (1, 2): 1.0, (6, 6): 3.0, (8, 9): -1.0})

    def spans(group):
        return [(span.start, span.end - 1) for span in group]

    tommer.set_annotations([doc], scores)
    assert spans(doc.spans["mentions"]) == [(0, 3), (1, 2), (6, 6)]
    assert spans(doc.ents) == [(0, 3), (6, 6)]
    tommer.threshold = 0.2
    tommer.flat_threshold = 0.99
    tommer.label = "THING"
    tommer.spans_key = "things"
    tommer.set_annotations([doc], scores)
    assert spans(doc.spans["things"]) == [(0, 3), (1, 2), (6, 6), (8, 9)]
    assert doc.spans["things"][0].label_ == "THING"
    assert tommer.labels == ("THING",)
    tommer.cfg["threshold"] = 0.9
    tommer.set_annotations([doc], scores)
    assert spans(doc.spans["things"]) == [(0, 3), (6, 6)]
    with pytest.raises(ValueError, match="between 0 and 1"):
        tommer.flat_threshold = 1.5
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_nlp(threshold=-1)


@pytest.mark.parametrize(
    "overwrite, expected", [(False, [(2, 4), (6, 6)]), (True, [(0, 3), (6, 6)])]
)
def test_entities_of_an_earlier_pipe(overwrite, expected, make_nlp):
    nlp = make_nlp(overwrite_ents=overwrite)
    tommer = nlp.get_pipe("tommer")
    doc, scores = scored_doc(nlp, {(0, 3): 5.0, (6, 6): 3.0})
    doc.ents = [Span(doc, 2, 5, label="ORG"), Span(doc, 9, 10, label="GPE")]
    tommer.set_annotations([doc], scores)
    ents = [(ent.start, ent.end - 1, ent.label_) for ent in doc.ents]
    labels = ["MENTION" if span in ((0, 3), (6, 6)) else "ORG" for span in expected]
    assert ents == [
        *((*span, label) for span, label in zip(expected, labels)),
        (9, 9, "GPE"),
    ]


def test_doc_ents_are_left_alone_without_a_flat_threshold(make_nlp):
    nlp = make_nlp(flat_threshold=None)
    doc, scores = scored_doc(nlp, {(0, 3): 5.0})
    doc.ents = [Span(doc, 2, 5, label="ORG")]
    nlp.get_pipe("tommer").set_annotations([doc], scores)
    assert [ent.label_ for ent in doc.ents] == ["ORG"]
    assert len(doc.spans["mentions"]) == 1


def test_ignored_and_unannotated_texts_have_no_loss(make_nlp, examples):
    nlp = make_nlp()
    nlp.initialize(lambda: examples)
    tommer = nlp.get_pipe("tommer")
    trf = nlp.get_pipe("transformer")
    for example in examples:
        trf(example.predicted)
    scores, _ = tommer.model.begin_update([example.x for example in examples])
    bounds = np.cumsum([0] + [len(example.x) for example in examples])

    def gradients():
        _, d_logits = tommer.get_loss(examples, scores)
        return [d_logits[a:b] for a, b in pairwise(bounds)]

    first, second, third = gradients()
    assert (first[12, :13] != 0).all()
    mark(examples[0].reference, ["Barack Obama was", "Hawaii"], "ignored")
    first, second, third = gradients()
    assert first[2, 2] == 0  # ignored
    assert first[5, 0] < 0  # gold wins over ignored
    assert first[3, 2] > 0
    del examples[1].reference.spans["mentions"]
    first, second, third = gradients()
    assert (second == 0).all() and (third != 0).any()


def test_gold_with_other_tokens_than_the_prediction(make_nlp):
    nlp = make_nlp(flat_threshold=0.5)
    words = ["She", "can", "'t", "visit", "the", "U.S", ".", "in", "2024", "."]
    spaces = [True, False, True, True, True, False, True, True, False, False]
    reference = Doc(nlp.vocab, words, spaces)
    reference.spans["mentions"] = [reference[5:7], reference[2:3], reference[8:9]]
    predicted = nlp.make_doc(reference.text)
    assert [token.text for token in predicted][1:3] == ["ca", "n't"]
    examples = [Example(predicted, reference)]
    train(nlp, examples)
    assert found(nlp(reference.text)) == ["2024", "U.S."]
    assert nlp.evaluate(examples)["spans_mentions_p"] == 1


def test_training_leaves_the_backbone_as_it_is(make_nlp, examples):
    """Also beside a trainable ner that listens to it, frozen or not."""
    for example in examples:
        example.reference.ents = [example.reference[0:1]]
    nlp = make_nlp("llama")
    nlp.add_pipe(
        "ner",
        config={
            "model": {
                "@architectures": "spacy.TransitionBasedParser.v2",
                "state_type": "ner",
                "tok2vec": {
                    "@architectures": "spacy-transformers.TransformerListener.v1",
                    "grad_factor": 1.0,
                    "pooling": {"@layers": "reduce_mean.v1"},
                },
            }
        },
    )
    optimizer = nlp.initialize(lambda: examples)
    network = nlp.get_pipe("transformer").model.shims[0].cut.network
    before = {name: p.clone() for name, p in network.state_dict().items()}
    head = nlp.get_pipe("tommer").model.shims[0]._model.matching.query.detach().clone()
    for exclude in (["transformer"], []):
        for _ in range(10):
            losses = nlp.update(
                examples, sgd=optimizer, exclude=exclude, annotates=["transformer"]
            )
        assert losses["ner"] > 0 and losses["tommer"] > 0
    for name, p in network.state_dict().items():
        assert p.equal(before[name]), name
    assert not network.training
    assert not head.equal(nlp.get_pipe("tommer").model.shims[0]._model.matching.query)


def test_joining_a_pipeline_with_a_trained_ner(make_nlp, examples):
    source = make_nlp(flat_threshold=0.5)
    train(source, examples)
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    for example in examples:
        example.reference.ents = [Span(example.reference, 1, 2, label="ORG")]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(30):
        nlp.update(examples, sgd=optimizer)
    for name in ("transformer", "tommer"):
        nlp.add_pipe(name, source=source)
    doc = nlp(TEXTS[2])
    assert found(doc) == sorted(GOLD[2])
    ents = {(ent.text, ent.label_) for ent in doc.ents}
    assert ents == {
        ("mayor", "ORG"),
        ("Paris", "MENTION"),
        ("Angela Merkel", "MENTION"),
        ("Gare du Nord", "MENTION"),
    }
    assert ner.labels == ("ORG",)


def test_errors_say_what_to_write(make_nlp, examples, tiny):
    nlp = make_nlp()
    with pytest.raises(ValueError, match="pretrained"):
        nlp(TEXTS[0])
    for example in examples:
        example.reference.spans.clear()
    with pytest.raises(ValueError, match=r"doc\.spans\['mentions'\]"):
        nlp.initialize(lambda: examples)

    with pytest.raises(ValueError, match="annotating_components"):
        nlp.get_pipe("tommer")(nlp.make_doc("no states"))
    doc = nlp.make_doc("curated")
    doc._.trf_data = object()
    with pytest.raises(ValueError, match=r"spacy_tommer\.Backbone\.v1"):
        nlp.get_pipe("tommer")(doc)
    with pytest.raises(ValueError, match="no model or folder 'nothing'"):
        nlp.get_pipe("tommer").initialize(lambda: examples, nlp=nlp, pretrained="nothing")
    late = spacy.blank("en")
    add_backbone(late, tiny("bert"), (0, 1))
    model = {"@architectures": "spacy_tommer.Tommer.v1", "layer": 2}
    late.add_pipe("tommer", config={"model": model})
    with pytest.raises(ValueError, match=r"layers = \[0, 1\]"):
        late.get_pipe("tommer").initialize(
            lambda: [Example(d := late.make_doc("a"), mark(d.copy(), ["a"]))], nlp=late
        )


def test_the_gradients_are_clipped_together(make_nlp, examples, monkeypatch):
    nlp = make_nlp()
    optimizer = nlp.initialize(lambda: examples)
    optimizer.grad_clip = 1e-3
    head = get_head(nlp.get_pipe("tommer").model)
    norms = []
    monkeypatch.setattr(
        type(optimizer),
        "__call__",
        lambda self, key, weights, gradient, **kwargs: (
            norms.append(np.linalg.norm(gradient)) or (weights, gradient)
        ),
    )
    nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])
    assert len(norms) == len(list(head.parameters()))
    assert np.linalg.norm(norms) == pytest.approx(1e-3, rel=1e-3)


def test_weight_decay_leaves_vectors_alone(make_nlp, examples):
    nlp = make_nlp()
    optimizer = nlp.initialize(lambda: examples)
    optimizer.L2 = 0.5
    optimizer.L2_is_weight_decay = True
    shim = nlp.get_pipe("tommer").model.shims[0]
    head = get_head(nlp.get_pipe("tommer").model)
    for weights in head.parameters():
        weights.grad = weights.new_zeros(weights.shape)
    for vector in (head.edges.length, head.value.bias):
        vector.data.fill_(1.0)
    before = {name: p.detach().clone() for name, p in head.named_parameters()}
    shim.finish_update(optimizer)
    shrunk = {n for n, p in head.named_parameters() if p.norm() < before[n].norm()}
    matrices = {"matching.query", "matching.key", "value.weight", "edges.inner.weight"}
    assert matrices <= shrunk
    assert not {"mixing", "value.bias", "edges.inner.bias", "edges.length"} & shrunk
    assert optimizer.L2 == 0.5
