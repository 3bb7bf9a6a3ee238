"""The smallest run of each benchmark, on a tiny backbone: they run, and say what they
should. What they measure is not tested."""

import random
import re
import shlex
import sys
from pathlib import Path

import pytest
import spacy
from click.testing import CliRunner as ClickRunner
from conftest import TEXTS
from run_verb import run_verb
from spacy.tokens import DocBin
from spacy.util import load_config

from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def nlp(make_nlp, tmp_path):
    """Give a pipeline of random weights."""
    nlp = make_nlp("bert", threshold=0.4)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    nlp.get_pipe("tommer").model.initialize(X=[doc])
    return nlp


@pytest.fixture
def corpus(tmp_path):
    """Give a folder with a DocBin of mentions."""
    docs = list(spacy.blank("en").pipe(TEXTS))
    for doc in docs:
        doc.spans["mentions"] = [doc[0:2], doc[3:4]]
        doc.ents = []
    (tmp_path / "corpus").mkdir()
    DocBin(docs=docs).to_disk(tmp_path / "corpus/0.spacy")
    return tmp_path / "corpus"


@pytest.fixture
def config(tiny, tmp_path):
    """Give a training config on a tiny backbone."""
    overrides = {"recipe.backbone": tiny("bert"), "recipe.layers": [1], "recipe.rank": 8}
    overrides |= {"recipe.hidden": 0, "recipe.warmup_steps": 1}
    load_config(ROOT / "configs/mentions.cfg", overrides).to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


def test_head(capsys):
    from benchmarks import head

    head.main(width=8, few=4, many=8, runs=1)
    assert "for 2 times the units" in capsys.readouterr().out


def test_memory(nlp, tmp_path, capsys):
    from benchmarks import memory

    nlp.to_disk(tmp_path / "nlp")
    memory.main(str(tmp_path / "nlp"), tokens=70, documents=2)
    assert float(capsys.readouterr().out) > 0


def test_pipe(nlp, corpus, tmp_path, capsys):
    from benchmarks import pipe

    nlp.to_disk(tmp_path / "nlp")
    pipe.main(str(tmp_path / "nlp"), corpus, texts=3, runs=1, batch_sizes="2")
    printed = capsys.readouterr().out
    assert "median of whole / bare (batch size 2)" in printed
    assert "backbone forward" in printed and "spans and ents" in printed


def test_decoders(nlp, corpus, tmp_path, capsys):
    from benchmarks import decoders

    nlp.to_disk(tmp_path / "nlp")
    decoders.main(str(tmp_path / "nlp"), corpus)
    shown = capsys.readouterr().out.splitlines()
    assert "greedy (0." in shown[0] and "best flat (0." in shown[0]
    assert [line.split()[1] for line in shown[2:]] == ["corpus", "mean"]


def test_labels(nlp, corpus, tmp_path, monkeypatch, capsys):
    from benchmarks import labels

    monkeypatch.setattr(labels, "COUNTS", (1, 3))
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"], "threshold": 0.1})
    set_type_head(pipe.model, TypeHead(32))
    nlp.to_disk(tmp_path / "nlp")
    labels.measure(str(tmp_path / "nlp"), corpus, texts=2, repeats=1)
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 1", "| 3"]
    assert rows[0].split(" | ")[2] == "0.0"
    assert all(re.fullmatch(r"\| \d [| \d.-]+ \|", row) for row in rows)


def test_labels_are_timed_with_and_without_the_component(nlp):
    from benchmarks import labels

    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"], "threshold": 0.1})
    set_type_head(pipe.model, TypeHead(32))
    vectors, seen = labels.embed(pipe), []
    predict = pipe.predict
    pipe.predict = lambda docs: seen.append(pipe.labels) or predict(docs)
    for count in (0, 2, 1):
        assert labels.time_run(nlp, TEXTS, count, vectors) > 0
    assert seen == [("type0", "type1"), ("type0",)]
    assert len(vectors) == max(labels.COUNTS)


def test_training(config, corpus, tmp_path, monkeypatch, capsys):
    from benchmarks import training

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for place, name in (
        (training.Tommer, "update"),
        (training.Tommer, "finish_update"),
        (training.Transformer, "pipe"),
        (training.spacy.language, "_copy_examples"),
        (training.cached, "mix"),
        (training.spacy.training.loop, "create_evaluation_callback"),
    ):  # which the benchmark times, and which come back behind the test
        monkeypatch.setattr(place, name, getattr(place, name))
    training.measure(config, corpus, corpus, epochs=1, evaluations=1)
    printed = capsys.readouterr().out
    for part in ("backbone pass", "forward and backward", "annotation", "training, both"):
        assert part in printed


def test_growth(config, tmp_path, monkeypatch, capsys):
    from benchmarks import growth

    source = tmp_path / "craft.tsv"
    # Sentences so long that a passage has few of them, and some are for validation.
    rest = "more\tO\n" * 60
    texts = (f"cells\tB-X\ngrow\tO\n{i}\tO\n{rest}\n" for i in range(700))
    source.write_text("".join(texts))
    more = growth.STEPS["convert"].replace("--dev-share 0.2", "--dev-share 0.5")
    monkeypatch.setitem(growth.STEPS, "convert", more)

    def peak(command, log):
        words = shlex.split(command)[1:]
        if words[0] == "reproduction":
            run_verb(*words[1:])
        else:
            from spacy.cli import app
            from typer.main import get_command

            result = ClickRunner().invoke(get_command(app), words[1:])
            assert result.exit_code == 0, result.output
        return 1

    assert growth.peak("-c pass", tmp_path / "log") > 10**6
    monkeypatch.setattr(growth, "peak", peak)
    growth.measure(source, texts=60, config=config)
    printed = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split()[0] for line in printed] == list(growth.STEPS)


def test_interrupt(tmp_path, capsys):
    from benchmarks import interrupt

    code = "import os, pathlib as p; p.Path('out').mkdir(exist_ok=True); "
    code += "p.Path('out/a.part').write_text('1'); os.replace('out/a.part', 'out/a')"
    given = ([sys.executable, "-c", code], tmp_path, tmp_path / "out", "*", 2)
    assert interrupt.check(*given, random.Random(0))
    assert "2 of 2 the same" in capsys.readouterr().out
    given[0][2] += "; p.Path('out/b').write_text(str(os.getpid()))"
    assert not interrupt.check(*given, random.Random(0))


def test_gliner():
    pytest.importorskip("gliner")
    from benchmarks import gliner

    assert gliner.natural("programlang") == "programming language"
    found = [{(0, 1, "a"), (2, 3, "b")}, set()]
    measures = gliner.score(found, [{(0, 1, "a")}, {(4, 5, "a")}])
    assert (measures["p"], measures["r"]) == (0.5, 0.5)
