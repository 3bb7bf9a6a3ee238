"""A shipped model may have an adapter of its backbone, beside its heads."""

import shutil
import sys

import numpy as np
import pytest
import spacy
from conftest import TEXTS, add_backbone
from run_verb import error_of, run_verb
from spacy.cli.package import package
from spacy.tokens import DocBin
from spacy.training import Example
from test_adapter import save_adapter
from thinc.api import fix_random_seed

import spacy_tommer
from reproduction.adapters import card
from reproduction.adapters.recipe import Recipe
from reproduction.heads import shipping
from spacy_tommer import pipelines
from spacy_tommer.backbone import adapter
from spacy_tommer.backbone.model import Backbone, read_at, spec_of
from spacy_tommer.entities import shipped
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head
from spacy_tommer.head import checkpoints
from spacy_tommer.head.checkpoints import read_shipped
from spacy_tommer.scale.pipeline import model_hash, pack, unpack

NAME = "tiny-twice"
ALL = {"components.tommer.threshold": 0.0}


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """Save a pipeline that reads an adapted backbone twice, with its thresholds and types,
    and give its folder; the adapter is beside it."""
    folder = tmp_path_factory.mktemp("trained")
    save_adapter(folder / "lora", tiny("llama"), "llama")
    recipe = Recipe(tiny("llama"), 1, passes=2, rank=4, steps=60)
    card.write_card(folder / "lora", recipe, {"texts": "5 of corpus"})
    fix_random_seed(0)
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("llama"), adapter=str(folder / "lora"), passes=2)
    nlp.add_pipe("tommer")
    docs = list(nlp.tokenizer.pipe(TEXTS))
    for doc in docs:
        doc.spans["mentions"] = [doc[0:2], doc[3:4]]
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in docs])
    nlp.config["training"]["seed"] = 7
    types = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"], "threshold": 0.25})
    set_type_head(types.model, TypeHead(32))
    nlp.to_disk(folder / "raw")
    (folder / "dev").mkdir()
    DocBin(docs=docs).to_disk(folder / "dev/0.spacy")
    (folder / "data.md").write_text("Two corpora.\n")
    places = (folder / "raw", folder / "dev", folder / "nlp")
    run_verb("thresholds", "mentions", *places, "--mean-recall", 0)
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Give an empty folder for shipped models."""
    (tmp_path / "models").mkdir()
    ship_to(tmp_path / "models", monkeypatch)
    return tmp_path / "models"


def ship_to(folder, monkeypatch):
    for module in (adapter, checkpoints, pipelines, shipped, shipping):
        monkeypatch.setattr(module, "MODELS", folder)


def mentions_of(folder, name=NAME):
    return "export", "mentions", folder / "nlp", name, folder / "data.md", "make it"


@pytest.fixture(scope="module")
def model(trained):
    """Export the pipeline, and give the folder of the shipped model."""
    (trained / "models").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        ship_to(trained / "models", monkeypatch)
        run_verb(*mentions_of(trained))
        run_verb("export", "types", trained / "nlp", NAME)
    return trained / "models" / NAME


@pytest.fixture
def exported(model, models, monkeypatch):
    """Give a shipped model, in an installation without peft."""
    monkeypatch.setitem(sys.modules, "peft", None)
    return shutil.copytree(model, models / NAME)


def test_an_exported_model_loads_with_its_adapter(exported, trained, tiny):
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*.*")}
    assert names == {
        "config.cfg",
        "head.safetensors",
        "card.md",
        "types.safetensors",
        "types.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "adapter/README.md",
    }
    nlp = spacy_tommer.load(NAME, config=ALL)
    assert nlp.pipe_names == ["transformer", "tommer"]
    model = nlp.get_pipe("transformer").model
    expected = spacy.load(trained / "nlp")
    expected.get_pipe("tommer").threshold = 0.0
    assert spec_of(model) == spec_of(expected.get_pipe("transformer").model)
    plain = Backbone(tiny("llama"), [1], passes=2)
    assert spec_of(model) != spec_of(plain)
    for text in TEXTS:
        doc, other = nlp(text), expected(text)
        assert doc.spans["mentions"].attrs == other.spans["mentions"].attrs
        assert len(doc.spans["mentions"])
    assert nlp.config["components"]["transformer"]["model"]["adapter"] == NAME
    assert nlp.meta["name"] == "mentions_tiny_twice"
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"]})
    nlp(TEXTS[0])
    assert pipe.threshold == 0.25


def test_the_card_says_where_the_adapter_is_from(exported):
    _, metadata = read_shipped(NAME)
    assert metadata["precision"] == "float32" and metadata["passes"] == "2"
    for name in ("card.md", "types.md"):
        text = (exported / name).read_text("utf-8")
        assert f"`{metadata['sha256']}` (with its adapter)" in text
        assert "counted from 0, 2 passes" in text
        assert "| trained on states in | float32 |" in text
    rows = (exported / "card.md").read_text("utf-8").partition("## Adapter")[2]
    assert "python -m reproduction adapt" in rows.partition("## ")[0]
    for row in ("| texts | 5 of corpus |", "| steps | 60 |", "| seed | 0 |"):
        assert row in rows


def test_it_is_saved_packed_and_packaged(exported, tmp_path, monkeypatch):
    deeper = spacy_tommer.load(NAME)
    model = deeper.get_pipe("transformer").model
    (deep,) = read_at(model, [deeper.make_doc(TEXTS[0])], 2)
    nlp = spacy_tommer.load(NAME, config=ALL)
    expected = nlp(TEXTS[0]).spans["mentions"].attrs
    assert len(expected["scores"]) > 10
    nlp.to_disk(tmp_path / "saved")
    packed = pack(nlp)
    (tmp_path / "out").mkdir()
    package(tmp_path / "saved", tmp_path / "out", create_sdist=False)
    saved = spacy.load(tmp_path / "saved")
    (found,) = read_at(saved.get_pipe("transformer").model, [saved.make_doc(TEXTS[0])], 2)
    assert np.array_equal(
        found.model_output.last_hidden_state, deep.model_output.last_hidden_state
    )
    shutil.rmtree(exported)
    folder = tmp_path / "out/en_mentions_tiny_twice-0.0.0"
    inner = folder / "en_mentions_tiny_twice/en_mentions_tiny_twice-0.0.0"
    for again in (spacy.load(tmp_path / "saved"), unpack(packed), spacy.load(inner)):
        assert again(TEXTS[0]).spans["mentions"].attrs == expected
        assert model_hash(again) == model_hash(nlp)


def test_another_adapter_is_refused(exported, trained, tiny):
    with pytest.raises(ValueError, match='Write adapter = "tiny-twice" in'):
        spacy_tommer.load(NAME, config={"components.transformer.model.adapter": None})
    once = {"components.transformer.model.passes": 1}
    with pytest.raises(ValueError, match=r"trained on passes 2 .* asks for passes 1"):
        spacy_tommer.load(NAME, config=once)
    path = exported / "adapter/adapter_config.json"
    path.write_text(path.read_text("utf-8").replace('"lora_alpha": 8', '"lora_alpha": 9'))
    with pytest.raises(ValueError, match='Write adapter = "tiny-twice" in'):
        spacy_tommer.load(NAME)


def test_another_precision_is_none_to_refuse(exported):
    nlp = spacy_tommer.load(NAME, precision="bfloat16")
    spec = spec_of(nlp.get_pipe("transformer").model)
    assert spec.precision == "bfloat16" and spec.sha256 == read_shipped(NAME)[1]["sha256"]


def test_the_name_of_a_shipped_model_is_that_of_its_adapter(
    exported, trained, tiny, tmp_path, monkeypatch
):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("llama"), adapter=NAME, passes=2)
    nlp.add_pipe("tommer")
    nlp.config["initialize"]["components"]["tommer"] = {"pretrained": NAME}
    nlp.initialize()
    assert (
        spec_of(nlp.get_pipe("transformer").model).sha256
        == (read_shipped(NAME)[1]["sha256"])
    )
    # A folder of that name which holds an adapter comes first, and no other one.
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    assert spacy_tommer.load(NAME)
    shutil.copytree(exported / "adapter", tmp_path / NAME, dirs_exist_ok=True)
    (tmp_path / NAME / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="damaged"):
        spacy_tommer.load(NAME)


def test_a_head_that_was_trained_anew_on_a_shipped_adapter(exported, trained, tmp_path):
    before = {path.name: path.read_bytes() for path in (exported / "adapter").iterdir()}
    nlp = spacy_tommer.load(NAME)
    again = spacy.load(trained / "nlp")
    nlp.meta["performance"] = again.meta["performance"]
    nlp.config["training"]["seed"] = 8
    nlp.to_disk(tmp_path / "nlp")
    shutil.copy(trained / "data.md", tmp_path)
    run_verb(*mentions_of(tmp_path))
    after = {path.name: path.read_bytes() for path in (exported / "adapter").iterdir()}
    assert after == before and len(before) == 3
    assert "`make it`, seed 8" in (exported / "card.md").read_text("utf-8")


def test_what_is_not_exported(trained, model, models, tmp_path, tiny):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    config = (folder / "nlp/config.cfg").read_text("utf-8")
    own = config.replace(str(trained / "lora"), str(folder / "lora"))
    (folder / "nlp/config.cfg").write_text(own, "utf-8")
    readme = folder / "lora/README.md"
    text = readme.read_text("utf-8")
    readme.write_text("An adapter.")
    assert "python -m reproduction adapt" in error_of(*mentions_of(folder))
    readme.write_text(text)
    save_adapter(folder / "lora", tiny("llama"), "llama", lora_alpha=9)
    assert "has changed since" in error_of(*mentions_of(folder))
    assert not any(models.iterdir())

    shutil.copytree(model, models / NAME)
    source, plain = spacy.load(trained / "nlp"), spacy.blank("en")
    add_backbone(plain, tiny("llama"), passes=2)
    plain.add_pipe("tommer", source=source)
    plain.meta["performance"] = source.meta["performance"]
    plain.to_disk(folder / "nlp")
    assert f"reads {tiny('llama')} with an adapter" in error_of(*mentions_of(folder))
    run_verb(*mentions_of(folder, "tiny"))
    assert not (models / "tiny/adapter").exists()
    error = error_of("export", "types", trained / "nlp", "tiny")
    assert "Export the mentions of the same pipeline first" in error
