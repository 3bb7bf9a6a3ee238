"""Adapters are trained on typed texts."""

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from conftest import add_backbone
from numpy.testing import assert_allclose
from peft import PeftModel
from run_verb import error_of, run_verb
from safetensors.torch import load_file
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config, load_model_from_config
from transformers import AutoModel

from reproduction.adapters import train
from reproduction.adapters.definitions import KeptDefinitions
from reproduction.adapters.memory import estimate_memory
from reproduction.adapters.model import AdaptedModel
from reproduction.adapters.recipe import Recipe
from reproduction.adapters.texts import TypedTexts, draw_spans, types_in_use
from reproduction.adapters.train import Training, train_adapter
from spacy_tommer.backbone.language_model import CutModel
from spacy_tommer.backbone.model import Backbone
from spacy_tommer.backbone.sources import file_hash, joint_hash
from spacy_tommer.backbone.states import read_states
from spacy_tommer.entities.definitions import TrainingType, embed
from spacy_tommer.entities.model import span_vectors

SENTENCES = [
    ("Anna Berg lives in Oslo .", {(0, 2): "PER", (4, 5): "LOC"}),
    ("The ship left Bergen on Monday .", {(3, 4): "LOC"}),
    ("Yesterday Tom Hill met Mary .", {(1, 3): "PER", (4, 5): "PER"}),
    ("In New Delhi it rained .", {(1, 3): "LOC"}),
    ("It rained again .", {}),
]
TYPES = {
    "PER": {"name": "person", "definitions": ["a human being"]},
    "LOC": {"name": "place", "definitions": ["a place on the map"], "broader": ["thing"]},
    "THING": {"name": "thing", "definitions": ["whatever there is"]},
    "ORG": {"name": "firm", "definitions": ["it sells goods"]},
}


@pytest.fixture
def corpus(tmp_path):
    nlp = spacy.blank("en")
    docs = []
    for text, gold in SENTENCES:
        doc = Doc(nlp.vocab, text.split())
        doc.spans["entities"] = [Span(doc, *place, label) for place, label in gold.items()]
        docs.append(doc)
    folder = tmp_path / "corpus"
    folder.mkdir()
    DocBin(docs=docs).to_disk(folder / "0.spacy")
    (tmp_path / "types.json").write_text(json.dumps(TYPES), "utf-8")
    return folder


@pytest.fixture
def run(corpus, tiny, tmp_path):
    """Train an adapter of a tiny model, and return the losses."""

    def run(output, checkpoint_every=100, **settings):
        recipe = Recipe(
            **{
                "backbone": tiny("llama"),
                "layer": 1,
                "rank": 4,
                "alpha": 8,
                "steps": 6,
                "batch_words": 12,
                "learn_rate": 0.01,
                **settings,
            }
        )
        return train_adapter(
            corpus,
            tmp_path / output,
            recipe,
            tmp_path / "types.json",
            tmp_path / "cache",
            checkpoint_every,
        )

    return run


def weights_of(folder):
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize("settings", [{}, {"passes": 2, "precision": "bfloat16"}])
def test_the_loss_falls(settings, run):
    losses = run("lora", steps=60, **settings)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


@pytest.mark.parametrize("family", ["llama", "bert", "mpnet"])
def test_the_merged_adapter_gives_the_states_that_were_trained(family, run, tiny, tmp_path):
    run("lora", backbone=tiny(family))
    words = SENTENCES[0][0].split()
    doc = Doc(spacy.blank("en").vocab, words)
    model = Backbone(tiny(family), [1], adapter=str(tmp_path / "lora"))
    (doc._.trf_data,) = model.predict([doc]).doc_data
    found = read_states(doc, unit="piece").dataXd
    cut = CutModel.from_folder(Path(tiny(family)), 3)
    pieces = cut.tokenize([doc], 128, 96)
    adapted = PeftModel.from_pretrained(cut.network, tmp_path / "lora").eval()
    with torch.inference_mode():
        ids = torch.from_numpy(pieces.ids)[None]
        states = adapted(input_ids=ids, output_hidden_states=True).hidden_states[2]
    assert_allclose(found, states[0, pieces.column], rtol=1e-4, atol=1e-4)
    plain = Backbone(tiny(family), [1]).predict([Doc(doc.vocab, words)]).doc_data[0]
    assert not np.allclose(found, plain.model_output.last_hidden_state[0], atol=1e-3)


def test_only_the_adapter_changes(run, monkeypatch, tiny):
    kept = []
    monkeypatch.setattr(train.Training, "save", lambda self, path: kept.append(self))
    run("lora", checkpoint_every=6)
    own = AutoModel.from_pretrained(tiny("llama")).state_dict()
    network = kept[0].model.cut.network
    names = [name for name, _ in network.named_parameters()]
    frozen = [name for name in names if "lora_" not in name]
    assert len(frozen) > 10 and len(names) == len(frozen) + 2 * 4 * 2
    for name in frozen:
        found = network.get_parameter(name)
        assert torch.equal(found, own[name.replace("base_layer.", "")])
        assert not found.requires_grad and found.grad is None


