"""The learning curve: heads on the first passages of random orders."""

import json
from pathlib import Path

import pytest
import spacy
from conftest import TEXTS
from run_verb import run_verb
from spacy.tokens import DocBin


@pytest.fixture
def project(write_config, tmp_path, monkeypatch):
    """Give a folder with a corpus, two sets, and a config on a tiny backbone."""
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    for place, size in (("train", 5), ("sets/one", 2), ("sets/two", 3)):
        docs = []
        for i in range(size):
            doc = nlp.make_doc(f"{place} {i}: {TEXTS[i % 3]}")
            doc.spans["mentions"] = [doc[i : i + 1] for i in range(len(doc))]
            docs.append(doc)
        (tmp_path / place).mkdir(parents=True)
        DocBin(docs=docs).to_disk(tmp_path / place / "0.spacy")
    write_config()


def test_the_curve(project):
    given = ["learning-curve", "config.cfg", "train", "sets", "out", "--sizes", "2,0"]
    given += ["--orders", 2, "--recipe.kinds", "MENTION", "--recipe.sources", "null"]
    given += ["--recipe.steps", 20, "--training.eval_frequency", 20]
    given += ["--recipe.warmup_steps", 1, "--recipe.learn_rate", 0.05]
    output = run_verb(*given).output
    rows = json.loads(Path("out/curve.json").read_text("utf-8"))
    assert [(row["order"], row["passages"], row["set"]) for row in rows] == [
        (order, size, name)
        for order in (0, 1)
        for size in (2, 5)
        for name in ("one", "two")
    ]
    assert all(0.5 < row["f1"] <= 1 for row in rows)
    assert f"order 1, two: precision {100 * rows[-1]['precision']:.1f}" in output
    vocab = spacy.blank("en").vocab

    def learnt(folder):
        path = Path("out", folder, "texts/000000.spacy")
        return {doc.text for doc in DocBin().from_disk(path).get_docs(vocab)}

    assert len(learnt("0_2")) == 2 and len(learnt("0_5")) == 5
    assert learnt("0_2") != learnt("1_2") and learnt("0_5") == learnt("1_5")

    heads = sorted(Path("out").glob("*/model-last/tommer/model"))
    made = [head.stat().st_mtime_ns for head in heads]
    assert len(heads) == 4
    run_verb(*given)
    assert [head.stat().st_mtime_ns for head in heads] == made
    assert json.loads(Path("out/curve.json").read_text("utf-8")) == rows
