from collections import Counter

import numpy as np
import pytest
import spacy
from conftest import TEXTS
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_tommer.keys import TARGETS
from spacy_tommer.training.distillation import distil_docs


@pytest.fixture
def teacher(make_nlp):
    """Give a pipeline with a random head, which scores spans at random."""
    nlp = make_nlp(threshold=0.5, flat_threshold=None)
    examples = [gold_example(nlp, text) for text in TEXTS]
    fix_random_seed(1)
    nlp.initialize(lambda: examples)
    return nlp


def gold_example(nlp, text):
    doc = nlp.make_doc(text)
    doc.spans["mentions"] = [doc[0:2], doc[3:4]]
    return Example(nlp.get_pipe("transformer")(nlp.make_doc(text)), doc)


def places(spans):
    return [(span.start_char, span.end_char) for span in spans]


def find(teacher):
    docs = list(teacher.pipe(TEXTS))
    return {doc.text: places(doc.spans["mentions"]) for doc in docs}


def test_sparse_distillation_adds_what_the_teacher_finds(teacher):
    found = find(teacher)
    counts = Counter()
    examples = [gold_example(teacher, text) for text in TEXTS]
    for doc in distil_docs([teacher.get_pipe("tommer")], examples, "mentions", 0.5, counts):
        gold = [doc[0:2], doc[3:4]]
        expected = sorted({*found[doc.text], *places(gold)})
        assert places(doc.spans["mentions"]) == expected
        assert len(expected) > 2
        labels = {s.label_ for s in doc.spans["mentions"] if s not in gold}
        assert labels == {"MENTION"}
        assert "ignored" not in doc.spans
    assert counts["gold"] == 6
    total = sum(len(example.y.spans["mentions"]) for example in examples)
    assert counts["added"] == total - 6
    assert counts["tokens"] == sum(len(example.y) for example in examples)


def test_masking_leaves_the_mentions_alone(teacher):
    found = find(teacher)
    examples = [gold_example(teacher, text) for text in TEXTS]
    for doc in distil_docs(
        [teacher.get_pipe("tommer")], examples, "ignored", 0.5, Counter()
    ):
        gold = places([doc[0:2], doc[3:4]])
        assert places(doc.spans["mentions"]) == gold
        assert places(doc.spans["ignored"]) == sorted(set(found[doc.text]) - set(gold))


@pytest.mark.parametrize("gold_share", [None, 0.0, 0.3])
def test_dense_targets_are_the_teacher_s_probabilities(teacher, gold_share):
    examples = [gold_example(teacher, text) for text in TEXTS]
    pipe = teacher.get_pipe("tommer")
    scores = pipe.predict([example.x for example in examples])
    docs = distil_docs([pipe], examples, "targets", 0.5, Counter(), gold_share)
    for doc, logits in zip(docs, scores):
        expected = 1 / (1 + np.exp(-logits.dataXd.astype("float64")))
        if gold_share is None:
            expected[1, 1] = expected[3, 0] = 1
        else:
            expected *= 1 - gold_share
            expected[1, 1] += gold_share
            expected[3, 0] += gold_share
        assert doc.user_data[TARGETS] == pytest.approx(expected, abs=1e-3)
        assert len(doc.spans["mentions"]) == 2


def test_dense_targets_of_kinds_and_sources(make_nlp):
    nlp = make_nlp(model={"kinds": ["NAME", "TERM"], "sources": ["x", "y"]})
    example = gold_example(nlp, TEXTS[0])
    nlp.initialize(lambda: [example])
    doc = example.reference
    spans = [Span(doc, 0, 2, "NAME"), Span(doc, 3, 4, "THING")]
    attrs = {"kinds": ["NAME", "TERM"], "source": "y"}
    doc.spans["mentions"] = SpanGroup(doc, name="mentions", spans=spans, attrs=attrs)
    pipe = nlp.get_pipe("tommer")
    (logits,) = pipe.predict([example.predicted])
    said = 1 / (1 + np.exp(-logits.dataXd.astype("float64")))  # (n, L, 4)
    (doc,) = distil_docs([pipe], [example], "targets", 0.5, Counter(), 0.3)
    expected = 0.7 * said
    expected[..., 2] = said[..., 2]  # it marks nothing for the source "x"
    expected[1, 1, [0, 3]] += 0.3
    expected[3, 0, 3] += 0.3
    # Of one of the kinds: shared as the teacher would.
    expected[3, 0, :2] += 0.3 * said[3, 0, :2] / said[3, 0, :2].sum()
    assert doc.user_data[TARGETS] == pytest.approx(expected, abs=1e-3)


def test_spans_that_the_gold_tokens_do_not_fit_are_counted(teacher):
    text = TEXTS[0]
    whole = Doc(teacher.vocab, [text], spaces=[False])
    whole.spans["mentions"] = []
    predicted = teacher.get_pipe("transformer")(teacher.make_doc(text))
    counts = Counter()
    (doc,) = distil_docs(
        [teacher.get_pipe("tommer")], [Example(predicted, whole)], "mentions", 0.5, counts
    )
    assert not doc.spans["mentions"]
    assert counts["unaligned"] == len(find(teacher)[text]) > 0
    assert counts["added"] == 0


def test_a_student_learns_from_what_was_added(teacher, make_nlp):
    examples = [gold_example(teacher, text) for text in TEXTS]
    docs = list(
        distil_docs([teacher.get_pipe("tommer")], examples, "mentions", 0.5, Counter())
    )
    assert sum(len(doc.spans["mentions"]) for doc in docs) > 8
    student = make_nlp(flat_threshold=None)
    optimizer = student.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(150):
        student.update(examples, sgd=optimizer, exclude=["transformer"])
    scores = student.evaluate(
        [Example(spacy.blank("en").make_doc(doc.text), doc) for doc in docs]
    )
    assert scores["spans_mentions_r"] > 0.9


def test_several_teachers_are_averaged(teacher, make_nlp):
    other = make_nlp()
    other.initialize(lambda: [gold_example(other, text) for text in TEXTS])
    pipes = [teacher.get_pipe("tommer"), other.get_pipe("tommer")]
    pipes[1].model.shims[0]._model.matching.query.data *= -1
    examples = [gold_example(teacher, text) for text in TEXTS]
    predicted = [example.x for example in examples]
    said = [pipe.predict(predicted) for pipe in pipes]
    docs = distil_docs(pipes, examples, "targets", 0.5, Counter(), 0.0)
    for doc, first, second in zip(docs, *said):
        z = np.stack([first.dataXd, second.dataXd]).astype("float64")
        expected = (1 / (1 + np.exp(-z))).mean(axis=0)
        assert abs(z[0, :, 0] - z[1, :, 0]).max() > 1
        assert doc.user_data[TARGETS] == pytest.approx(expected, abs=1e-3)
