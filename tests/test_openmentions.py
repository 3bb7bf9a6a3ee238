"""OpenMentions: its reader, and its split by ids."""

import json
import random
from collections import Counter

import pytest
import spacy

from reproduction.corpora.clean import clean
from reproduction.corpora.openmentions import read_openmentions, split_passages
from reproduction.corpora.report import Report
from reproduction.corpora.seen import SeenTexts
from reproduction.corpora.sets import read_set

TEXT = "the mayor of Oslo met 5 aides"
MENTIONS = [
    [0, 17, "term", "office", "role"],
    [0, 17, "name", "politician", "person"],
    [13, 17, "name", "city", "location"],
    [22, 23, "quantity", "count", "quantity"],
]


def passage(number, genre="chat", mentions=MENTIONS, text=TEXT):
    about = {"id": str(number), "genre": genre, "source": "x", "licence": "CC0"}
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
    path.write_text("\n".join(map(json.dumps, [passage(1), *bad])), "utf-8")
    report = Report()
    (doc,) = read_openmentions(path, nlp, report)
    assert report.errors == 3
    kinds = [("the mayor of Oslo", "TERM"), ("Oslo", "NAME"), ("5", "QUANTITY")]
    assert found(doc, "mentions") == kinds
    types = {label for _, label in found(doc, "entities")}
    assert types == {"office", "politician", "city", "count"}
    (kept,) = clean([doc], nlp, 3, SeenTexts(), Report())
    assert found(kept, "mentions") == kinds[1:]


def test_the_split_is_by_id_in_each_genre():
    passages = [(f"a{i}", "news") for i in range(200)]
    passages += [(f"b{i}", "chat") for i in range(40)]
    passages += [(f"c{i}", f"genre {i}") for i in range(60)]
    parts = split_passages(passages)
    random.Random(0).shuffle(passages)
    assert split_passages(passages) == parts
    whole = Counter(parts.values())
    assert whole == {"train": 225, "validation": 45, "test": 30}
    for letter, number in (("a", 200), ("b", 40), ("c", 60)):
        counts = Counter(part for name, part in parts.items() if name[0] == letter)
        for part, share in (("train", 0.75), ("validation", 0.15), ("test", 0.1)):
            assert counts[part] == pytest.approx(share * number, abs=1.5)


def test_the_set_is_what_is_learnt_from(nlp, tmp_path):
    folder = tmp_path / "train" / "openmentions"
    folder.mkdir(parents=True)
    rows = [passage(i, text=f"{TEXT} {i}") for i in range(20)]
    (folder / "openmentions.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    texts = [
        {doc.text for doc in read_set(tmp_path, name, nlp)}
        for name in ("openmentions", "openmentions_validation", "openmentions_test")
    ]
    assert [len(one) for one in texts] == [15, 3, 2]
    assert len(set().union(*texts)) == 20
