"""LoRA adapters are merged into the weights of a backbone."""

import json
import sys

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS, add_backbone, make_model
from numpy.testing import assert_allclose
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from spacy.tokens import Doc
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from spacy_tommer.backbone.model import Backbone
from spacy_tommer.backbone.sources import file_hash, joint_hash
from spacy_tommer.backbone.states import read_states

WORDS = ["Angela", "Merkel", "met", "the", "mayor", "of", "Paris"]
TARGETS = {
    "bert": ["query", "value"],
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "gpt2": ["c_attn", "c_proj"],
}


def save_adapter(folder, source, family, build=AutoModel, **settings):
    """Save an adapter with random weights, and return the adapted model."""
    network = build.from_pretrained(source)
    config = LoraConfig(
        **{
            "r": 4,
            "target_modules": TARGETS[family],
            "init_lora_weights": False,
            **settings,
        }
    )
    torch.manual_seed(0)
    adapted = get_peft_model(network, config).eval()
    adapted.save_pretrained(folder)
    return adapted


def states_of(model, words=WORDS):
    doc = Doc(spacy.blank("en").vocab, words)
    (doc._.trf_data,) = model.predict([doc]).doc_data
    return read_states(doc, unit="piece").dataXd


def expected_states(adapted, source, layer):
    tokenizer = AutoTokenizer.from_pretrained(source)
    inputs = tokenizer(
        " ".join(WORDS), return_tensors="pt", return_special_tokens_mask=True
    )
    own = inputs.pop("special_tokens_mask")[0] == 0
    with torch.inference_mode():
        states = adapted(**inputs, output_hidden_states=True).hidden_states
    return states[layer + 1][0, own]


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_merged_states_are_those_of_the_adapted_model(family, tiny, tmp_path):
    adapted = save_adapter(tmp_path / "lora", tiny(family), family)
    model = Backbone(tiny(family), [1], adapter=str(tmp_path / "lora"))
    found = states_of(model)
    assert_allclose(found, expected_states(adapted, tiny(family), 1), rtol=1e-4, atol=1e-4)
    assert not np.allclose(found, states_of(Backbone(tiny(family), [1])), atol=0.1)
    network = model.shims[0].cut.network
    assert not any("lora" in name for name, _ in network.named_parameters())


@pytest.mark.parametrize(
    "family, settings",
    [
        ("llama", {"lora_alpha": 7}),
        ("llama", {"use_rslora": True, "rank_pattern": {"q_proj": 2}}),
        ("gpt2", {"fan_in_fan_out": True}),
    ],
)
def test_the_merged_weights_are_those_of_peft_to_the_bit(
    family, settings, tiny, tmp_path, monkeypatch
):
    save_adapter(tmp_path / "lora", tiny(family), family, **settings)
    network = AutoModel.from_pretrained(tiny(family))
    expected = PeftModel.from_pretrained(network, tmp_path / "lora").merge_and_unload()
    monkeypatch.setitem(sys.modules, "peft", None)
    model = Backbone(tiny(family), [2], adapter=str(tmp_path / "lora"))
    found = model.shims[0].get_cut().network.state_dict()
    plain = Backbone(tiny(family), [2]).shims[0].get_cut().network.state_dict()
    for name, weights in expected.state_dict().items():
        assert torch.equal(found[name], weights)
    assert sum(not torch.equal(found[name], plain[name]) for name in plain) >= 6


def test_an_adapter_in_half_precision(tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("llama"), "llama")
    path = tmp_path / "lora/adapter_model.safetensors"

    def merged(convert):
        weights = {name: convert(tensor) for name, tensor in load_file(path).items()}
        save_file(weights, path)
        model = Backbone(tiny("llama"), [1], adapter=str(tmp_path / "lora"))
        return model.shims[0].get_cut().network.state_dict()

    half, whole = merged(torch.Tensor.half), merged(torch.Tensor.float)
    for name, weights in whole.items():
        assert weights.dtype == half[name].dtype == torch.float32
        assert torch.equal(weights, half[name])


def test_an_adapter_of_a_model_that_generates_text(tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("llama"), "llama", AutoModelForCausalLM)
    inner = save_adapter(tmp_path / "inner", tiny("llama"), "llama")
    found = states_of(Backbone(tiny("llama"), [1], adapter=str(tmp_path / "lora")))
    assert_allclose(found, expected_states(inner, tiny("llama"), 1), rtol=1e-4, atol=1e-4)


def test_deeper_blocks_are_adapted_too(tiny, tmp_path):
    adapted = save_adapter(tmp_path / "lora", tiny("llama"), "llama")
    folder = str(tmp_path / "lora")
    model = Backbone(tiny("llama"), [0], adapter=folder)
    before = states_of(model)
    model.shims[0].get_cut(3)
    assert np.array_equal(states_of(model), before)
    found = states_of(Backbone(tiny("llama"), [2], adapter=folder))
    names = [name for name, _ in model.shims[0].cut.network.named_parameters()]
    assert sum("layers.2.self_attn.q_proj" in name for name in names) == 1
    with torch.inference_mode():
        norm = adapted.get_submodule("base_model.model.norm")
        normed = norm(torch.tensor(found))
    assert_allclose(
        normed, expected_states(adapted, tiny("llama"), 2), rtol=1e-4, atol=1e-4
    )


