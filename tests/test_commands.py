"""The command line of the reproduction: its help, its errors, and what it ships."""

import json
from pathlib import Path

import pytest
import spacy
import torch
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import Config

from reproduction.__main__ import ORDER, app
from reproduction.commands import cache
from reproduction.heads import shipping
from spacy_tommer.head.checkpoints import head_from_bytes
from spacy_tommer.head.model import get_head

CONFIG = Path(__file__).resolve().parents[1] / "configs/mentions.cfg"
SUBCOMMANDS = {
    "convert": ("training", "pile-ner", "benchmarks", "typed"),
    "thresholds": ("mentions", "types"),
    "leave-out": ("mentions", "types"),
    "evaluate": ("mentions", "kinds", "types"),
    "genres": ("score", "leave-out"),
    "export": ("mentions", "types"),
    "annotators": ("sample", "report"),
}


def test_every_command_has_help():
    shown = run_verb("--help").output
    assert len(ORDER) == len(app.registered_commands) + len(app.registered_groups)
    for verb in ORDER:
        assert f" {verb} " in shown
        for words in [(verb, one) for one in SUBCOMMANDS.get(verb, ())] or [(verb,)]:
            assert "Usage" in run_verb(*words, "--help").output


@pytest.fixture
def folders(make_nlp, tmp_path, monkeypatch):
    """A folder with a pipeline "nlp" that has no tommer, and "typed.json" of no types."""
    monkeypatch.chdir(tmp_path)
    spacy.blank("en").to_disk("nlp")
    (tmp_path / "empty").mkdir()
    (tmp_path / "types.json").write_text(json.dumps({"one": []}))
    monkeypatch.setenv("OPENAI_API_KEY", "any")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("convert training empty out --sets craft", "craft"),
        ("convert training empty out --sets nothing", "no corpus 'nothing'"),
        ("convert training empty out --sets craft:much", "much"),
        ("convert pile-ner types.json out --max-errors 0", "--max-errors 0"),
        ("convert benchmarks empty out --sets ai", "ai"),
        ("convert typed nowhere.txt out", "nowhere.txt"),
        ("lengths empty --tokenizer nowhere/nothing", "nowhere/nothing"),
        ("cache nowhere.cfg empty", "nowhere.cfg"),
        ("cache nowhere.cfg empty --unit word", "none of token, piece"),
        ("distil empty out nlp", "no *.spacy files in the folder empty"),
        ("thresholds mentions nowhere empty out", "nowhere"),
        ("thresholds mentions nlp empty out", "no component 'tommer'"),
        ("thresholds types nlp out --types types.json --corpora empty", "tommer_zeroshot"),
        ("leave-out mentions c.cfg empty empty a,b out", "no folders of sets"),
        ("leave-out types nlp out c.cfg empty empty nlp types.json a", "no folders"),
        ("evaluate mentions nlp --benchmarks empty", "python -m reproduction convert"),
        ("evaluate types nlp --types types.json --corpora empty", "assets/types/crossner"),
        ("evaluate types nlp --types none.json --corpora empty", "none.json"),
        ("export mentions nlp name types.json make", "no component 'tommer'"),
        ("export types nlp name", "no component 'tommer_zeroshot'"),
        ("sweep nowhere.yaml", "nowhere.yaml"),
        ("agreement nlp nlp --benchmarks empty", "python -m reproduction convert"),
        ("judge nlp --benchmarks empty", "python -m reproduction convert"),
        ("annotators sample empty", ".spacy"),
        ("annotators report empty nowhere.csv", ".spacy"),
    ],
)
def test_bad_input_ends_with_a_line(folders, command, said):
    assert said in error_of(*command.split())


