"""Pile-NER: conversations and the other forms, from files and from the hub."""

import json
import sys
from types import SimpleNamespace

import pytest
import spacy
from conftest import SHARED, needs_shared

from reproduction.corpora.pile_ner import read_pile_ner
from reproduction.corpora.report import Report

ABSENT = "string dropped that is not in its text"


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def conversation(text, *answers):
    """Write a record as the set has it, answers being types with their strings."""
    turns = [("human", f"Text: {text}"), ("gpt", "I've read this text.")]
    for label, strings in answers:
        turns.append(("human", f"What describes {label} in the text?"))
        value = strings if isinstance(strings, str) else json.dumps(strings)
        turns.append(("gpt", value))
    return {"id": "1", "conversations": [{"from": f, "value": v} for f, v in turns]}


def mentions(doc, key="mentions"):
    return [(span.text, span.label_) for span in doc.spans[key]]


@pytest.fixture
def read(tmp_path, nlp):
    """Give the Docs of records, written as an array or as lines."""

    def read_records(*rows, report=None, name="pile.json"):
        path = tmp_path / name
        if name.endswith(".json"):
            path.write_text(json.dumps(rows), "utf-8")
        else:
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        return list(read_pile_ner(str(path), nlp, report or Report(max_errors=0)))

    return read_records


def test_many_questions_in_a_record(read):
    text = "Kim met Kim's Kimono-clad aunt in Oslo."
    record = conversation(text, ("person", ["Kim", "aunt"]), ("place", ["Oslo"]))
    (doc,) = read(record)
    assert doc.text == text
    expected = [("Kim", "person"), ("Kim", "person"), ("aunt", "person"), ("Oslo", "place")]
    assert mentions(doc) == expected
    assert [(ent.text, ent.label_) for ent in doc.ents] == expected


def test_one_type_a_record(read):
    report = Report(max_errors=0)
    rows = [
        conversation("Ann left Oslo.", ("person", ["Ann"])),
        conversation("Bob left.", ("person", ["Bob"])),
        conversation("Ann left Oslo.", ("event", [])),
        conversation("Eve left.", ("person", ["Eve"])),
        conversation("Ann left Oslo.", ("place", ["Oslo"])),
    ]
    for name in ("pile.json", "pile.jsonl"):
        docs = read(*rows, report=report, name=name)
        found = {doc.text: mentions(doc) for doc in docs}
        assert len(docs) == 3
        assert found["Ann left Oslo."] == [("Ann", "person"), ("Oslo", "place")]
        assert found["Bob left."] == [("Bob", "person")]
        assert found["Eve left."] == [("Eve", "person")]


def test_the_first_type_counts(read):
    record = conversation("Ann left.", ("person", ["Ann"]), ("name", ["Ann", "Ann left"]))
    (doc,) = read(record)
    assert mentions(doc) == [("Ann", "person"), ("Ann left", "name")]
    assert ("Ann", "name") in mentions(doc, "entities")
    assert not doc.has_annotation("ENT_IOB")


@pytest.mark.parametrize(
    "text, string, found",
    [
        ("a pre-2008 deal", "2008", ["2008"]),
        ("in 5km", "5", ["5"]),
        ("5 in 5km", "5", ["5"]),
        ("C++ and C", "C++", ["C++"]),
        ("C++ and C", "C", ["C", "C"]),
        ("use .NET or ASP.NET", ".NET", [".NET", ".NET"]),
        ("我爱北京天安门", "北京", ["北京"]),
        ("aa b aa", "aa b aa", ["aa b aa"]),
        ("the a.b", "a?b", []),
        ("two  spaces\nhere", "spaces\nhere", ["spaces\nhere"]),
        ("an end ", " end ", ["end"]),
        ("Oslo", "oslo", []),
        ("Oslo", "", []),
    ],
)
def test_no_mention_that_stands_in_its_text_is_lost(text, string, found, read):
    report = Report(max_errors=0)
    (doc,) = read(conversation(text, ("X", [string])), report=report)
    assert doc.text == text
    assert [span.text for span in doc.spans["mentions"]] == found
    assert report.counts[ABSENT] == (not found)


