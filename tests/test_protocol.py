import numpy as np
import pytest
from conftest import TEXTS
from spacy.tokens import Span
from spacy.training import Example

from spacy_tommer.evaluation.protocol import (
    Scored,
    mean,
    precision_at_recall,
    score_docs,
)


@pytest.fixture
def scored():
    logits = np.array([-1.0, 3.0, 1.0, 2.0, -3.0])
    is_gold = np.array([True, True, False, True, False])
    return Scored.build(logits, is_gold, gold=4)


def test_scores_at_a_threshold(scored):
    at = scored.at(0.5)
    assert (at["right"], at["found"], at["gold"]) == (2, 3, 4)
    assert (at["r"], at["p"]) == (0.5, pytest.approx(2 / 3))
    assert at["f"] == pytest.approx(2 * 2 / 7)
    assert scored.at(0.0)["found"] == 5
    assert scored.at(1.0) == {"r": 0, "p": 0, "f": 0, "right": 0, "found": 0, "gold": 4}


def test_a_span_at_the_threshold_is_not_found():
    assert Scored.build(np.array([0.0]), np.array([True]), 1).at(0.5)["found"] == 0


def test_average_precision(scored):
    assert scored.average_precision() == pytest.approx((1 + 1 + 3 / 4) / 4)


def test_one_threshold_for_all_corpora(scored):
    other = Scored.build(np.array([0.5, -2.0]), np.array([False, True]), gold=1)
    # At a logit of -2: recalls 3/4 and 1, precisions 3/4 and 1/2.
    assert precision_at_recall([scored, other], 0.875) == pytest.approx(0.625, abs=1e-3)
    assert precision_at_recall([scored, other], 0.99) == 0


def test_protocol_agrees_with_the_pipeline(make_nlp):
    nlp = make_nlp("bert", flat_threshold=0.6)
    gold = [nlp.make_doc(text) for text in TEXTS]
    for doc in gold:
        starts = range(0, len(doc) - 1, 3)
        doc.spans["mentions"] = [Span(doc, i, i + 2, label="THING") for i in starts]
        doc.ents = list(doc.spans["mentions"])
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in gold]
    nlp.initialize(lambda: examples)
    nested, flat = score_docs(nlp, gold)
    expected = nlp.evaluate(examples)
    for key in "prf":
        assert nested.at(0.5)[key] == pytest.approx(expected[f"spans_mentions_{key}"])
        assert flat.at(0.6)[key] == pytest.approx(expected[f"flat_{key}"])
    assert mean([nested.at(0.5)])["f"] == nested.at(0.5)["f"]