def test_errors_of_our_own_keep_their_traceback(folders, monkeypatch):
    monkeypatch.setattr("reproduction.commands.distil.distil_corpus", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_verb("distil", "empty", "out", "nlp")


def test_unknown_settings_are_refused(folders):
    assert "--stepz" in run_verb("cache", "a.cfg", "empty", "--stepz", 3, code=2).stderr
    assert "recipes" in error_of("cache", CONFIG, "empty", "--recipes.steps", 3)
    assert "layers" in error_of("cache", CONFIG, "empty", "--recipe.layers", "no")


def test_settings_of_the_config_stand_anywhere(folders, monkeypatch):
    given = []
    monkeypatch.setattr(cache, "fill_cache", lambda *args: given.append(args))
    settings = ("--recipe.layers", "[8]", "--unit", "piece", "--recipe.backbone=a/b")
    run_verb("cache", CONFIG, "one", *settings, "two")
    ((config, corpora, _, unit, overrides),) = given
    assert config == CONFIG and [path.name for path in corpora] == ["one", "two"]
    assert unit == "piece"
    assert overrides == {"recipe.layers": [8], "recipe.backbone": "a/b"}


def test_a_head_that_ships(make_nlp, tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "MODELS", tmp_path)
    nlp = make_nlp("bert", threshold=0.01, flat_threshold=0.02)
    docs = list(spacy.blank("en").pipe(TEXTS))
    for doc in docs:
        doc.spans["mentions"] = [doc[0:2], doc[3:4]]
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in docs])
    nlp.config["training"]["seed"] = 7
    nlp.to_disk(tmp_path / "raw")
    (tmp_path / "data.md").write_text("Two corpora.\n")
    given = (tmp_path / "data.md", "make it")
    error = error_of("export", "mentions", tmp_path / "raw", "tiny", *given)
    assert "python -m reproduction thresholds mentions" in error
    (tmp_path / "dev").mkdir()
    DocBin(docs=docs).to_disk(tmp_path / "dev/0.spacy")
    chosen = ("--mean-recall", 0)
    folders = (tmp_path / "raw", tmp_path / "dev", tmp_path / "nlp")
    run_verb("thresholds", "mentions", *folders, *chosen)
    run_verb("export", "mentions", tmp_path / "nlp", "tiny", *given)

    nlp = spacy.load(tmp_path / "nlp")
    tommer = nlp.get_pipe("tommer")
    head = get_head(tommer.model)
    data = (tmp_path / "tiny/head.safetensors").read_bytes()
    shipped, metadata = head_from_bytes(data, "tiny")
    for name, value in head.state_dict().items():
        assert torch.equal(shipped.state_dict()[name], value)
    assert metadata["layer"] == "1" and metadata["unit"] == "token"
    config = Config().from_disk(tmp_path / "tiny/config.cfg")
    assert set(config) == {"nlp", "components"}
    written = config["components"]["tommer"]
    assert written["threshold"] == tommer.threshold
    assert written["flat_threshold"] == tommer.flat_threshold
    assert list(written["operating_points"]) == ["balanced", "recall"]
    assert written["operating_points"] == tommer.operating_points
    card = (tmp_path / "tiny/card.md").read_text("utf-8")
    size = sum(weights.numel() for weights in head.parameters())
    assert f"{size:,} parameters" in card and metadata["sha256"] in card
    assert "`make it`, seed 7" in card and "Two corpora." in card
    calibration = nlp.meta["performance"]["calibration"]
    for name, point in written["operating_points"].items():
        assert f"{name}: `threshold = {point['threshold']}`" in card
        scores = calibration["points"][name]
        both = (scores["threshold"]["dev"], scores["flat_threshold"]["dev"])
        cells = " | ".join(f"{100 * one[key]:.1f}" for one in both for key in "rpf")
        assert f"| dev | {cells} |" in card.partition(f"| {name} | all")[2]
    error = calibration["reliability"]["after"]["error"]
    assert f"Expected calibration error {100 * error:.1f} %" in card
    assert "| trained on states in | float32 |" in card
    assert config["components"]["transformer"]["model"]["precision"] == "float32"
    run_verb("export", "mentions", tmp_path / "nlp", "tiny", *given, "--precision", "auto")
    config = Config().from_disk(tmp_path / "tiny/config.cfg")
    assert config["components"]["transformer"]["model"]["precision"] == "auto"
    assert (tmp_path / "tiny/card.md").read_text("utf-8") == card
    error = error_of(
        "export", "mentions", tmp_path / "nlp", "tiny", *given, "--precision", "half"
    )
    assert "'half', expected one of float32, bfloat16" in error
    # A head does not take the place of one on another backbone.
    config["components"]["transformer"]["model"]["name"] = "another/one"
    config.to_disk(tmp_path / "tiny/config.cfg")
    error = error_of("export", "mentions", tmp_path / "nlp", "tiny", *given)
    assert "reads another/one" in error
