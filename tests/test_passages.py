"""Passages: neighbouring sentences of a document, joined."""

import json

import pytest
import spacy

from reproduction.corpora.gold import gold_doc, set_gold
from reproduction.corpora.passages import DOCUMENT, join_sentences, of_documents
from reproduction.corpora.report import Report
from reproduction.corpora.sets import read_set


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture(scope="module")
def sentence(nlp):
    """Make a sentence of a document, its mentions labelled by start and end."""

    def make(text, document="a", entities=(), labels=None, spaces=None):
        doc = gold_doc(nlp.vocab, text.split(), [], spaces)
        if document is not None:
            doc.user_data[DOCUMENT] = document
        return set_gold(doc, entities, labels)

    return make


def texts(docs, most):
    return [doc.text for doc in join_sentences(docs, most)]


@pytest.mark.parametrize(
    "most, joined",
    [
        (0, ["a b", "c d e", "f", "g h"]),
        (4, ["a b", "c d e f", "g h"]),
        (5, ["a b c d e", "f g h"]),
        (6, ["a b c d e f", "g h"]),
        (7, ["a b c d e f", "g h"]),
        (8, ["a b c d e f g h"]),
    ],
)
def test_sentences_are_joined_up_to_the_limit(most, joined, sentence):
    assert texts(map(sentence, ["a b", "c d e", "f", "g h"]), most) == joined


def test_a_long_sentence_stays_alone_and_whole(sentence):
    long = "b c d e f"
    assert texts(map(sentence, ["a", long, "g", "h"]), 4) == ["a", long, "g h"]


def test_documents_are_not_joined(sentence):
    docs = [sentence(text, text[0]) for text in ("a 1", "a 2", "b 1", "c 1", "c 2", "a 3")]
    assert texts(docs, 128) == ["a 1 a 2", "b 1", "c 1 c 2", "a 3"]


def test_texts_of_no_document_stay_alone(sentence):
    places = [("a", None), ("b", None), ("c", "x"), ("d", None), ("e", "x"), ("f", "x")]
    docs = [sentence(*place) for place in places]
    joined = list(join_sentences(docs, 128))
    assert [doc.text for doc in joined] == ["a", "b", "c", "d", "e f"]
    assert joined[0] is docs[0] and joined[3] is docs[3]
    assert list(join_sentences([], 128)) == []


def test_spans_labels_and_spaces_are_kept(sentence):
    first = sentence(
        "Ann 's dog .",
        entities=[(0, 3, "animal"), (0, 1, "person")],
        labels={(0, 1): "NAME"},
        spaces=[False, True, False, False],
    )
    second = sentence("No one .", spaces=[True, False, False])
    third = sentence("Bob eats", entities=[(0, 1, "person"), (0, 1, "cook")])
    (doc,) = join_sentences([first, second, third], 128)
    assert doc.text == "Ann's dog. No one. Bob eats"
    assert doc[-1].whitespace_ == ""
    found = {
        key: [(span.text, span.start, span.label_) for span in doc.spans[key]]
        for key in ("entities", "mentions")
    }
    assert found == {
        "entities": [
            ("Ann", 0, "person"),
            ("Ann's dog", 0, "animal"),
            ("Bob", 7, "person"),
            ("Bob", 7, "cook"),
        ],
        "mentions": [("Ann", 0, "NAME"), ("Ann's dog", 0, "animal"), ("Bob", 7, "person")],
    }
    assert not doc.has_annotation("ENT_IOB")
    (flat,) = join_sentences([second, third], 128)
    assert [(ent.text, ent.start) for ent in flat.ents] == [("Bob", 3)]


def test_a_file_is_a_document_unless_the_reader_knows_better(sentence, nlp, tmp_path):
    def read(path, nlp, report):
        yield from (sentence("a", None), sentence("b", "own"))

    docs = of_documents(read)(tmp_path, nlp, Report())
    assert [doc.user_data[DOCUMENT] for doc in docs] == [str(tmp_path), "own"]


REDOCRED = [
    {"sents": [["a"], ["b"]], "vertexSet": []},
    {"sents": [["c"], ["d"]], "vertexSet": []},
]


@pytest.mark.parametrize(
    "name, files, joined",
    [
        # All documents of a file stand in one line.
        ("redocred", {"redocred/x_revised.json": json.dumps(REDOCRED)}, ["a b", "c d"]),
        (
            "wikigold",
            {
                "wikigold/x.conllu": "0\ta\tO\n\n0\tb\tO\n\n-DOCSTART-\tO\n\n"
                "0\tc\tO\n\n0\td\tO\n\n-DOCSTART-\tO\n\n0\te\tO\n"
            },
            ["a b", "c d", "e"],
        ),
        (
            "craft",
            {"CRAFT/x.tsv": "a\tO\n\nb\tO\n", "CRAFT/y.tsv": "c\tO\n\nd\tO\n"},
            ["a b", "c d"],
        ),
        (
            "stackoverflow",
            {
                "stackoverflow/x.txt": "Question_ID O\n: O\n1 O\n\na O\n\nb O\n\n"
                "Answer_to_Question_ID O\n: O\n1 O\n\nc O\n"
            },
            ["a b", "c"],
        ),
        ("wnut17", {"wnut17/CONLL-format/data/x/y": "a\tO\n\nb\tO\n"}, ["a", "b"]),
        ("btc", {"btc/CONLL-format/data/x.conll": "a\tO\n\nb\tO\n"}, ["a", "b"]),
    ],
)
def test_documents_of_each_form(name, files, joined, nlp, tmp_path):
    for file_, text in files.items():
        path = tmp_path / "train" / file_
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert texts(read_set(tmp_path, name, nlp, Report(max_errors=0)), 128) == joined
