"""Texts that stand in OpenMentions stay on their side of its split."""

import json

import pytest
import spacy
from run_verb import error_of, run_verb
from spacy.tokens import DocBin

from reproduction.corpora import sets
from reproduction.corpora.openmentions import read_sides
from reproduction.corpora.report import Report
from reproduction.corpora.sides import Sides, drop_held_out
from reproduction.corpora.split import by_chance

ONE = "one two three four five six seven eight nine ten"
TWO = "red green blue, white black. Pink grey teal brown"


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.mark.parametrize(
    "text, parts",
    [
        (ONE, {"train"}),
        ("Zero ONE, two: three four (five) six seven eight.", {"train"}),
        ("zero one two three four five six seven more words", set()),
        ("one two three four five six seven nine ten", set()),
        ("one two three four five six seven", {"train"}),
        ("Three four five!", {"train"}),
        ("four five", set()),
        ("three four six", set()),
        ("hree four five", set()),
        ("nine ten red", set()),
        ("nine ten | red", set()),
        ("teal brown", set()),
        ("Grey - teal - brown", {"test"}),
        (f"{ONE} {TWO}", {"train", "test"}),
        ("", set()),
        ("...", set()),
    ],
)
def test_parts_in_which_a_text_stands(text, parts):
    assert Sides([(ONE, "train"), (TWO, "test")]).find(text) == parts
    assert Sides().find(text) == set()


def test_words_that_stand_in_several_parts():
    sides = Sides([(f"{ONE} a", "validation"), (f"{ONE} b", "train")])
    assert sides.find(ONE) == sides.find("two three four") == {"validation", "train"}


@pytest.mark.parametrize("mark", ["'", "\u2019"])
def test_contractions_that_a_corpus_splits(mark):
    sides = Sides([(f"But it didn{mark}t work and we couldn{mark}t say why", "test")])
    assert sides.find(f"it did n{mark}t work and we could n{mark}t say why") == {"test"}


def test_held_out_texts_are_dropped_and_train_is_no_validation(nlp):
    sides = Sides([(ONE, "train"), (TWO, "validation"), ("ab cd ef gh", "test")])
    texts = [ONE, "none of it", TWO, "ab cd ef"]
    report = Report()
    kept = drop_held_out(map(nlp.make_doc, texts), sides, report)
    split = [(doc.text, is_dev) for doc, is_dev in by_chance(kept, "x", 0, 1, 1, sides)]
    assert split == [(ONE, False), ("none of it", True)]
    assert report.counts == {"text dropped that is held out in openmentions": 2}


def read(folder):
    vocab = spacy.blank("en").vocab
    paths = sorted(folder.rglob("*.spacy"))
    return [doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab)]


def write_columns(path, texts):
    path.parent.mkdir(parents=True)
    lines = ("\n".join(f"{word}\tO" for word in text.split()) for text in texts)
    path.write_text("\n\n".join(lines) + "\n", "utf-8")


def test_conversion_with_the_real_passages(tmp_path):
    (path,) = sets.find_files(tmp_path, "openmentions")[0]
    sides = read_sides([path])
    sentences = {}
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        text = " ".join(record["text"].split()[:14])
        if sides.find(text) == {record["part"]} and text.isascii():
            sentences.setdefault(record["part"], text)
    free = "Nobody has put such a silly sentence as this in there ."
    texts = [free, *(sentences[part] for part in ("train", "validation", "test"))]
    data, out = tmp_path / "data", tmp_path / "out"
    write_columns(data / "train/btc/CONLL-format/data/x.conll", texts)
    write_columns(data / "train/CRAFT/x.tsv", [f"{text} again" for text in texts])
    given = ("convert", "training", data, out, "--sets", "btc,craft", "--dev-share", 1)
    printed = run_verb(*given).stdout
    assert printed.count("2 text dropped that is held out in openmentions") == 2
    assert [doc.text for doc in read(out / "train/btc")] == [sentences["train"]]
    assert [doc.text for doc in read(out / "dev/btc")] == [free]
    # A passage with one such sentence is trained on as a whole.
    (passage,) = read(out / "train/craft")
    assert passage.text == f"{free} again {sentences['train']} again"
    assert read(out / "dev/craft") == []


@pytest.fixture
def passages(tmp_path, monkeypatch):
    """Give OpenMentions as four passages of the parts, the last two held out."""
    path = tmp_path / "assets/openmentions/openmentions.jsonl"
    path.parent.mkdir(parents=True)
    parts = ["train", "train", "validation", "test"]
    texts = [f"{word} is in Oslo" for word in ("Ann", "Bob", "Cid", "Dot")]
    with path.open("w", encoding="utf-8") as file_:
        for text, part in zip(texts, parts):
            mentions = [[0, 3, "name", "person", "person"]]
            record = {"text": text, "part": part, "mentions": mentions}
            print(json.dumps(record), file=file_)
    monkeypatch.setattr(sets, "ASSETS", tmp_path / "assets")
    return texts


def test_the_validation_part_is_for_validation(passages, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    write_columns(data / "train/btc/CONLL-format/data/x.conll", passages)
    given = ("convert", "training", data, out, "--sets")
    printed = run_verb(*given, "btc,openmentions", "--dev-share", 0).stdout
    assert [doc.text for doc in read(out / "train/btc")] == passages[:2]
    # What was held out of another set was not read before.
    (doc,) = read(out / "dev/openmentions")
    assert doc.text == passages[2]
    assert [(span.text, span.label_) for span in doc.spans["mentions"]] == [("Cid", "NAME")]
    assert doc.spans["mentions"].attrs["kinds"] == ["NAME", "TERM", "QUANTITY"]
    assert "2 text dropped that occurred before" in printed

    run_verb(*given, "openmentions")
    assert [doc.text for doc in read(out / "train")] == passages[:2]
    run_verb(*given, "openmentions:0")
    assert read(out / "train") == []
    assert [doc.text for doc in read(out / "dev")] == passages[2:3]


def test_held_out_sets_are_not_learnt_from(passages, tmp_path):
    given = ("convert", "training", tmp_path, tmp_path / "out", "--sets")
    error = error_of(*given, "openmentions_test")
    assert "'openmentions_test' is not to learn from. Known: gum, litbank" in error
