"""The steps of the project, one after the other, with a tiny backbone."""

import json
from pathlib import Path

import pytest
import spacy
import typer
from conftest import TEXTS
from spacy.tokens import DocBin
from spacy.util import load_config

from reproduction.verbs import annotate, cache, calibrate, evaluate, leave_out, teachers
from spacy_tommer.keys import TARGETS
from spacy_tommer.training.corpus import CachedCorpus

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tiny, tmp_path, monkeypatch):
    """Give a folder with two small sets and a config on a tiny backbone."""
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    for name, start in (("one", 0), ("two", 1)):
        docs = []
        for i in range(12):
            doc = nlp.make_doc(f"{name} {i}: {TEXTS[i % 3]}")
            doc.spans["mentions"] = [doc[3:5], doc[5 + start : 6 + start]]
            doc.ents = []
            docs.append(doc)
        for part, some in (("train", docs[:8]), ("dev", docs[8:])):
            folder = tmp_path / "corpus" / part / name
            folder.mkdir(parents=True)
            DocBin(docs=some).to_disk(folder / "000000.spacy")
    overrides = {
        "components.transformer.model.name": tiny("bert"),
        "components.transformer.model.layers": [1],
        "components.tommer.model.rank": 8,
    }
    load_config(ROOT / "configs/minilm.cfg", overrides=overrides).to_disk("config.cfg")
    return tmp_path


def gold(path):
    vocab = spacy.blank("en").vocab
    return list(DocBin().from_disk(path).get_docs(vocab))


def test_from_corpora_to_a_table(project, passes, capsys):
    train, dev = Path("corpus/train"), Path("corpus/dev")
    cache.fill(Path("config.cfg"), [train, dev])
    assert "0 gold spans left out" in capsys.readouterr().out
    computed = len(passes)
    cache.fill(Path("config.cfg"), [train, dev])
    assert "0 tokens have no states yet" in capsys.readouterr().out

    teachers.train_teachers(Path("config.cfg"), train, dev, Path("teachers"), steps=3)
    assert sorted(path.name for path in Path("teachers").iterdir()) == ["one", "two"]
    made = Path("teachers/one/tommer/model").stat().st_mtime_ns
    teachers.train_teachers(Path("config.cfg"), train, dev, Path("teachers"), steps=3)
    assert Path("teachers/one/tommer/model").stat().st_mtime_ns == made

    annotate.annotate_corpus(
        train, Path("consensus"), [Path("teachers")], purpose="targets", keep="two"
    )
    (one,) = Path("consensus/one").iterdir()
    (two,) = Path("consensus/two").iterdir()
    assert len(gold(one)) == 8
    for doc in gold(one):
        assert doc.user_data[TARGETS].shape == (len(doc), 25)
        assert len(doc.spans["mentions"]) == 2
    assert two.read_bytes() == (train / "two" / two.name).read_bytes()
    # If reading another corpus changed the output of the step that caches, weasel would
    # run the step again.
    states = set(Path("cache/states").rglob("*"))
    list(CachedCorpus("consensus", "cache")(spacy.load("teachers/one")))
    assert set(Path("cache/states").rglob("*")) == states
    assert len(passes) == computed

    calibrate.calibrate(Path("teachers/one"), dev, Path("calibrated"), 0.0, 0.0)
    nlp = spacy.load("calibrated")
    assert set(nlp.meta["performance"]["calibration"]["threshold"]) == {
        "one",
        "two",
        "mean",
    }
    evaluate.evaluate(["calibrated"], dev, Path("metrics"))
    report = json.loads(Path("metrics/protocol.json").read_text("utf-8"))
    sets = report["pipelines"]["calibrated"]["sets"]
    assert {name: one["nested"]["gold"] for name, one in sets.items()} == {
        "one": 8,
        "two": 8,
    }
    for file_ in ("protocol.md", "curves.png"):
        assert (Path("metrics") / file_).stat().st_size > 100
    assert not list(project.glob("*.part"))


def test_leaving_a_corpus_out(project, monkeypatch):
    train, dev, config = Path("corpus/train"), Path("corpus/dev"), Path("config.cfg")
    teachers.train_teachers(config, train, dev, Path("teachers"), steps=3)
    overrides = {"training.max_steps": 2, "training.eval_frequency": 2}
    load_config(config, overrides=overrides).to_disk(config)
    monkeypatch.setattr(
        leave_out, "calibrate", lambda *paths: calibrate.calibrate(*paths, 0.0, 0.0)
    )
    given = (config, train, dev, Path("teachers"))
    with pytest.raises(typer.BadParameter, match="no set three"):
        leave_out.leave_out(*given, "two,three", Path("out"))
    cache.fill(config, [train, dev])
    states = set(Path("cache/states").rglob("*"))
    for _ in range(2):
        leave_out.leave_out(*given, "two", Path("out"), limit=5)
    assert set(Path("cache/states").rglob("*")) == states
    assert [path.name for path in Path("out/targets").iterdir()] == ["one"]
    calibrated = spacy.load("out/calibrated").meta["performance"]["calibration"]
    assert set(calibrated["threshold"]) == {"one", "mean"}
    report = json.loads(Path("out/metrics/protocol.json").read_text("utf-8"))
    (scored,) = report["pipelines"].values()
    assert {name: one["texts"] for name, one in scored["sets"].items()} == {"two": 5}
    assert (train / "two" / "000000.spacy").is_file()


def test_an_annotation_that_fails_leaves_no_corpus(project, monkeypatch):
    train, dev = Path("corpus/train"), Path("corpus/dev")
    teachers.train_teachers(Path("config.cfg"), train, dev, Path("teachers"), steps=1)
    monkeypatch.setattr(DocBin, "to_disk", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        annotate.annotate_corpus(train, Path("distilled"), [Path("teachers/one")])
    assert not Path("distilled").exists()


def test_nothing_to_annotate_leaves_the_corpus_that_is_there(project):
    Path("distilled").mkdir()
    Path("empty").mkdir()
    (Path("distilled") / "kept.spacy").touch()
    with pytest.raises(typer.BadParameter, match="no pipelines"):
        annotate.annotate_corpus(Path("corpus"), Path("distilled"), [Path("empty")])
    Path("empty/config.cfg").touch()
    with pytest.raises(typer.BadParameter, match="spacy files in the folder nowhere"):
        annotate.annotate_corpus(Path("nowhere"), Path("distilled"), [Path("empty")])
    assert (Path("distilled") / "kept.spacy").exists()
