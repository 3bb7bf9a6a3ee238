"""The check of gold spans: edges, tokens that do not fit, texts that nobody annotated."""

import warnings

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_tommer.gold import (
    GoldCheck,
    check_examples,
    fit_spans,
    problems,
    visible_part,
    visible_spans,
)
from spacy_tommer.training.corpus import CachedCorpus


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def gold_example(nlp, words, spans, spaces=None):
    gold = Doc(nlp.vocab, words, spaces)
    gold.spans["mentions"] = [Span(gold, *place, label="X") for place in spans]
    return Example(nlp.make_doc(gold.text), gold)


@pytest.mark.parametrize(
    "text, visible",
    [
        ("Ann", "Ann"),
        (" \t\nAnn Lee\u00a0\u3000", "Ann Lee"),
        ("\u200bAnn\u200b", "Ann"),
        ("\ufeff\u200eAnn\u200f\u2060", "Ann"),
        ("\x00Ann\x7f", "Ann"),
        ("e\u0301", "e\u0301"),
        ("(a)", "(a)"),
        (" \u200b\n", None),
    ],
)
def test_the_visible_part_of_a_text(text, visible):
    place = visible_part(f"x{text}x", 1, len(text) + 1)
    assert (f"x{text}x"[slice(*place)] if place else None) == visible


@pytest.mark.parametrize("space", ["\n ", "\t", "  ", "\u2028"])
def test_gold_with_white_space_at_its_edges_is_trimmed(nlp, space):
    words = ["Name:", space, "Tara", "Quill", space, "left"]
    spaces = [False, False, True, False, False, False]
    check = GoldCheck()
    example = gold_example(nlp, words, [(1, 5), (1, 2), (2, 4)], spaces)
    check.add_doc(example.y)
    (found,) = fit_spans(example, example.y.spans["mentions"], check)
    assert (found.text, found.label_, found.doc) == ("Tara Quill", "X", example.x)
    counts = check.counts()
    assert (counts["trimmed"], counts["blank"], counts["unaligned"]) == (1, 1, 0)
    told = "; ".join(problems(counts))
    assert "1 gold spans cut to their visible text" in told
    assert "1 gold spans left out that hold no visible text" in told


def test_gold_inside_tokens_is_counted(nlp):
    example = gold_example(nlp, ["crea", "m", "in", "Cork"], [(0, 1), (3, 4)], [0, 1, 1, 0])
    with pytest.warns(UserWarning, match="1 gold spans left out that begin or end inside"):
        counts = check_examples([example])
    assert counts["unaligned"] == 1
    (found,) = fit_spans(example, example.y.spans["mentions"])
    assert found.text == "Cork"


def test_a_text_without_the_key_is_not_annotated_and_an_empty_group_is(nlp, recwarn):
    annotated = gold_example(nlp, ["None", "here"], [])
    assert check_examples([annotated])["key:mentions"] == 1
    assert not recwarn
    bare = Example(nlp.make_doc("Owen left"), nlp.make_doc("Owen left"))
    with pytest.warns(UserWarning, match=r"1 of 2 texts without doc.spans\['mentions'\]"):
        check_examples([annotated, bare])


def test_gold_for_scoring_has_no_edges_of_white_space(nlp):
    doc = Doc(nlp.vocab, ["\n", "Ann", "\u200b", "left"], [False] * 4)
    spans = [Span(doc, *place, label="X") for place in [(0, 2), (1, 3), (2, 3), (3, 4)]]
    assert [span.text for span in visible_spans(spans)] == ["Ann", "left"]


def test_training_is_told_once_what_its_corpus_lacks(make_nlp, tmp_path, recwarn):
    nlp = make_nlp()
    gold = nlp.make_doc("Name:\n Tara Quill\n left")
    quill = gold.char_span(7, 17)
    gold.spans["mentions"] = [Span(gold, quill.start - 1, quill.end + 1, label="X")]
    gold.spans["entities"] = list(gold.spans["mentions"])
    gold.set_ents(list(gold.spans["mentions"]))
    bare = nlp.make_doc("Owen moved")
    empty = nlp.make_doc("None here")
    empty.spans["mentions"], empty.spans["entities"] = [], []
    DocBin(docs=[gold, bare, empty]).to_disk(tmp_path / "train.spacy")
    for _ in range(2):  # the second finds its corpus prepared
        recwarn.clear()
        warnings.simplefilter("always")
        reader = CachedCorpus(tmp_path / "train.spacy", tmp_path / "cache")
        first, second, third = reader(nlp)
        list(reader(nlp))
        for spans in (*first.y.spans.values(), first.y.ents):
            assert [span.text for span in spans] == ["Tara Quill"]
        assert "mentions" not in second.y.spans
        assert list(third.y.spans["mentions"]) == []
        (told,) = (str(w.message) for w in recwarn if "Gold of" in str(w.message))
        assert "train.spacy" in told
        assert "1 gold spans cut to their visible text" in told
        assert "1 of 3 texts without doc.spans['mentions'] are taken as not" in told


def test_labels_of_another_vocabulary():
    gold = spacy.blank("en")("Ada met Eve")
    gold.spans["mentions"] = [Span(gold, 0, 1, label="A_LABEL_THAT_ONLY_GOLD_KNOWS")]
    example = Example(spacy.blank("en")("Ada met Eve"), gold)
    (span,) = fit_spans(example, gold.spans["mentions"])
    assert span.label_ == "A_LABEL_THAT_ONLY_GOLD_KNOWS"
