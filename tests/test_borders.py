"""What mentions may not cross, and what they may not begin or end with."""

import pytest
import spacy
from spacy.tokens import Doc

from spacy_tommer.decoding.borders import (
    can_be_edge,
    find_breaks,
    find_insides,
    find_tags,
)


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.mark.parametrize(
    "text, broken",
    [
        ("Lisbon\n\nNairobi", {"\n\n"}),
        ("Lisbon\r\n\r\nNairobi", {"\r\n\r\n"}),
        ("Lisbon \n \n Nairobi", {"\n \n "}),
        ("Lisbon\r\rNairobi", {"\r\r"}),
        ("New\nYork", set()),
        ("New\r\nYork", set()),
        ("New  York", set()),
        ("name\tcity", {"\t"}),
        ("Lisbon | Nairobi", {"|"}),
        ("Lisbon || Nairobi", {"||"}),
        ("to buy:\n- apples\n2. pears", {"\n"}),
        ("a well-known 3 - 2 win", set()),
        ("<b>Dublin</b> and Cork", {"<", "b", ">", "Dublin</b", "<b>Dublin</b"}),
        ("p < 0.05 and q > 3", set()),
    ],
)
def test_breaks(nlp, text, broken):
    doc = nlp(text)
    found = {token.text for token, wrong in zip(doc, find_breaks(doc, text)) if wrong}
    assert found <= broken and bool(found) == bool(broken)


@pytest.mark.parametrize(
    "invisible", ["\u200b", "\ufeff", "\u200e", "\u202a", "\u2060", "\x00", "\x7f", "\x85"]
)
def test_invisible_characters_are_no_edges(nlp, invisible):
    doc = nlp(f"met {invisible}Tara{invisible} Quill in{invisible}side")
    edges = {token.text for token, allowed in zip(doc, can_be_edge(doc)) if allowed}
    assert {"met", "Quill"} <= edges
    assert not any(text[0] == invisible or text[-1] == invisible for text in edges)


@pytest.mark.parametrize(
    "token, allowed",
    [
        ("\u2039tank", False),
        ("tank\u203a", False),
        ("\u201cOslo\u201d", True),
        ("print()", True),
        ("(a)b", True),
        ("TODO(lisa", False),
        ("lisa)", False),
        ("\u2019s", True),
        ("O\u2019Neil", True),
    ],
)
def test_a_token_with_half_a_pair_of_brackets_is_no_edge(nlp, token, allowed):
    doc = Doc(nlp.vocab, words=["the", token])
    assert can_be_edge(doc).tolist() == [True, allowed]
    assert can_be_edge(doc, rules=False).all()


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("at Wembley w/ @tara_q", {"Wembley w/ @tara_q"}),
        ("#OnTour #London", {"#OnTour #London", "OnTour #London"}),
        ("2024-05-12 at noon", {"2024", "2024-05", "05-12", "12 at noon"}),
    ],
)
def test_handles_hashtags_and_dates_stay_whole(make_nlp, examples, text, wrong):
    nlp = make_nlp("gpt2", threshold=0.0)
    nlp.initialize(lambda: examples)
    doc = nlp(text)
    every = {span.text for span in doc.spans["mentions"]}
    right = {"at Wembley", "@tara_q", "#OnTour", "#London", "2024-05-12", "at noon"}
    assert not every & wrong
    assert {one for one in right if one in text} <= every
    nlp.get_pipe("tommer").border_rules = False
    doc = nlp(text)
    assert every < {span.text for span in doc.spans["mentions"]}


@pytest.mark.parametrize(
    "text", ["Unit #4", "item # 5", "mail me @ work", "1999-2004", "555-0100-22", "a@b.org"]
)
def test_signs_that_are_no_handles_hashtags_or_dates(nlp, text):
    doc = nlp(text)
    assert not find_tags(doc, text).any() and not find_insides(doc, text).any()


def test_no_mention_over_a_break(make_nlp, examples):
    nlp = make_nlp("gpt2", threshold=0.0)
    nlp.initialize(lambda: examples)
    doc = nlp("Lisbon\n\nNairobi\n\nTara Quill\nOwen Price")
    texts = [span.text for span in doc.spans["mentions"]]
    assert {"Lisbon", "Nairobi", "Tara Quill\nOwen Price"} <= set(texts)
    assert not any("\n\n" in text for text in texts)
    assert all(ent.text in texts for ent in doc.ents)
