from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
import torch
from conftest import FAMILIES, POSITIONS, TEXTS, add_backbone, make_model
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from transformers import AutoModel, AutoTokenizer

from spacy_tommer.backbone.model import Backbone
from spacy_tommer.backbone.states import read_states

# Where transformers gives the last hidden state behind a norm; ModernBERT does not.
NORMS = {
    "llama": "norm",
    "gpt_neox": "final_layer_norm",
    "gpt2": "ln_f",
    "mistral": "norm",
    "phi": "final_layernorm",
}


def own_pieces(tokenizer, doc):
    """For each token the columns of the wordpieces that end in it, or else of the one
    that covers it."""
    offsets = tokenizer(doc.text, return_offsets_mapping=True)["offset_mapping"]
    spans = [(i, start, end) for i, (start, end) in enumerate(offsets) if start < end]
    return [
        [i for i, start, end in spans if token.idx < end <= token.idx + len(token)]
        or [i for i, start, end in spans if start <= token.idx < end]
        for token in doc
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_block_outputs_before_the_final_norm(family, tiny):
    folder = tiny(family)
    model = Backbone(folder, [0, 1])
    last = Backbone(folder, [2])
    full = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc, data, top in zip(
        docs, model.predict(docs).doc_data, last.predict(docs).doc_data
    ):
        inputs = tokenizer(doc.text, return_tensors="pt")
        with torch.inference_mode():
            states = full(**inputs, output_hidden_states=True).hidden_states
            norm = getattr(full, NORMS.get(family, ""), torch.nn.Identity())
            doc._.trf_data = top
            top_states = torch.tensor(read_states(doc, 2, "piece").dataXd)
            normed = norm(top_states).numpy()
        columns = own_pieces(tokenizer, doc)
        flat = [column for token in columns for column in token]
        assert_allclose(normed, states[3][0, flat], rtol=1e-4, atol=1e-4)
        doc._.trf_data = data
        for layer in (0, 1):
            found = read_states(doc, layer, "piece")
            assert found.lengths.tolist() == [len(token) for token in columns]
            assert_allclose(found.dataXd, states[layer + 1][0, flat], atol=1e-4)
            tokens = read_states(doc, layer, "token")
            ends = [token[-1] for token in columns if token]
            assert_allclose(tokens.dataXd, states[layer + 1][0, ends], atol=1e-4)


def test_blocks_above_the_last_layer_are_not_built(tiny):
    model = Backbone(tiny("llama"), [0])
    model.initialize()
    assert len(model.shims[0].cut.network.layers) == 1


def test_width_is_known_without_weights(tiny):
    model = Backbone(tiny("gpt2"), [0])
    assert model.shims[0].cut is None
    assert model.get_dim("nO") == 32


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_the_same_alone_and_in_a_batch(family, tiny):
    model = Backbone(tiny(family), [1])
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in ["Hi", *TEXTS, "", " ".join(TEXTS)]]
    together = model.predict(docs).doc_data
    for doc, data in zip(docs, together):
        if len(doc):
            (alone,) = model.predict([doc]).doc_data
            for state, same in zip(alone.tensors, data.tensors):
                assert_allclose(state, same, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta", "mpnet", "llama"])
def test_a_token_is_read_from_the_first_window_that_holds_it(family, tiny):
    nlp = spacy.blank("en")
    doc = nlp.make_doc(" ".join(TEXTS))
    model = Backbone(tiny(family), [1], window=8, stride=5)
    (doc._.trf_data,) = model.predict([doc]).doc_data
    states = read_states(doc)
    assert len(states.dataXd) == len(doc)
    for first in range(0, len(doc), 5):
        window = nlp.make_doc(doc[first : first + 8].text)
        (window._.trf_data,) = model.predict([window]).doc_data
        alone = read_states(window).dataXd
        new = 0 if first == 0 else 3
        assert_allclose(alone[new:], states.dataXd[first + new : first + 8], atol=1e-4)
        if first + 8 >= len(doc):
            break


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "gpt2", "modernbert"])
def test_windows_of_too_many_wordpieces_are_not_cut_off(family, tiny):
    """A window of one-letter words has more wordpieces than there are positions."""
    nlp = spacy.blank("en")
    words = ["Yorkwonmayor"] * 40
    doc = Doc(nlp.vocab, words)
    model = Backbone(tiny(family), [1])
    (doc._.trf_data,) = model.predict([doc]).doc_data
    states = read_states(doc, unit="piece")
    assert states.lengths.min() >= 1
    assert len(states.dataXd) > POSITIONS
    assert len(read_states(doc).dataXd) == 40
    assert len(set(states.lengths[1:].tolist())) == 1


