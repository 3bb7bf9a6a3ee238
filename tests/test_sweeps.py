"""Sweeps: what is run, from which states, and what is written."""

import csv
import json
from pathlib import Path

import pytest
import spacy
import srsly
from conftest import TEXTS
from run_verb import run_verb
from spacy.tokens import DocBin

from reproduction.analyses.plans import Run, read_plan
from reproduction.analyses.sweep_tables import corpus_size, draw
from reproduction.analyses.sweeps import read_row, train_head
from spacy_tommer.evaluation.protocol import score_docs, score_examples
from spacy_tommer.training.corpus import CachedCorpus

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def plan(tiny, tmp_path, monkeypatch):
    """A sweep of a tiny backbone: its file."""
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    for place in ("train/0", "train/1", "dev/0", "sets/one/0", "sets/two/0"):
        docs = []
        for i in range(4):
            doc = nlp.make_doc(f"{place} {i}: {TEXTS[i % 3]}")
            doc.spans["mentions"] = [doc[4:6], doc[4:5]]
            doc.ents = []
            docs.append(doc)
        path = tmp_path / f"{place}.spacy"
        path.parent.mkdir(parents=True, exist_ok=True)
        DocBin(docs=docs).to_disk(path)
    content = {
        "config": str(ROOT / "configs/mentions.cfg"),
        "train": "train",
        "dev": "dev",
        "benchmarks": "sets",
        "sentences": 3,
        "steps": 2,
        "thresholds": [0.25, 0.5],
        "overrides": {
            "recipe.hidden": 0,
            "recipe.kinds": "MENTION",
            "recipe.sources": None,
            "recipe.learn_rate": 0.01,
        },
        "backbones": {"tiny": {"name": tiny("llama"), "layers": [0, 1, 2], "layer": 1}},
        "base": {"rank": 8},
        "vary": {"layer": "all", "rank": [4, 8], "texts": [2, 0]},
    }
    srsly.write_yaml("sweep.yaml", content)
    return tmp_path / "sweep.yaml"


def test_one_setting_is_varied_at_a_time(plan):
    runs = read_plan(plan).runs()
    assert [(run.layer, run.rank, run.texts) for run in runs] == [
        (1, 8, 0),
        (0, 8, 0),
        (2, 8, 0),
        (1, 4, 0),
        (1, 8, 2),
    ]
    keys = [run.key for run in runs]
    assert keys == [
        "tiny-1-rank8",
        "tiny-0-rank8",
        "tiny-2-rank8",
        "tiny-1-rank4",
        "tiny-1-rank8-texts2",
    ]


def test_the_plan_of_the_project(plan):
    content = srsly.read_yaml(ROOT / "configs/sweep.yaml")
    places = {name: srsly.read_yaml(plan)[name] for name in ("config", "train", "dev")}
    srsly.write_yaml("project.yaml", {**content, **places, "benchmarks": "sets"})
    runs = read_plan(Path("project.yaml")).runs()
    assert runs[0] == Run("minilm", 2)
    assert {run.layer for run in runs if run.backbone == "smollm2"} == set(range(15))
    assert [run.rank for run in runs[6:11]] == [4, 8, 16, 32, 128]


def test_a_plan_that_does_not_fit(plan):
    content = srsly.read_yaml(plan)
    srsly.write_yaml(plan, {**content, "bases": 1})
    with pytest.raises(ValueError, match="bases"):
        read_plan(plan)
    for change, said in [
        ({"vary": {"colour": [1]}}, "colour"),
        ({"vary": {"rank": "all"}}, "`rank` in `vary` is no list"),
        ({"vary": {"layer": [7]}}, "block 7"),
        ({"base": {"matching": "tomm"}}, "ltqk, lcattn"),
        ({"thresholds": 0.5}, "float"),
        ({"train": "nowhere"}, "its `train`, nowhere"),
    ]:
        srsly.write_yaml(plan, {**content, **change})
        with pytest.raises(ValueError, match=said):
            read_plan(plan)


