"""The smallest run of each benchmark, on a tiny backbone: they run, and say what they
should. What they measure is not tested."""

import json
import random
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest
import spacy
import torch
from click.testing import CliRunner as ClickRunner
from conftest import TEXTS
from run_verb import run_verb
from spacy.tokens import DocBin
from spacy.util import load_config

from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.matching import ToM

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
    texts = (f"cells\tB-X\ngrow\tO\n{i}\tO\n{rest}\n" for i in range(250))
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
    growth.measure(source, texts=20, config=config)
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


def test_dense_scores_are_those_of_the_band():
    from benchmarks.dense_scores import DenseScores

    torch.manual_seed(0)
    dense, head = DenseScores(8, 4, 3), MentionHead(8, ToM(8, 4, 3))
    weights = {f"matching.{name}": getattr(dense, name) for name in ("query", "key")}
    weights |= {"mixing": dense.mixing}
    weights |= {f"value.{name}": one for name, one in dense.value.named_parameters()}
    head.load_state_dict(weights)
    states, lengths = torch.randn(2, 6, 8), torch.tensor([6, 4])
    with torch.inference_mode():
        logits = dense(states, lengths)
        band = head(torch.cat([states[0], states[1, :4]]), lengths)[..., 0]
    # Ends, starts and texts of all spans, as rows and columns of the band.
    text, end, start = torch.isfinite(logits).nonzero().T
    assert len(text) == torch.isfinite(band).sum() == 15 + 9
    torch.testing.assert_close(logits[text, end, start], band[text * 6 + end, end - start])


def test_texts_of_all_lengths_have_the_same_words():
    from benchmarks.one_peer import WORD, make_texts

    short, long = make_texts(15, 600), make_texts(200, 600)
    assert [len(short), len(long)] == [40, 3]
    assert "".join(short).replace(" ", "") == "".join(long).replace(" ", "")
    assert sorted(len(WORD.findall(text)) for text in long) == [133, 200, 267]
    assert [len(WORD.findall(text)) for text in make_texts(700, 600)] == [700]


def test_one_peer(monkeypatch, capsys):
    from benchmarks import one_peer

    seen = []

    def run(texts):
        seen.append(len(texts))
        if len(texts[0]) > 1000:
            raise ValueError("too long\nby far")

    monkeypatch.setattr(one_peer.signal, "alarm", lambda seconds: None)
    monkeypatch.setattr(one_peer, "LEAST_SECONDS", 0.0001)
    monkeypatch.setattr(one_peer, "PEERS", {"fast": lambda: run, "lacking": lambda: 1 / 0})
    one_peer.measure("fast", 300, ["tweet", "page"])
    one_peer.measure("lacking", 300, ["tweet"])
    printed = capsys.readouterr()
    loaded, tweet, page, lacking = map(json.loads, printed.out.splitlines())
    assert loaded["loading"] > 0 and 0 < loaded["memory"] <= tweet["memory"]
    assert tweet["length"] == "tweet" and tweet["speed"] > 0
    assert seen[:3] == [1, 10, 20]
    assert page == {"length": "page", "failed": "ValueError: too long"}
    assert lacking == {"left_out": "ZeroDivisionError: division by zero"}
    assert printed.err.splitlines() == [one_peer.MARK] * 3


def test_a_peer_runs_in_a_process_of_its_own():
    from benchmarks import peers

    measured = peers.run_peer("unknown", 1, 100, ["tweet"])
    assert measured.left_out == "KeyError: 'unknown'"
    assert not measured.values and not measured.speeds


