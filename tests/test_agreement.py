"""Agreement between pipelines, from sets of mentions to files."""

import csv

import numpy as np
import pytest
import spacy
from conftest import TEXTS, add_backbone
from run_verb import error_of, run_verb
from spacy.tokens import DocBin, Span
from spacy.training import Example
from thinc.api import fix_random_seed

from reproduction.analyses.agreement import Agreement, measure_agreement


def test_dice_and_iou_by_hand():
    counts = Agreement(["a", "b", "c"])
    counts.add([{1, 2, 3}, {2, 3, 4, 5}, set()])
    counts.add([{1}, set(), set()])
    # |A| = 4, |B| = 4, |A and B| = 2; C is empty
    expected = [[1, 4 / 8, 0], [4 / 8, 1, 0], [0, 0, 1]]
    assert counts.dice() == pytest.approx(np.array(expected))
    expected = [[1, 2 / 6, 0], [2 / 6, 1, 0], [0, 0, 1]]
    assert counts.iou() == pytest.approx(np.array(expected))


@pytest.fixture
def texts(tmp_path):
    nlp = spacy.blank("en")
    docs = list(nlp.pipe(TEXTS))
    folder = tmp_path / "sets" / "one"
    folder.mkdir(parents=True)
    DocBin(docs=docs).to_disk(folder / "000000.spacy")
    return tmp_path / "sets"


@pytest.fixture
def pipelines(tiny, tmp_path):
    """Two pipelines whose tokenizers differ: one keeps "can't" as one token."""
    folders = []
    for seed, family in enumerate(("bert", "llama")):
        nlp = spacy.blank("en")
        if family == "llama":
            nlp.tokenizer.add_special_case("can't", [{"ORTH": "can't"}])
        add_backbone(nlp, tiny(family))
        nlp.add_pipe("tommer", config={"threshold": 0.4, "flat_threshold": 0.5})
        gold = nlp.make_doc(TEXTS[0])
        gold.spans["mentions"] = []
        example = Example(nlp.make_doc(TEXTS[0]), gold)
        fix_random_seed(seed)
        nlp.initialize(lambda example=example: [example])
        folders.append(tmp_path / family)
        nlp.to_disk(folders[-1])
    return folders


def characters(nlp, key):
    return {
        (i, span.start_char, span.end_char)
        for i, doc in enumerate(nlp.pipe(TEXTS))
        for span in (doc.ents if key == "ents" else doc.spans[key])
    }


@pytest.mark.parametrize("cached", [False, True])
def test_counts_are_those_of_the_docs(pipelines, texts, tmp_path, cached):
    loaded = {path.name: spacy.load(path) for path in pipelines}
    cache = tmp_path / "cache" if cached else None
    counts = measure_agreement(loaded, texts / "one", cache=cache)
    for decoding, key in (("nested", "mentions"), ("flat", "ents")):
        one, other = (characters(nlp, key) for nlp in loaded.values())
        expected = [[len(one), len(one & other)], [len(one & other), len(other)]]
        # States in half precision move a score that is close to the threshold.
        off = np.abs(counts[decoding].shared - expected).max()
        assert off <= (2 if cached else 0)
        assert len(one & other) > 0
    few = measure_agreement(loaded, texts / "one", threshold=0.999)
    assert few["nested"].shared.sum() < counts["nested"].shared.sum()


def test_entities_of_sources_are_those_of_the_docs(make_nlp, texts, examples):
    sources = {"kinds": ["NAME", "TERM"], "sources": ["x", "y"]}
    model = {"@architectures": "spacy_tommer.Tommer.v1", **sources}
    nlp = make_nlp(model=model, threshold=0.4, flat_threshold=0.3)
    nlp.initialize(lambda: examples)
    counts = measure_agreement({"a": nlp, "b": nlp}, texts / "one")
    for decoding, key in (("nested", "mentions"), ("flat", "ents")):
        found = len(characters(nlp, key))
        assert found and (counts[decoding].shared == found).all()


@spacy.Language.component("first_tokens_as_mentions")
def first_tokens_as_mentions(doc):
    doc.spans["mentions"] = [Span(doc, 0, 1)]
    return doc


def test_a_pipeline_without_tommer_writes_its_mentions(texts):
    nlp = spacy.blank("en")
    nlp.add_pipe("first_tokens_as_mentions")
    counts = measure_agreement({"a": nlp, "b": nlp}, texts / "one")
    assert counts["flat"].shared.tolist() == [[3, 3], [3, 3]]


def test_the_command_writes_table_and_heat_map(pipelines, texts, tmp_path):
    output = tmp_path / "out"
    names = [str(path) for path in pipelines]
    arguments = ["agreement", *names, "--benchmarks", texts, "--output", output]
    run_verb(*arguments)
    with (output / "agreement.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["decoding"], row["a"], row["b"]) for row in rows] == [
        (decoding, a, b) for decoding in ("nested", "flat") for a in names for b in names
    ]
    for row in rows:
        found, shared = int(row["found_a"]) + int(row["found_b"]), int(row["shared"])
        assert float(row["dice"]) == pytest.approx(2 * shared / found)
        assert float(row["iou"]) == pytest.approx(shared / (found - shared))
    assert (output / "dice.png").read_bytes().startswith(b"\x89PNG")
    assert "has no set three, but one" in error_of(*arguments, "--sets", "one,three")
