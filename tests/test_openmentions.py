"""OpenMentions: its reader, and its split by ids."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import spacy
from conftest import SHARED, needs_shared

from reproduction.corpora import sets
from reproduction.corpora.clean import clean
from reproduction.corpora.openmentions import read_openmentions
from reproduction.corpora.report import Report
from reproduction.corpora.seen import SeenTexts
from reproduction.corpora.sets import BENCHMARKS, read_set
from reproduction.corpora.training_types import (
    read_openmentions_types,
    write_training_types,
)
from spacy_tommer.entities.definitions import TrainingType, read_types
from spacy_tommer.entities.relations import Relations

TEXT = "the mayor of Oslo met 5 aides"
MENTIONS = [
    [0, 17, "term", "office", "role"],
    [0, 17, "name", "politician", "person"],
    [13, 17, "name", "city", "location"],
    [22, 23, "quantity", "count", "quantity"],
]


def passage(number, part="train", mentions=MENTIONS, text=TEXT):
    about = {"id": str(number), "part": part, "genre": "chat", "source": "x"}
    return {**about, "text": text, "mentions": mentions}


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def found(doc, key):
    return [(span.text, span.label_) for span in doc.spans[key]]


def test_kinds_and_fine_types(nlp, tmp_path):
    path = tmp_path / "openmentions.jsonl"
    bad = [passage(2, mentions=[[0, 99, "name", "x", "y"]]), passage(3, mentions=[[0, 1]])]
    bad.append(passage(4, mentions=[[0, 3, "verb", "x", "y"]]))
    bad.append(passage(5, part="dev"))
    path.write_text("\n".join(map(json.dumps, [passage(1), *bad])), "utf-8")
    report = Report()
    (doc,) = read_openmentions(path, nlp, report)
    assert report.errors == 4
    kinds = [("the mayor of Oslo", "TERM"), ("Oslo", "NAME"), ("5", "QUANTITY")]
    assert found(doc, "mentions") == kinds
    types = {label for _, label in found(doc, "entities")}
    assert types == {"office", "politician", "city", "count"}
    (kept,) = clean([doc], nlp, 3, SeenTexts(), Report())
    assert found(kept, "mentions") == kinds[1:]


def test_the_set_is_what_is_learnt_from(nlp, tmp_path, monkeypatch):
    folder = tmp_path / "openmentions"
    folder.mkdir()
    monkeypatch.setattr(sets, "ASSETS", tmp_path)
    parts = ["train"] * 15 + ["validation"] * 3 + ["test"] * 2
    rows = [passage(i, part, text=f"{TEXT} {i}") for i, part in enumerate(parts)]
    (folder / "openmentions.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    texts = [
        {doc.text for doc in read_set(tmp_path / "data", name, nlp)}
        for name in ("openmentions", "openmentions_validation", "openmentions_test")
    ]
    assert [len(one) for one in texts] == [15, 3, 2]
    assert len(set().union(*texts)) == 20


def test_the_set_is_read_from_the_assets_only(nlp, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "train" / "openmentions"
    folder.mkdir(parents=True)
    (folder / "openmentions.jsonl").write_text(json.dumps(passage(1)), "utf-8")
    monkeypatch.setattr(sets, "ASSETS", tmp_path / "assets")
    with pytest.raises(FileNotFoundError, match=r"assets/openmentions/openmentions\.jsonl"):
        next(read_set(tmp_path / "data", "openmentions", nlp))


FOLDER = Path(__file__).parents[1] / "assets" / "openmentions"
RECORDS = [
    json.loads(line)
    for line in (FOLDER / "openmentions.jsonl").read_text("utf-8").splitlines()
]
TYPES = json.loads((FOLDER / "types.json").read_text("utf-8"))


def test_counts_of_the_corpus(nlp):
    sizes = {"PASSAGES": len(RECORDS), "MENTIONS": sum(len(r["mentions"]) for r in RECORDS)}
    assert sizes == {"PASSAGES": 1334, "MENTIONS": 49457}
    parts = Counter(record["part"] for record in RECORDS)
    assert parts["validation"] / len(RECORDS) == pytest.approx(0.15, abs=0.01)
    assert parts["test"] / len(RECORDS) == pytest.approx(0.1, abs=0.01)
    report = Report()
    read = list(read_openmentions(FOLDER / "openmentions.jsonl", nlp, report))
    assert (len(read), report.errors) == (len(RECORDS), 0)
    assert len({record["id"] for record in RECORDS}) == len(RECORDS)


def test_the_datasheet_has_these_counts():
    sheet = (FOLDER / "DATASHEET.md").read_text("utf-8")
    assert f"| passages | {len(RECORDS):,}" in sheet
    assert f"| mentions | {sum(len(r['mentions']) for r in RECORDS):,}" in sheet


def test_mentions_begin_and_end_in_their_text():
    for record in RECORDS:
        text = record["text"]
        places = [(start, end) for start, end, *_ in record["mentions"]]
        assert len(set(places)) == len(places), record["id"]
        for start, end in places:
            assert 0 <= start < end <= len(text), record["id"]
            assert text[start:end] == text[start:end].strip(), record["id"]


def test_types_are_defined():
    counts = Counter(m[3] for record in RECORDS for m in record["mentions"])
    assert {fine for fine, count in counts.items() if count >= 2} == set(TYPES["fine"])
    classes = {m[4] for record in RECORDS for m in record["mentions"]}
    assert classes == set(TYPES["classes"])
    assert all(len(one["definitions"]) >= 2 for one in TYPES["classes"].values())
    for fine, entry in TYPES["fine"].items():
        assert entry["mentions"] == counts[fine]
        assert entry["definition"] and entry["broader"], fine


def test_types_of_training_passages_by_hand(tmp_path):
    rows = [
        passage(
            1, mentions=[[0, 3, "name", "poet", "person"], [4, 6, "term", "x", "role"]]
        ),
        passage(
            2, mentions=[[0, 3, "name", "poet", "person"], [4, 6, "term", "role", "role"]]
        ),
        passage(3, mentions=[[0, 3, "term", "poet", "role"]]),
        passage(4, "validation", [[0, 3, "term", "unseen", "role"]]),
    ]
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "openmentions.jsonl").write_text(lines, "utf-8")
    poet = {"definition": "who writes verse", "broader": "writer", "class": "person"}
    office = {"definition": "what one is", "broader": "role", "class": "role"}
    classes = {name: {"definitions": [f"a {name}"]} for name in ("person", "role", "time")}
    described = {"classes": classes, "fine": {"poet": poet, "role": office, "unseen": poet}}
    (tmp_path / "types.json").write_text(json.dumps(described), "utf-8")
    given = {"PER": {"name": "person", "definitions": ["one of us"]}}
    given["poet"] = {"name": "poet", "definitions": ["maker"], "overlaps": ["role"]}
    (tmp_path / "given.json").write_text(json.dumps(given), "utf-8")
    output = tmp_path / "new" / "types.json"
    assert write_training_types(tmp_path / "given.json", tmp_path, output) == 6
    assert read_types(output) == {
        "person": TrainingType("person", ["a person"]),
        "role": TrainingType("role", ["a role", "what one is"]),
        "time": TrainingType("time", ["a time"]),
        "poet": TrainingType(
            "poet", ["maker", "who writes verse"], ["writer", "person"], ["role"]
        ),
        "x": TrainingType("x", [], ["role"]),
        "PER": TrainingType("person", ["one of us"]),
    }


def test_every_mention_to_learn_from_has_a_type_with_its_class(tmp_path):
    types = read_openmentions_types(FOLDER)
    given = FOLDER.parent / "types/mix.json"
    write_training_types(given, FOLDER, tmp_path / "types.json")
    both = read_types(tmp_path / "types.json")
    assert both.keys() == types.keys() | json.loads(given.read_text("utf-8")).keys()
    relations = Relations(both.values())
    pairs = [
        (fine, coarse)
        for record in RECORDS
        if record["part"] == "train"
        for *_, fine, coarse in record["mentions"]
    ]
    assert {fine for fine, _ in pairs} | TYPES["classes"].keys() == types.keys()
    fits = [coarse in relations.true[fine] for fine, coarse in pairs]
    assert sum(fits) / len(fits) > 0.95
    overlapped = {name for type_ in both.values() for name in type_.overlaps}
    assert overlapped and overlapped <= TYPES["classes"].keys()


def eight_words(text):
    words = [word.lower() for word in re.findall(r"\w+", text)]
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


@needs_shared
def test_no_passage_shares_eight_words_with_a_benchmark(nlp):
    ours = {run: record["id"] for record in RECORDS for run in eight_words(record["text"])}
    for name in BENCHMARKS:
        try:
            texts = [doc.text for doc in read_set(SHARED / "data", name, nlp)]
        except FileNotFoundError:
            continue
        shared = {ours[run] for text in texts for run in eight_words(text) & ours.keys()}
        assert not shared, name
