"""The steps of the project, one after the other, with a tiny backbone."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
import spacy
import srsly
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.cli._util import parse_config_overrides
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.util import load_config
from weasel.util import load_project_config

from reproduction.heads.distil import distil_corpus
from spacy_tommer.keys import KINDS, TARGETS
from spacy_tommer.training.corpus import CachedCorpus

ROOT = Path(__file__).resolve().parents[1]
# What steps of the project write, or assets bring.
OUTPUTS = ("assets/data", "cache/", "corpus/", "metrics/", "training/")


@pytest.fixture
def project(write_config, tmp_path, monkeypatch):
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
    write_config(sources=["one", "two"])
    return tmp_path


def train_head(name, corpus="corpus/train/one", steps=3):
    """Train a head on a corpus, and save its pipeline to heads/NAME."""
    overrides = {
        "paths.train": corpus,
        "paths.dev": "corpus/dev/one",
        "recipe.steps": steps,
        "training.eval_frequency": steps,
    }
    train(Path("config.cfg"), Path("trained") / name, overrides=overrides)
    Path("heads").mkdir(exist_ok=True)
    Path("trained", name, "model-last").rename(Path("heads", name))


def gold(path):
    vocab = spacy.blank("en").vocab
    return list(DocBin().from_disk(path).get_docs(vocab))


def test_from_corpora_to_a_table(project, passes):
    train, dev = Path("corpus/train"), Path("corpus/dev")
    assert "16 texts, 280 tokens" in run_verb("cache", "config.cfg", train, dev).output
    computed = len(passes)
    again = run_verb("cache", "config.cfg", train, dev).output
    assert "0 tokens have no states yet" in again

    for name in ("one", "two"):
        train_head(name, f"{train}/{name}")
    targets = ("--purpose", "targets", "--keep", "two")
    run_verb("distil", train, "distilled", "heads", *targets)
    (one,) = Path("distilled/one").iterdir()
    (two,) = Path("distilled/two").iterdir()
    assert len(gold(one)) == 8
    for doc in gold(one):
        assert doc.user_data[TARGETS].shape == (len(doc), 25, 6)
        assert len(doc.spans["mentions"]) == 2
    assert two.read_bytes() == (train / "two" / two.name).read_bytes()
    # If reading another corpus changed the output of the step that caches, weasel would
    # run the step again.
    states = set(Path("cache/states").rglob("*"))
    list(CachedCorpus("distilled", "cache")(spacy.load("heads/one")))
    assert set(Path("cache/states").rglob("*")) == states
    assert len(passes) == computed

    train_head("student", "distilled")
    chosen = ("calibrated", "--mean-recall", 0)
    run_verb("thresholds", "mentions", "heads/student", dev, *chosen)
    nlp = spacy.load("calibrated")
    points = nlp.meta["performance"]["calibration"]["points"]
    assert {name: set(point["threshold"]) for name, point in points.items()} == {
        "balanced": {"one", "two", "mean"},
        "recall": {"one", "two", "mean"},
    }
    run_verb("evaluate", "mentions", "calibrated", "--benchmarks", dev)
    report = json.loads(Path("metrics/protocol.json").read_text("utf-8"))
    sets = report["pipelines"]["calibrated"]["sets"]
    assert {name: one["nested"]["gold"] for name, one in sets.items()} == {
        "one": 8,
        "two": 8,
    }
    for file_ in ("protocol.md", "curves.png"):
        assert (Path("metrics") / file_).stat().st_size > 100
    assert not list(project.glob("*.part"))


def test_an_annotation_that_fails_leaves_no_corpus(project, monkeypatch):
    train_head("one", steps=1)
    monkeypatch.setattr(DocBin, "to_disk", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        distil_corpus(
            Path("corpus/train"), Path("distilled"), [Path("heads/one")], Path("cache")
        )
    assert not Path("distilled").exists()


def test_nothing_to_annotate_leaves_the_corpus_that_is_there(project):
    Path("distilled").mkdir()
    Path("empty").mkdir()
    (Path("distilled") / "kept.spacy").touch()
    assert "no pipelines in empty" in error_of("distil", "corpus", "distilled", "empty")
    Path("empty/config.cfg").touch()
    nowhere = error_of("distil", "nowhere", "distilled", "empty")
    assert "spacy files in the folder nowhere" in nowhere
    assert (Path("distilled") / "kept.spacy").exists()


def imported(path):
    """List the modules of the reproduction and of the evaluation that a file imports."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            for name in (base, *((*base, alias.name) for alias in node.names)):
                file_ = ROOT.joinpath(*name).with_suffix(".py")
                if name[:1] == ("reproduction",) and file_.is_file():
                    yield file_


