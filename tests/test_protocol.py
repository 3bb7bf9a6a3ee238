import numpy as np
import pytest
import spacy
from conftest import TEXTS
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_tommer.evaluation.protocol import inside_another, score_docs
from spacy_tommer.training.state_cache import StateCache


def gold_docs(nlp):
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        starts = range(0, len(doc) - 1, 3)
        doc.spans["mentions"] = [Span(doc, i, i + 2, label="THING") for i in starts]
        doc.ents = list(doc.spans["mentions"])
    return docs


def test_protocol_agrees_with_the_pipeline(make_nlp):
    nlp = make_nlp("bert", flat_threshold=0.6)
    gold = gold_docs(nlp)
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in gold]
    list(nlp.get_pipe("transformer").pipe(doc.copy() for doc in gold))
    fix_random_seed(1)
    nlp.initialize(lambda: examples)
    nested, flat = score_docs(nlp, gold)
    expected = nlp.evaluate(examples)
    for key in "prf":
        assert nested.at(0.5)[key] == pytest.approx(expected[f"spans_mentions_{key}"])
        assert flat.at(0.6)[key] == pytest.approx(expected[f"flat_{key}"])
    assert 0 < nested.at(0.5)["r"] < 1
    recall = expected["spans_mentions_per_type"]["THING"]["r"]
    assert nested.details(0.5)["types"]["THING"]["r"] == pytest.approx(recall)
    assert (nested.texts, nested.tokens) == (3, sum(map(len, gold)))


def test_thresholds_of_the_component_are_measured_exactly(make_nlp):
    nlp = make_nlp("bert")
    gold = gold_docs(nlp)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in gold])
    tommer = nlp.get_pipe("tommer")
    tommer.threshold = 0.0001
    docs = list(nlp.pipe(TEXTS))
    scores = sorted(
        score for doc in docs for score in doc.spans["mentions"].attrs["scores"]
    )
    # Between two neighbours that are closer than a bin is wide.
    gaps = np.diff(scores)
    closest = int(np.argmin(np.where(gaps > 0, gaps, 1)))
    tommer.threshold = scores[closest]
    found = sum(len(doc.spans["mentions"]) for doc in nlp.pipe(TEXTS))
    assert gaps[closest] < 1e-4
    nested, _ = score_docs(nlp, gold)
    assert nested.at(tommer.threshold)["found"] == found


def test_mentions_inside_another():
    places = [(4, 8), (0, 8), (0, 3), (9, 12), (7, 9), (8, 12)]
    assert inside_another(places) == [True, False, True, True, False, False]
    assert inside_another([]) == []


@Language.component("title_case_mentions")
def title_case_mentions(doc):
    doc.spans["mentions"] = [doc[t.i : t.i + 1] for t in doc if t.is_title]
    for span in list(doc.spans["mentions"])[:1]:  # the same place counts once
        doc.spans["mentions"].append(Span(doc, span.start, span.end, label="AGAIN"))
    return doc


def test_spans_without_scores():
    nlp = spacy.blank("en")
    nlp.add_pipe("title_case_mentions")
    gold = nlp.make_doc("Ada Lovelace met Mr. Babbage")
    gold.spans["mentions"] = [
        Span(gold, 0, 2, label="PERSON"),
        Span(gold, 0, 1, label="NAME"),
        Span(gold, 0, 1, label="OTHER"),
        Span(gold, 4, 5, label="NAME"),
    ]
    empty, unlucky = nlp.make_doc("No mention"), nlp.make_doc("")
    for doc in (empty, unlucky):
        doc.spans["mentions"] = []
    nested, flat = score_docs(nlp, [gold, empty, unlucky])
    assert flat.at(0.5) == nested.at(0.5)
    # Found: Ada, Lovelace, Mr., Babbage, No. Gold: Ada Lovelace, Ada, Babbage.
    report = nested.details(0.5)
    assert (report["right"], report["found"], report["gold"]) == (2, 5, 3)
    assert (report["r"], report["p"], report["f"]) == pytest.approx((2 / 3, 2 / 5, 0.5))
    assert report["per_100_tokens"] == pytest.approx(100 * 5 / 7)
    assert report["inner"] == {"r": 1.0, "right": 1, "gold": 1}
    assert report["types"] == {
        "NAME": {"r": 1.0, "right": 2, "gold": 2},
        "PERSON": {"r": 0.0, "right": 0, "gold": 1},
    }


def test_gold_is_compared_by_characters():
    nlp = spacy.blank("en")
    nlp.add_pipe("title_case_mentions")
    # The tokens of the pipeline are Bonn, -, based and Banks.
    words, spaces = ["Bonn", "-based", "Bank", "s"], [False, True, False, False]
    gold = Doc(nlp.vocab, words=words, spaces=spaces)
    gold.spans["mentions"] = [Span(gold, 0, 1), Span(gold, 2, 3), Span(gold, 2, 4)]
    nested, _ = score_docs(nlp, [gold])
    at = nested.at(0.5)
    assert (at["right"], at["found"], at["gold"]) == (2, 2, 3)


def test_a_pipeline_without_mentions_is_refused():
    nlp = spacy.blank("en")
    gold = nlp.make_doc("Ada")
    gold.spans["mentions"] = [gold[:]]
    with pytest.raises(ValueError, match='spans_key = "mentions"'):
        score_docs(nlp, [gold])
    with pytest.raises(ValueError, match="no gold texts"):
        score_docs(nlp, [])


def test_cached_states_give_the_same_scores(make_nlp, tmp_path, passes):
    nlp = make_nlp("bert")
    gold = gold_docs(nlp)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in gold])
    plain = [scored.at(0.5) for scored in score_docs(nlp, gold)]
    states = StateCache(tmp_path, nlp.get_pipe("transformer"))
    first = [scored.at(0.5) for scored in score_docs(nlp, gold, states=states)]
    computed = len(passes)
    again = [scored.at(0.5) for scored in score_docs(nlp, gold, states=states)]
    assert len(passes) == computed
    assert first == again
    for one, other in zip(plain, first):
        assert one["gold"] == other["gold"]
        assert one["found"] == pytest.approx(other["found"], abs=2)
