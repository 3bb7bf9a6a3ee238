"""Definitions of types are read at a deeper block than the states of Docs."""

import threading

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS, add_backbone, make_model, needs_smollm2
from numpy.testing import assert_allclose
from transformers import AutoModel, AutoTokenizer

from spacy_tommer.backbone.language_model import find_blocks, only_first
from spacy_tommer.backbone.states import read_states
from spacy_tommer.entities import shipped
from spacy_tommer.entities.definitions import embed
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head
from spacy_tommer.locks import COMPUTING

DEFINITION = "a town where many people live"


@pytest.fixture(params=["bert", "llama", "gpt2", "modernbert"])
def source(request, tmp_path):
    return make_model(tmp_path / "model", request.param)


def make_nlp(name, **config):
    """A pipeline that reads Docs at block 0 and definitions at block 2."""
    nlp = spacy.blank("en")
    add_backbone(nlp, str(name), (0,), **config)
    model = {"layer": 0, "definition_layer": 2, "hidden": 16}
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["town"], "model": model})
    torch.manual_seed(0)
    set_type_head(pipe.model, TypeHead(32, 16))
    return nlp


def held(nlp):
    """The blocks that the language model holds."""
    return len(find_blocks(nlp.get_pipe("transformer").model.shims[0].cut.network))


def states_of(nlp, text=TEXTS[0]):
    return read_states(nlp.get_pipe("transformer")(nlp.make_doc(text)), unit="piece").dataXd


def test_definitions_are_the_mean_of_the_uncut_model(source):
    nlp = make_nlp(source)
    found = embed([DEFINITION, TEXTS[0]], nlp.get_pipe("transformer"), 1)
    tokenizer = AutoTokenizer.from_pretrained(source)
    full = AutoModel.from_pretrained(source).eval()
    for text, vector in found.items():
        inputs = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        places = inputs.pop("offset_mapping")[0].tolist()
        own = [i for i, (start, end) in enumerate(places) if text[start:end].strip()]
        with torch.inference_mode():
            states = full(**inputs, output_hidden_states=True).hidden_states[2][0, own]
        assert_allclose(vector, states.mean(0), rtol=1e-4, atol=1e-5)


def test_a_pipeline_is_saved_whole_while_another_thread_computes(source):
    nlp = make_nlp(source)
    embed([DEFINITION], nlp.get_pipe("transformer"), 2)
    shim = nlp.get_pipe("transformer").model.shims[0]
    expected = len(shim.to_bytes())
    inside, saved = threading.Event(), []
    with COMPUTING, only_first(find_blocks(shim.cut.network), 1):
        thread = threading.Thread(
            target=lambda: (inside.set(), saved.append(len(shim.to_bytes())))
        )
        thread.start()
        inside.wait()
        thread.join(0.1)
        assert not saved
    thread.join()
    assert saved == [expected]


def test_docs_keep_their_states_and_their_blocks(source):
    nlp = make_nlp(source)
    before = states_of(nlp)
    assert held(nlp) == 1
    ran = []
    nlp.get_pipe("tommer_zeroshot").definitions()
    assert held(nlp) == 3
    blocks = find_blocks(nlp.get_pipe("transformer").model.shims[0].cut.network)
    for i, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
    assert np.array_equal(states_of(nlp), before)
    assert set(ran) == {0}
    assert held(nlp) == 3


def test_a_saved_pipeline_embeds_new_labels_without_the_source(source, tmp_path):
    nlp = make_nlp(source)
    nlp.get_pipe("tommer_zeroshot").definitions()
    before = states_of(nlp)
    nlp.to_disk(tmp_path / "nlp")
    nlp.get_pipe("tommer_zeroshot").add_label("lake")
    expected = nlp.get_pipe("tommer_zeroshot").definitions()
    source.rename(tmp_path / "elsewhere")
    loaded = spacy.load(tmp_path / "nlp")
    assert np.array_equal(states_of(loaded), before)
    loaded.get_pipe("tommer_zeroshot").add_label("lake")
    assert_allclose(loaded.get_pipe("tommer_zeroshot").definitions(), expected, atol=1e-6)