def test_what_a_peer_reports_is_read():
    from benchmarks import peers

    log = f"""import time:  9000000 | 9000000 | before
{peers.MARK}
import time:   200000 |     200000 |   numpy
import time:   300000 |     500000 | torch
a warning
{peers.MARK}
import time:  7000000 | 7000000 | after"""
    lines = [
        {"loading": 2.5, "memory": 100.0},
        {"length": "tweet", "speed": 10.0, "memory": 120.0},
    ]
    lengths = ["tweet", "page", "document"]
    measured = peers.read(lines, log, -14, lengths)
    expected = {"imports": 0.5, "load": 2.0, "loaded": 100.0, "peak": 120.0}
    assert measured.values == pytest.approx(expected)
    assert measured.speeds == {"tweet": 10.0}
    assert measured.failed == {
        "page": "takes more than 90 seconds",
        "document": "not tried after that",
    }
    assert not measured.left_out
    assert peers.read([], "a\nMemoryError\n", 1, []).left_out == "MemoryError"


def test_peers(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    from benchmarks import peers

    tried = []

    def run_peer(name, threads, words, lengths):
        tried.append((name, threads, words, lengths))
        if name == "gliner-small":
            return peers.Measured(left_out="ImportError: none")
        speed = {"minilm-float32": 1000.0, "spacy-ner": 1500.0}[name] * len(tried)
        measured = peers.Measured({"imports": 2.0, "load": 0.5, "loaded": 300, "peak": 400})
        measured.speeds = {"tweet": speed}
        if "page" in lengths:
            measured.failed = {"page": "too long"}
        return measured

    monkeypatch.setattr(peers, "run_peer", run_peer)
    options = {"peers": "minilm-float32,gliner-small,spacy-ner", "lengths": "tweet,page"}
    peers.main(**options, threads="1", texts=4, repeats=2, output=tmp_path / "out")
    assert [(name, lengths) for name, _, _, lengths in tried] == [
        ("minilm-float32", ["tweet", "page"]),
        ("gliner-small", ["tweet", "page"]),
        ("spacy-ner", ["tweet", "page"]),
        ("minilm-float32", ["tweet"]),
        ("spacy-ner", ["tweet"]),
    ]
    assert {(threads, words) for _, threads, words, _ in tried} == {(1, 100)}
    text = (tmp_path / "out/peers.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    # The medians of 1,000 and 4,000, of 4,500 and 7,500, and of their ratios.
    assert rows[2] == "| minilm-float32 | 1 | 2,500 (1.00) |  | 2.0 | 0.50 | 300 | 400 |"
    assert rows[3] == "| spacy-ner | 1 | 6,000 (3.19) |  | 2.0 | 0.50 | 300 | 400 |"
    assert len(rows) == 4
    assert "- gliner-small is left out. ImportError: none" in text
    assert text.count("too long.") == 2
    assert (tmp_path / "out/peers.png").read_bytes().startswith(b"\x89PNG")


def test_peers_are_named(capsys):
    from typer import BadParameter

    from benchmarks import peers

    with pytest.raises(BadParameter, match="'minilm' is no peer, expected minilm-float32"):
        peers.main(peers="minilm")


def test_peers_find_spans(nlp, tmp_path):
    from benchmarks import peer_pipelines

    nlp.to_disk(tmp_path / "nlp")
    peer_pipelines.load_shipped(str(tmp_path / "nlp"), "float32")(TEXTS)
    peer_pipelines.load_span_finder()(TEXTS)


def test_hidden_packages_have_no_entry_points(monkeypatch):
    from benchmarks.hidden import hide

    def factories():
        found = metadata.entry_points(group="spacy_factories")
        return {one.name for one in found}

    monkeypatch.setattr(metadata, "distributions", metadata.distributions)
    before = factories()
    hide(["spacy-tommer"])
    assert {name for name in before if "tommer" in name} == before - factories()
    assert "tommer" in before and "transformer" in factories()


def test_imports(monkeypatch, capsys):
    from benchmarks import imports

    plain, plugin = [[2.0, 90, 0], [4.0, 200, 0]], [[2.0, 90, 0], [5.0, 210, 7]]
    monkeypatch.setattr(imports, "run", lambda hidden: plain if hidden else plugin)
    imports.main(runs=2)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[0] == "| after `import spacy` | with the plugin | 2.000 | 1.000 | 90 | 0 |"
    assert rows[2].endswith("| with the plugin | 5.000 | 1.250 | 210 | 7 |")
