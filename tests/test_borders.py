"""What mentions may not cross, and what they may not begin or end with."""

import pytest
import spacy
from spacy.tokens import Doc

from spacy_tommer.decoding.borders import can_be_edge, find_breaks


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
    found = {token.text for token, wrong in zip(doc, find_breaks(doc)) if wrong}
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
        ("\u2019s", True),
        ("O\u2019Neil", True),
    ],
)
def test_a_token_with_half_a_pair_of_brackets_is_no_edge(nlp, token, allowed):
    doc = Doc(nlp.vocab, words=["the", token])
    assert can_be_edge(doc).tolist() == [True, allowed]
    assert can_be_edge(doc, rules=False).all()


def test_no_mention_over_a_break(make_nlp, examples):
    nlp = make_nlp("gpt2", threshold=0.0)
    nlp.initialize(lambda: examples)
    doc = nlp("Lisbon\n\nNairobi\n\nTara Quill\nOwen Price")
    texts = [span.text for span in doc.spans["mentions"]]
    assert {"Lisbon", "Nairobi", "Tara Quill\nOwen Price"} <= set(texts)
    assert not any("\n\n" in text for text in texts)
    assert all(ent.text in texts for ent in doc.ents)