def test_one_token_longer_than_the_positions(tiny):
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, ["the", "x" * 10000, "end"])
    for family, least in (("gpt2", POSITIONS), ("bert", 1), ("mistral", 1)):
        model = Backbone(tiny(family), [1])
        (doc._.trf_data,) = model.predict([doc]).doc_data
        assert read_states(doc).lengths.tolist() == [1, 1, 1]
        assert read_states(doc, unit="piece").lengths[1] >= least
        doc._.trf_data = None


def test_docs_with_states_of_this_backbone_are_left_alone(tiny):
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in TEXTS]
    model = Backbone(tiny("bert"), [1])
    docs[0]._.trf_data = first = model.predict(docs[:1]).doc_data[0]
    data = model.predict(docs).doc_data
    assert data[0] is first
    for other in (Backbone(tiny("bert"), [0]), Backbone(tiny("bert"), [1], 5, 5)):
        assert other.predict(docs).doc_data[0] is not first


def test_saved_backbone_needs_nothing_else(tmp_path):
    folder = make_model(tmp_path / "model", "llama")
    nlp = spacy.blank("en")
    add_backbone(nlp, str(folder), (0, 1))
    doc = nlp(TEXTS[0])
    nlp.to_disk(tmp_path / "nlp")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    loaded = spacy.load(tmp_path / "nlp")
    again = loaded(TEXTS[0])
    assert again._.trf_data.spec.layers == (0, 1)
    assert again._.trf_data.spec.sha256 == doc._.trf_data.spec.sha256
    for layer in (0, 1):
        expected = read_states(doc, layer).dataXd
        assert np.array_equal(expected, read_states(again, layer).dataXd)


def test_saved_backbone_does_not_mind_what_is_at_its_source(tmp_path):
    folder = make_model(tmp_path / "model", "bert")
    nlp = spacy.blank("en")
    add_backbone(nlp, str(folder))
    nlp.to_disk(tmp_path / "nlp")  # loads the weights, which nothing needed so far
    make_model(folder, "bert", hidden_size=64)
    states = read_states(spacy.load(tmp_path / "nlp")(TEXTS[0])).dataXd
    assert states.shape[1] == 32


def test_threads_do_not_disturb_each_other(tiny):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"))
    texts = [" ".join(TEXTS[: 1 + i % 3]) for i in range(60)]
    expected = [read_states(nlp(text)).dataXd for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for doc, states in zip(pool.map(nlp, texts), expected):
            assert_allclose(read_states(doc).dataXd, states, atol=1e-5)


def test_bad_settings_say_what_to_do(tiny, tmp_path):
    with pytest.raises(ValueError, match="rising order"):
        Backbone(tiny("bert"), [2, 1])
    with pytest.raises(ValueError, match="stride"):
        Backbone(tiny("bert"), [1], window=10, stride=11)
    with pytest.raises(ValueError, match="blocks 0 to 2"):
        Backbone(tiny("bert"), [3]).initialize()
    with pytest.raises(ValueError, match="not on this machine"):
        Backbone(str(tmp_path / "nothing"), [1]).initialize()


def test_damaged_weights_are_refused(tmp_path):
    folder = make_model(tmp_path / "model", "bert")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="damaged"):
        Backbone(str(folder), [1]).initialize()