def test_an_interrupted_training_goes_on_with_the_same_batches(run, tmp_path, monkeypatch):
    losses = run("whole")
    update = Training.update

    def stop(self, examples):
        if self.step == 5:
            raise KeyboardInterrupt
        return update(self, examples)

    monkeypatch.setattr(Training, "update", stop)
    with pytest.raises(KeyboardInterrupt):
        run("parts", checkpoint_every=2)
    assert not (tmp_path / "parts").exists()
    checkpoint = tmp_path / "parts.checkpoint.safetensors"
    assert checkpoint.is_file()
    monkeypatch.setattr(Training, "update", update)
    with pytest.raises(ValueError, match="with rank = 4, and this one has 8"):
        run("parts", rank=8)
    assert run("parts") == losses[4:]
    assert not checkpoint.exists()
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name])
    assert (tmp_path / "whole/README.md").read_text() == (
        tmp_path / "parts/README.md"
    ).read_text()


@pytest.mark.parametrize("empty", [0, 2])
def test_a_step_without_spans_changes_nothing(run, tmp_path, monkeypatch, empty):
    update, draw = Training.update, train.draw_spans

    def scarce(self, examples):
        nothing = self.step == empty
        monkeypatch.setattr(
            train, "draw_spans", lambda *args: draw(*args)[: 0 if nothing else None]
        )
        return update(self, examples)

    monkeypatch.setattr(Training, "update", scarce)
    losses = run("whole")
    assert losses[empty] == 0

    def stop(self, examples):
        if self.step == empty + 1:
            raise KeyboardInterrupt
        return scarce(self, examples)

    monkeypatch.setattr(Training, "update", stop)
    with pytest.raises(KeyboardInterrupt):
        run("parts", checkpoint_every=1)
    monkeypatch.setattr(Training, "update", scarce)
    assert run("parts") == losses[empty + 1 :]


def test_the_config_takes_the_adapter(run, write_config, tiny, tmp_path, monkeypatch):
    run("lora", backbone=tiny("bert"))
    monkeypatch.chdir(tmp_path)
    write_config(adapter="lora")
    nlp = load_model_from_config(load_config("config.cfg"), auto_fill=True)
    cut = nlp.get_pipe("transformer").model.shims[0].get_cut()
    files = [
        Path(tiny("bert"), "model.safetensors"),
        Path("lora/adapter_config.json"),
        Path("lora/adapter_model.safetensors"),
    ]
    assert cut.sha256 == joint_hash([file_hash(path) for path in files])