def test_broken_answers_and_records(read, capsys):
    report = Report()
    rows = [
        conversation("Ann left Oslo.", ("a", "['Ann']"), ("b", [1]), ("c", ["Oslo"])),
        {"id": "2"},
        {"conversations": [{"from": "human", "value": None}]},
        {"conversations": [{"from": "human", "value": "no text"}]},
        conversation("Bob left.", ("d", ["Bob"])),
    ]
    docs = read(*rows, report=report, name="pile.jsonl")
    found = [("Ann left Oslo.", [("Oslo", "c")]), ("Bob left.", [("Bob", "d")])]
    assert [(doc.text, mentions(doc)) for doc in docs] == found
    assert report.errors == 5
    error = capsys.readouterr().err
    assert "pile.jsonl:1: answer that is no JSON list of strings" in error
    assert "(a: \"['Ann']\")" in error
    assert "pile.jsonl:2: conversation without a text" in error


def test_annotations_by_characters_and_by_tokens(read):
    report = Report()
    rows = [
        {"text": "pre-2008 deal", "entities": [[4, 8, "date"]]},
        {"tokens": ["Ann", "left"], "entities": [[0, 1, "person"]]},
        {"text": "short", "entities": [[0, 9, "date"]]},
        {"text": "no list"},
    ]
    docs = read(*rows, report=report, name="pile.jsonl")
    assert [(doc.text, mentions(doc)) for doc in docs] == [
        ("pre-2008 deal", [("2008", "date")]),
        ("Ann left", [("Ann", "person")]),
    ]
    assert report.errors == 2


def test_columns(tmp_path, nlp):
    path = tmp_path / "pile.txt"
    path.write_text("Ann\tB-first name\nLee\tI-first name\n", "utf-8")
    (doc,) = read_pile_ner(str(path), nlp, Report(max_errors=0))
    assert mentions(doc) == [("Ann Lee", "first name")]


def test_parquet(tmp_path, nlp):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [conversation(f"Ann {i}", ("person", ["Ann"])) for i in range(3)]
    path = tmp_path / "pile.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)
    docs = list(read_pile_ner(str(path), nlp, Report(max_errors=0)))
    assert [doc.text for doc in docs] == ["Ann 0", "Ann 1", "Ann 2"]
    assert mentions(docs[2]) == [("Ann", "person")]


def test_the_hub(nlp, monkeypatch):
    asked = []

    def load_dataset(name, split):
        asked.append((name, split))
        return [conversation("Ann left.", ("person", ["Ann"]))]

    module = SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", module)
    (doc,) = read_pile_ner("Universal-NER/Pile-NER-type", nlp, Report(max_errors=0))
    assert mentions(doc) == [("Ann", "person")]
    assert set(asked) == {("Universal-NER/Pile-NER-type", "train")}


def test_the_hub_without_the_package_or_the_network(nlp, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'install .*"spacy-tommer\[datasets\]"'):
        next(read_pile_ner("owner/name", nlp, Report()))

    def load_dataset(name, split):
        raise ConnectionError("no network")

    module = SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", module)
    with pytest.raises(ValueError, match=r"no file 'owner/name'.*no network"):
        next(read_pile_ner("owner/name", nlp, Report()))


@needs_shared
@pytest.mark.parametrize(
    "name, texts, found",
    [
        ("391xALL_BIO_dev.txt", 2217, 30978),
        ("pile_ner_raw_aligned.jsonl", 868, 14020),
        ("pile_ner_tokens.jsonl", 1349, 16958),
        ("conversations/CrossNER_AI.json", 430, 1662),
    ],
)
def test_real_files(name, texts, found, nlp):
    report = Report(max_errors=0, shown=0)
    path = SHARED / "data/pile_ner" / name
    docs = list(read_pile_ner(str(path), nlp, report))
    counts = [len(doc.spans["mentions"]) for doc in docs]
    assert (len(docs), sum(counts)) == (texts, found)
    assert report.counts[ABSENT] == 0