def test_an_adapter_of_fewer_blocks_leaves_the_others(tmp_path, tiny):
    settings = {"layers_to_transform": [0], "layers_pattern": "layers"}
    save_adapter(
        tmp_path / "lora", tiny("llama"), "llama", AutoModelForCausalLM, **settings
    )
    model = Backbone(tiny("llama"), [2], adapter=str(tmp_path / "lora"))
    plain = Backbone(tiny("llama"), [2])
    weights, others = (
        one.shims[0].get_cut().network.state_dict() for one in (model, plain)
    )
    changed = {name for name in weights if not torch.equal(weights[name], others[name])}
    assert changed == {f"layers.0.self_attn.{name}.weight" for name in TARGETS["llama"]}


def test_the_hash_is_that_of_the_weights_and_of_both_files(tiny, tmp_path):
    def adapted():
        backbone = Backbone(tiny("bert"), [1], adapter=str(tmp_path / "lora"))
        return backbone.shims[0].get_cut().sha256

    save_adapter(tmp_path / "lora", tiny("bert"), "bert")
    config = tmp_path / "lora/adapter_config.json"
    plain = Backbone(tiny("bert"), [1]).shims[0].get_cut().sha256
    own = map(file_hash, [config, tmp_path / "lora/adapter_model.safetensors"])
    found = adapted()
    assert found == joint_hash([plain, *own])
    settings = json.loads(config.read_text("utf-8"))
    settings["lora_alpha"] *= 2
    config.write_text(json.dumps(settings), encoding="utf-8")
    assert adapted() not in (plain, found)


def test_loading_draws_no_random_numbers(tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("llama"), "llama")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    Backbone(tiny("llama"), [1], adapter=str(tmp_path / "lora")).initialize()
    assert torch.rand(1) == expected


def test_a_saved_pipeline_needs_neither_folder_nor_peft(tmp_path, monkeypatch):
    source = make_model(tmp_path / "model", "llama")
    save_adapter(tmp_path / "lora", source, "llama")
    nlp = spacy.blank("en")
    add_backbone(nlp, str(source), adapter=str(tmp_path / "lora"))
    expected = read_states(nlp(TEXTS[0])).dataXd
    nlp.to_disk(tmp_path / "nlp")
    source.rename(tmp_path / "elsewhere")
    (tmp_path / "lora").rename(tmp_path / "away")
    monkeypatch.setitem(sys.modules, "peft", None)
    doc = spacy.load(tmp_path / "nlp")(TEXTS[0])
    assert np.array_equal(read_states(doc).dataXd, expected)
    assert doc._.trf_data.spec == nlp(TEXTS[0])._.trf_data.spec


def test_states_of_another_adapter_are_computed_anew(tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("bert"), "bert")
    doc = Doc(spacy.blank("en").vocab, WORDS)
    (doc._.trf_data,) = Backbone(tiny("bert"), [1]).predict([doc]).doc_data
    adapted = Backbone(tiny("bert"), [1], adapter=str(tmp_path / "lora"))
    assert adapted.predict([doc]).doc_data[0] is not doc._.trf_data


def test_errors_say_what_to_do(tiny, tmp_path):
    folder = tmp_path / "lora"
    model = Backbone(tiny("bert"), [1], adapter=str(folder))
    with pytest.raises(ValueError, match=r"lacks adapter_config\.json and adapter_model"):
        model.initialize()
    save_adapter(folder, tiny("llama"), "llama")
    with pytest.raises(ValueError, match="does not fit the backbone"):
        model.initialize()
    wide = make_model(tmp_path / "wide", "llama", hidden_size=64)
    with pytest.raises(ValueError, match="does not fit the backbone"):
        Backbone(str(wide), [1], adapter=str(folder)).initialize()
    weights = folder / "adapter_model.safetensors"
    weights.rename(folder / "adapter_model.bin")
    with pytest.raises(ValueError, match="are pickled"):
        model.initialize()
    config = IA3Config(target_modules=["query"], feedforward_modules=[])
    get_peft_model(AutoModel.from_pretrained(tiny("bert")), config).save_pretrained(folder)
    assert json.loads((folder / "adapter_config.json").read_text())["peft_type"] == "IA3"
    with pytest.raises(ValueError, match="expected LORA"):
        model.initialize()
    weights.write_bytes(weights.read_bytes()[:-9])
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"adapter_config\.json is damaged"):
        model.initialize()
    save_adapter(folder, tiny("bert"), "bert")
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is cut off"):
        model.initialize()


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"use_dora": True}, "`use_dora`"),
        ({"alpha_pattern": {"query": 3}}, "`alpha_pattern`"),
        ({"init_lora_weights": "pissa"}, "`init_lora_weights`"),
        ({"modules_to_save": ["key"]}, r"has base_model\.model\..*key"),
    ],
)
def test_an_adapter_that_is_more_than_a_product(settings, reason, tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("bert"), "bert", **settings)
    model = Backbone(tiny("bert"), [1], adapter=str(tmp_path / "lora"))
    with pytest.raises(ValueError, match=rf"{reason}.*merge_and_unload"):
        model.initialize()


def test_half_an_adapter(tiny, tmp_path):
    save_adapter(tmp_path / "lora", tiny("bert"), "bert")
    path = tmp_path / "lora/adapter_model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if "lora_A" in name)
    rest = {other: tensor for other, tensor in weights.items() if other != name}
    save_file(rest, path)
    model = Backbone(tiny("bert"), [1], adapter=str(tmp_path / "lora"))
    with pytest.raises(ValueError, match=f"lacks {name}"):
        model.initialize()
    save_file({**rest, name: weights[name][:3].clone()}, path)
    with pytest.raises(ValueError, match="can be multiplied"):
        model.initialize()