def test_the_folder_says_what_it_is(run, tiny, tmp_path):
    run("lora", seed=7)
    names = {path.name for path in (tmp_path / "lora").iterdir()}
    assert names == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    card = (tmp_path / "lora/README.md").read_text("utf-8")
    sha256 = Backbone(tiny("llama"), [1]).shims[0].get_cut().sha256
    for value in (sha256, "layers = [1]", "passes = 1", "| steps | 6 |", "| seed | 7 |"):
        assert value in card
    config = json.loads((tmp_path / "lora/adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == tiny("llama")
    assert (config["r"], config["lora_alpha"]) == (4, 8)


def test_span_vectors_are_those_of_pipelines(tiny, corpus, tmp_path):
    nlp = spacy.blank("en")
    texts = TypedTexts(corpus, tmp_path / "cache", nlp)
    docs = [example.x for example in texts.read(texts.places)]
    spans = [np.array([[0, 1], [1, len(doc)], [0, len(doc)]]) for doc in docs]
    recipe = Recipe(tiny("llama"), 1, passes=2)
    model = AdaptedModel(CutModel.from_folder(Path(tiny("llama")), 2, 2), recipe)
    found = model.span_vectors(docs, spans)
    assert found.requires_grad
    expected = []
    pipe = Backbone(tiny("llama"), [1], passes=2)
    for doc, own in zip(docs, spans):
        (doc._.trf_data,) = pipe.predict([doc]).doc_data
        states = read_states(doc)
        expected.append(span_vectors(states.dataXd, states.lengths, own))
    assert_allclose(found.detach(), np.concatenate(expected), rtol=1e-4, atol=1e-4)


def test_spans_that_are_none():
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, ["word"] * 30)
    places = [(i, i + 2) for i in range(0, 30, 3)]
    doc.spans["entities"] = [Span(doc, *place, "PER") for place in places]
    doc.spans["mentions"] = [Span(doc, i, i + 1, "NAME") for i in range(30)]
    drawn = [draw_spans(doc, random.Random(seed)) for seed in range(50)]
    wrong = [tuple(span) for spans in drawn for span in spans[len(places) :].tolist()]
    assert all(
        spans[: len(places)].tolist() == [list(p) for p in places] for spans in drawn
    )
    assert not set(wrong) & {*places, *((i, i + 1) for i in range(30))}
    assert all(0 <= start < end <= 30 and end - start <= 8 for start, end in wrong)
    assert len(wrong) > 0.5 * 50 * len(places)
    moved = {(s, e) for p in places for s, e in [(p[0] - 1, p[1]), (p[0], p[1] + 1)]}
    assert moved & set(wrong) and len(set(wrong) - moved) > 20
    del doc.spans["entities"]
    doc.spans["entities"] = []
    assert all(len(draw_spans(doc, random.Random(seed))) <= 1 for seed in range(20))


def test_batches_fill_up_and_epochs_differ(corpus, tmp_path):
    texts = TypedTexts(corpus, tmp_path / "cache", spacy.blank("en"))
    batches = texts.batches(12, 0)
    drawn = [next(batches) for _ in range(20)]
    assert all(12 <= sum(map(texts.words, batch)) < 20 for batch in drawn)
    order = [place for batch in drawn for place in batch]
    epochs = [order[:5], order[5:10], order[10:15]]
    assert all(sorted(epoch) == texts.places for epoch in epochs)
    assert epochs[0] != epochs[1] or epochs[1] != epochs[2]


def test_types_that_a_corpus_needs(tmp_path):
    types = {
        "PER": TrainingType("person", ["a human being"]),
        "LOC": TrainingType("place", [], ["thing"]),
        "THING": TrainingType("thing", ["whatever there is"]),
        "ORG": TrainingType("firm", []),
    }
    assert types_in_use(types, ["LOC"], tmp_path).keys() == {"LOC", "THING"}
    with pytest.raises(ValueError, match=r"1 labels that .* lacks, such as 'CITY'"):
        types_in_use(types, ["LOC", "CITY"], tmp_path)


def test_definitions_are_embedded_once(run, tiny, tmp_path, passes):
    run("lora", steps=1)
    first = sum(passes)
    (path,) = (tmp_path / "cache/definitions").iterdir()
    vectors = load_file(path)
    assert {"a human being", "person: a human being", "whatever there is"} <= vectors.keys()
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("llama"))
    expected = embed(["a human being"], nlp.get_pipe("transformer"), 1)
    assert_allclose(vectors["a human being"], expected["a human being"], rtol=1e-4)
    passes.clear()
    run("again", steps=1)
    assert first and not passes
    run("deeper", steps=1, layer=2)
    assert sum(passes) == first


def test_definitions_that_are_kept_are_those_of_the_transformer(tiny, tmp_path):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("llama"))
    texts = ["a human being", "Paris", "it sells goods"]
    expected = embed(texts, nlp.get_pipe("transformer"), None)
    kept = KeptDefinitions(nlp.get_pipe("transformer"), tmp_path)
    for _ in range(2):
        found = kept.embed(texts)
        assert all(np.array_equal(found[text], expected[text]) for text in texts)


def test_memory_is_estimated_from_the_config(tiny, tmp_path):
    shutil.copy(f"{tiny('llama')}/config.json", tmp_path)
    recipe = Recipe(str(tmp_path), 1, rank=4, batch_words=100)
    parts = estimate_memory(recipe)
    network = CutModel.from_folder(Path(tiny("llama")), 2).network
    assert parts["weights"] == 4 * sum(p.numel() for p in network.parameters())
    lora = 2 * 4 * (32 + 32 + 32 + 16 + 32 + 16 + 32 + 32)
    assert parts["adapter, its gradient and moments"] == 16 * lora
    assert parts["outputs of all blocks"] == pytest.approx(140 * 2 * 32 * 4)
    twice = estimate_memory(Recipe(str(tmp_path), 1, passes=2, batch_words=100))
    assert twice["outputs of all blocks"] == 2 * parts["outputs of all blocks"]
    output = run_verb(
        "adapt", "none", "none", "--layer", 1, "--backbone", tmp_path, "--dry-run"
    )
    assert "GiB  together" in output.stdout


def test_wrong_settings_are_no_traceback(corpus, tiny, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()

    def error(texts=corpus, family="llama", layer=1, output=tmp_path / "new"):
        cache = ("--cache", tmp_path / "cache")
        return error_of(
            "adapt", texts, output, "--layer", layer, "--backbone", tiny(family), *cache
        )

    assert "no *.spacy files with typed texts" in error(texts=tmp_path / "empty")
    assert "blocks 0 to 2, and --layer is 3" in error(layer=3)
    assert "exists. Remove it" in error(output=tmp_path / "empty")
    assert "GPT2Model cannot be adapted" in error(family="gpt2")
    monkeypatch.setitem(sys.modules, "peft", None)
    assert "pip install 'spacy-tommer[lora]'" in error()
