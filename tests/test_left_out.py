"""Training without some corpora, and what is scored then, with a tiny backbone."""

import json
from pathlib import Path

import pytest
import spacy
from run_verb import error_of, run_verb
from spacy.tokens import DocBin, SpanGroup
from spacy.util import load_config

from reproduction.heads.left_out import other_sources
from spacy_tommer.head.model import get_head

CONFIG = Path(__file__).resolve().parents[1] / "configs/mentions.cfg"
KINDS = ["NAME", "TERM", "QUANTITY"]
# The text and a mention of each set.
SETS = {
    "openmentions": ("Ada Lovelace wrote {} notes on the engine.", "Ada Lovelace"),
    "one": ("You may ask Grace Hopper {} times.", "Grace Hopper"),
    "two": ("In {} Alan Turing ran home from Bletchley Park.", "Alan Turing"),
}


def make_doc(nlp, name, number):
    text, mention = SETS[name]
    doc = nlp.make_doc(text.format(number))
    start = doc.text.index(mention)
    span = doc.char_span(start, start + len(mention), "NAME")
    attrs = {"kinds": [], "source": name}
    doc.spans["mentions"] = SpanGroup(doc, name="mentions", spans=[span], attrs=attrs)
    return doc


@pytest.fixture
def corpora(write_config, tmp_path, monkeypatch):
    """Write three sets, and a config on a tiny backbone. Texts 0 to 2 of "two" stand in
    "openmentions", too, which marks mentions of every kind."""
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    for part, numbers in (("train", range(8)), ("dev", range(8, 12))):
        for name in SETS:
            docs = [make_doc(nlp, name, number) for number in numbers]
            if name == "openmentions":
                docs += [make_doc(nlp, "two", number) for number in numbers[:3]]
                for doc in docs:
                    attrs = {"kinds": KINDS, "source": name}
                    doc.spans["mentions"].attrs.update(attrs)
            folder = Path("corpus", part, name)
            folder.mkdir(parents=True)
            DocBin(docs=docs).to_disk(folder / "000000.spacy")
    write_config(sources=["two", "one"])


GIVEN = ("leave-out", "mentions", "config.cfg", "corpus/train", "corpus/dev")


def test_a_head_that_has_not_seen_a_corpus(corpora):
    run_verb("cache", *GIVEN[2:])
    states = set(Path("cache/states").rglob("*"))
    few = ("--recipe.steps", 2, "--training.eval_frequency", 2)
    for _ in range(2):
        printed = run_verb(*GIVEN, "two", "out", "--mean-recall", 0, "--limit", 4, *few)
    assert set(Path("cache/states").rglob("*")) == states
    assert "two: 3 texts stand in openmentions, and do not count" in printed.output

    nlp = spacy.load("out/trained/model-last")
    tommer = nlp.get_pipe("tommer")
    assert tommer.model.attrs["sources"] == ["one"]
    assert get_head(tommer.model).sources == ("one",)
    recipe, paths = nlp.config["recipe"], nlp.config["paths"]
    assert recipe["steps"] == 2 and recipe["sources"] == ["one"]
    assert paths["dev"] == str(Path("out/rest_dev/openmentions"))
    seen = Path(paths["train"]).iterdir()
    assert sorted(path.name for path in seen) == ["one", "openmentions"]

    calibrated = spacy.load("out/calibrated").meta["performance"]["calibration"]
    for point in calibrated["points"].values():
        for measures in point.values():
            assert set(measures) == {"one", "openmentions", "mean"}
    scored = DocBin().from_disk("out/left_out/two/000000.spacy").get_docs(nlp.vocab)
    text, _ = SETS["two"]
    assert [doc.text for doc in scored] == [text.format(i) for i in range(3, 8)]
    report = json.loads(Path("out/metrics/protocol.json").read_text("utf-8"))
    (pipeline,) = report["pipelines"].values()
    sets = {name: one["texts"] for name, one in pipeline["sets"].items()}
    assert sets == {"two": 4}
    left = DocBin().from_disk("corpus/train/two/000000.spacy")
    assert len(left) == 8


def test_sets_that_cannot_be_left_out(corpora):
    assert "no set three" in error_of(*GIVEN, "two,three", "out")
    error = error_of(*GIVEN, "one,openmentions", "out")
    assert "Without one,openmentions, corpus/train has no set openmentions" in error
    assert "keep it, and leave out others" in error
    assert not Path("out").exists()


def test_the_sources_of_a_recipe_that_stay():
    every = load_config(CONFIG)["recipe"]["sources"]
    rest = other_sources(CONFIG, {}, ["gum", "cyner", "nothing"])
    assert rest == [name for name in every if name not in ("gum", "cyner")]
    assert len(rest) == len(every) - 2
    assert other_sources(CONFIG, {"recipe.sources": ["b", "gum"]}, ["gum"]) == ["b"]
    assert other_sources(CONFIG, {"recipe.sources": ["gum"]}, ["gum"]) == []
    assert other_sources(CONFIG, {"recipe.sources": None}, ["gum"]) is None