def test_sweep_from_plan_to_figures(plan, passes, tmp_path):
    arguments = ["sweep", plan, "--output", "out", "--cache", "cache"]
    run_verb(*arguments)
    rows = sorted(Path("out/rows").iterdir())
    assert len(rows) == 5
    # One pass over each part of the corpora gives all layers, for all five runs.
    computed = len(passes)
    large = [count for count in passes if count > 5]
    assert len(large) == 2 + 1 + 2  # files of train and dev, and sets
    states = {path.parent.name for path in Path("cache").rglob("states/*/*/*.safetensors")}
    assert states == {"0", "1", "2"}
    # Interrupted and started again, it does what is missing only.
    made = rows[0].stat().st_mtime_ns
    before = {path.name: json.loads(path.read_text()) for path in rows}
    rows[1].unlink()
    run_verb(*arguments)
    assert rows[0].stat().st_mtime_ns == made
    again = json.loads(rows[1].read_text())
    for row in (again, before[rows[1].name]):
        row.pop("seconds")
    assert again == before[rows[1].name]
    # spaCy's initialization runs the backbone on one word.
    assert all(count < 5 for count in passes[computed:])

    # Another plan takes none of these rows for its own.
    content = srsly.read_yaml(plan)
    srsly.write_yaml(plan, {**content, "steps": 3})
    other = read_plan(plan)
    assert all(read_row(Path("out/rows"), other, run) is None for run in other.runs())
    srsly.write_yaml(plan, content)
    # Nor do other texts in the same place.
    planned = read_plan(plan)
    run = planned.base_run("tiny")
    assert read_row(Path("out/rows"), planned, run) is not None
    kept = Path("dev/0.spacy").read_bytes()
    Path("dev/0.spacy").write_bytes(Path("train/0.spacy").read_bytes())
    assert read_row(Path("out/rows"), planned, run) is None
    Path("dev/0.spacy").write_bytes(kept)

    with Path("out/sweep.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    planned = read_plan(plan)
    assert [int(row["layer"]) for row in table] == [1, 0, 2, 1, 1]
    # 2 d r + d + 6 parameters, and blocks of one size
    assert [int(row["parameters"]) for row in table] == [550, 550, 550, 294, 550]
    blocks = [int(row["blocks"]) for row in table]
    assert blocks[0] == 2 * blocks[1] and blocks[2] == 3 * blocks[1]
    for shown, run in zip(table, planned.runs()):
        row = json.loads((tmp_path / "out/rows" / f"{run.key}.json").read_text())
        assert float(shown["f_0.5"]) == row["thresholds"]["0.5"]["f"]
        assert row["thresholds"]["0.25"]["r"] >= row["thresholds"]["0.5"]["r"]
        assert set(row["sets"]) == {"one", "two"}
    assert {path.name for path in Path("out").glob("*.png")} == {
        f"{name}.png" for name in ("layer", "rank", "texts", "blocks", "precision_recall")
    }
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in Path("out").glob("*.png"))


def test_figures_show_the_rows(plan):
    planned = read_plan(plan)
    measure = {"r": 0.5, "p": 0.25, "f": 0.3}
    rows = {
        run: {
            "layer": run.layer,
            "rank": run.rank,
            "texts": run.texts,
            "blocks": 1000,
            "greedy": {**measure, "f": 0.1 * i},
            "thresholds": {"0.5": measure},
            "curve": [measure],
        }
        for i, run in enumerate(planned.runs())
    }
    figures = draw(planned, rows)
    assert corpus_size(planned.train) == 8
    expected = {
        "layer": ([0, 1, 2], [10, 0, 20]),
        "rank": ([4, 8], [30, 0]),
        "texts": ([2, 8], [40, 0]),
        "blocks": ([1000], [0]),
    }
    for setting, (x, y) in expected.items():
        (axes,) = figures[setting].axes
        assert axes.get_xlabel() and axes.get_ylabel().endswith("%)")
        greedy = axes.lines[0]
        assert greedy.get_xdata().tolist() == x
        assert greedy.get_ydata().tolist() == pytest.approx(y)


def test_validation_texts_score_as_in_the_protocol(plan, tmp_path):
    planned = read_plan(plan)
    nlp = train_head(planned, planned.runs()[0], tmp_path / "cache")
    tommer = nlp.get_pipe("tommer")
    examples = CachedCorpus(planned.dev, tmp_path / "cache")(nlp)
    gold = list(DocBin().from_disk(planned.dev / "0.spacy").get_docs(nlp.vocab))
    for one, other in zip(score_examples(tommer, examples, [0.3]), score_docs(nlp, gold)):
        assert (one.texts, one.tokens) == (other.texts, other.tokens)
        assert one.at(0.5) == pytest.approx(other.at(0.5))


@pytest.mark.parametrize("matching", ["ltqk", "lcattn"])
def test_variants_are_trained_from_cached_attention(plan, matching, tmp_path):
    planned = read_plan(plan)
    run = Run("tiny", 1, rank=4, matching=matching)
    nlp = train_head(planned, run, tmp_path / "cache")
    layers = nlp.get_pipe("transformer").model.shims[0].layers
    assert layers == ((1,) if matching == "ltqk" else (0, 1))
    kept = {p.parent.name for p in (tmp_path / "cache").rglob("states/*/*/*.safetensors")}
    assert kept == (
        {"1", "1-queries_keys"}
        if matching == "ltqk"
        else {"0", "1", "0-scores-25", "1-scores-25"}
    )


def test_the_benchmark_of_variants(plan):
    from benchmarks import variants

    variants.compare(plan, "tiny", Path("out"), Path("cache"))
    report = Path("out/tiny-0.md").read_text("utf-8")
    for name in ("ToM", "LTQK", "LTQK, block 0", "LCAttn", "dot product", "MHSA"):
        assert f"| {name} |" in report
    made = {path: path.stat().st_mtime_ns for path in Path("out/tiny/0").iterdir()}
    variants.compare(plan, "tiny", Path("out"), Path("cache"))
    assert made == {path: path.stat().st_mtime_ns for path in made}