def code_of(verb):
    """List the files of the reproduction that a command runs."""
    found, left = set(), [ROOT / f"reproduction/commands/{verb.replace('-', '_')}.py"]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += imported(path)
    files = {path.relative_to(ROOT) for path in found}
    corpora = Path("reproduction/corpora")
    files = {corpora if corpora in path.parents else path for path in files}
    return {str(path) for path in files} - {"reproduction/commands/options.py"}


def test_a_change_of_the_code_that_a_step_runs_runs_it_again():
    for command in load_project_config(ROOT)["commands"]:
        if command.get("no_skip"):
            continue
        deps, script = set(command.get("deps", ())), " ".join(command["script"])
        for verb in re.findall(r"-m reproduction ([\w-]+)", script):
            assert code_of(verb) <= deps, (command["name"], code_of(verb) - deps)
        for config in re.findall(r"spacy train (\S+)", script):
            cached = "CachedCorpus" in (ROOT / config).read_text("utf-8")
            code = ["spacy_tommer/training/corpus.py"] if cached else []
            assert {config, *code} <= deps, command["name"]
        for path in deps:
            assert path.startswith(OUTPUTS) or (ROOT / path).exists(), path


def test_the_recipes():
    """The heads that ship were made by these settings, the paper names the others."""
    content = srsly.read_yaml(ROOT / "project.yml")
    commands = {one["name"]: one for one in load_project_config(ROOT)["commands"]}

    def recipe(name, **variables):
        loaded = load_project_config(
            ROOT, overrides={f"vars.{k}": v for k, v in variables.items()}
        )
        (script,) = (one["script"] for one in loaded["commands"] if one["name"] == name)
        (line,) = (one for one in script if "spacy train" in one)
        options = shlex.split(line)[shlex.split(line).index("--paths.cache") + 2 :]
        at = options.index("--gpu-id")
        overrides = parse_config_overrides(options[:at] + options[at + 2 :])
        return load_config(ROOT / "configs/mentions.cfg", overrides).interpolate()

    assert content["vars"]["model"] == "minilm" and commands
    for block, rate, variables in (
        (2, 0.003, {}),
        (
            8,
            0.002,
            {
                "backbone": "HuggingFaceTB/SmolLM2-135M-Instruct",
                "layer": 8,
                "learn_rate": 0.002,
            },
        ),
    ):
        config = recipe("train", **variables)
        assert config["components"]["transformer"]["model"]["layers"] == [block]
        tommer, training = config["components"]["tommer"]["model"], config["training"]
        assert (tommer["rank"], tommer["hidden"]) == (128, 128)
        assert tommer["kinds"] == list(KINDS)
        sets = [name.partition(":")[0] for name in content["vars"]["sets"].split(",")]
        assert [*tommer["sources"], "openmentions"] == sets
        assert training["max_steps"] == 7000 and training["batcher"]["size"] == 400
        optimizer = training["optimizer"]
        assert (optimizer["L2"], optimizer["grad_clip"]) == (0.2, 0)
        schedule = optimizer["learn_rate"]
        assert schedule["initial_rate"] == rate and schedule["warmup_steps"] == 300
        assert schedule["total_steps"] == 7000
    paper = recipe("pile-ner-train")
    tommer, training = paper["components"]["tommer"]["model"], paper["training"]
    assert (tommer["rank"], tommer["hidden"]) == (64, 0)
    assert tommer["kinds"] == "MENTION" and tommer["sources"] is None
    assert training["max_steps"] == 21800 and training["batcher"]["size"] == 3500
    assert training["optimizer"]["learn_rate"]["initial_rate"] == 0.01
    assert training["score_weights"]["flat_f"] == 0
    # Sweeps train by the paper's recipe, too.
    for name in ("sweep", "passes"):
        for key, value in srsly.read_yaml(ROOT / f"configs/{name}.yaml")[
            "overrides"
        ].items():
            assert paper["recipe"][key.removeprefix("recipe.")] == value
    tuned = recipe("tune-train")
    assert tuned["initialize"]["components"]["tommer"]["pretrained"] == "minilm"
    assert tuned["training"]["optimizer"]["learn_rate"]["initial_rate"] == 0.001