def test_blocks_that_were_not_saved_come_from_the_same_weights_only(tmp_path):
    source = make_model(tmp_path / "model", "llama")
    nlp = make_nlp(source)
    expected = states_of(nlp)
    nlp.to_disk(tmp_path / "nlp")
    torch.manual_seed(1)
    network = AutoModel.from_pretrained(source)
    network.layers[2].mlp.up_proj.weight.data.add_(1)
    network.save_pretrained(source)
    loaded = spacy.load(tmp_path / "nlp")
    with pytest.raises(ValueError, match="Put the former weights there"):
        loaded.get_pipe("tommer_zeroshot").definitions()
    assert np.array_equal(states_of(loaded), expected)
    source.rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="not on this machine"):
        loaded.get_pipe("tommer_zeroshot").definitions()


def test_blocks_that_do_not_exist(tiny):
    transformer = make_nlp(tiny("bert")).get_pipe("transformer")
    with pytest.raises(ValueError, match="`definition_layer` asks for block 3"):
        embed([DEFINITION], transformer, 3)
    with pytest.raises(ValueError, match="counted from 0"):
        embed([DEFINITION], transformer, -1)


def test_the_second_copy_of_a_definition_is_read(tiny):
    once = make_nlp(tiny("llama")).get_pipe("transformer")
    twice = make_nlp(tiny("llama"), passes=2).get_pipe("transformer")
    whole = spacy.blank("en")
    add_backbone(whole, tiny("llama"), (2,), passes=2)
    expected = states_of(whole, DEFINITION).mean(axis=0)
    assert_allclose(embed([DEFINITION], twice, 2)[DEFINITION], expected, atol=1e-5)
    assert not np.allclose(embed([DEFINITION], once, 2)[DEFINITION], expected, atol=0.1)


def test_attention_is_read_from_docs_only(tiny):
    nlp = make_nlp(tiny("bert"), attention="queries_keys")
    plain = make_nlp(tiny("bert"))
    found, expected = (
        embed([DEFINITION], one.get_pipe("transformer"), 2)[DEFINITION]
        for one in (nlp, plain)
    )
    assert_allclose(found, expected, atol=1e-5)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Hi"))
    assert "attention" in doc._.trf_data.model_output


def test_a_shipped_head_brings_its_block_for_definitions(tiny):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"), (0,))
    transformer = nlp.get_pipe("transformer")
    model = nlp.add_pipe("tommer_zeroshot", config={"labels": ["town"]}).model
    metadata = {**shipped.reads(transformer, model), "definition_layer": "2"}
    assert not shipped.misfits(metadata, transformer, model)
    assert shipped.misfits({**metadata, "layer": "1"}, transformer, model) == ["layer"]
    model.attrs["definition_layer"] = 1
    assert shipped.misfits(metadata, transformer, model) == ["definition_layer"]
    shipped.set_shipped(model, TypeHead(32), {**metadata, "threshold": "0.5"})
    assert model.attrs["definition_layer"] == 2
    assert nlp.get_pipe("tommer_zeroshot").definitions().shape == (1, 32)


@needs_smollm2
def test_deeper_blocks_of_a_gguf_file_are_converted():
    nlp = spacy.blank("en")
    add_backbone(nlp, "HuggingFaceTB/SmolLM2-135M-Instruct", (0,))
    transformer = nlp.get_pipe("transformer")
    before = states_of(nlp, TEXTS[0])
    found = embed([DEFINITION], transformer, 2)[DEFINITION]
    assert held(nlp) == 3
    assert np.array_equal(states_of(nlp, TEXTS[0]), before)
    whole = spacy.blank("en")
    add_backbone(whole, "HuggingFaceTB/SmolLM2-135M-Instruct", (2,))
    assert_allclose(found, states_of(whole, DEFINITION).mean(axis=0), rtol=1e-4, atol=1e-4)
