"""The last block computes only what is read, with the same results."""

from functools import cache, partial

import pytest
import spacy
from conftest import FAMILIES, TEXTS, add_backbone, make_model
from numpy.testing import assert_allclose, assert_array_equal

from spacy_tommer.backbone.language_model import find_blocks
from spacy_tommer.backbone.model import Backbone, cut_model
from spacy_tommer.backbone.states import read_states

MIXED = ["Hi", *TEXTS, "", f"{TEXTS[0]} {TEXTS[1]}", " \n ", "a " * 100, "Paris"]
SPARING = [
    ("bert", {}),
    ("roberta", {}),
    ("mpnet", {}),
    ("llama", {}),
    ("llama", {"num_key_value_heads": 1}),
    ("llama", {"head_dim": 12, "attention_bias": True}),
    ("mistral", {}),
    ("mistral", {"sliding_window": 5}),
    ("qwen2", {"num_key_value_heads": 2}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
]


def annotate(folder, texts, **settings):
    nlp = spacy.blank("en")
    add_backbone(nlp, str(folder), **settings)
    return nlp, list(nlp.pipe(texts))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the folder of a model of a family, and the Docs of a pipeline with all its
    layers. Each is made once."""

    @cache
    def model(family, settings):
        folder = tmp_path_factory.mktemp(family)
        return make_model(folder, family, initializer_range=0.1, **dict(settings))

    @cache
    def docs(family, settings, passes):
        folder = model(family, settings)
        return folder, annotate(folder, MIXED, layers=(0, 1, 2), passes=passes)[1]

    return docs


def block_inputs(nlp, texts):
    """How many positions the MLPs of the first and the last block see."""
    counts = []
    blocks = find_blocks(cut_model(nlp.get_pipe("transformer").model).network)
    for block in (blocks[0], blocks[-1]):
        seen = []
        mlp = block.mlp if hasattr(block, "mlp") else block.intermediate
        first_part = next(mlp.children())
        first_part.register_forward_pre_hook(partial(keep_size, seen))
        counts.append(seen)
    list(nlp.pipe(texts))
    return [sum(seen) for seen in counts]


def keep_size(seen, module, inputs):
    seen.append(inputs[0][..., 0].numel())


@pytest.mark.parametrize("unit", ["piece", "token"])
@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("family, settings", SPARING)
def test_outputs_where_they_are_read(family, settings, passes, unit, made, monkeypatch):
    """With states like those of the same block where others stand above it."""
    monkeypatch.setitem(FAMILIES, "qwen2", FAMILIES["llama"])
    folder, expected = made(family, tuple(settings.items()), passes)
    for layer in (0, 1):
        nlp, docs = annotate(folder, MIXED, layers=(layer,), passes=passes, unit=unit)
        for doc, whole in zip(docs, expected):
            states, others = (read_states(one, layer, unit) for one in (doc, whole))
            assert_allclose(states.dataXd, others.dataXd, atol=1e-5)
            assert_array_equal(states.lengths, others.lengths)
    nlp, docs = annotate(folder, MIXED, layers=(0, 1), passes=passes, unit=unit)
    rows = [doc._.trf_data.model_output for doc in docs if len(doc)]
    kept = sum(output.last_hidden_state.shape[1] for output in rows)
    first, last = block_inputs(nlp, MIXED)
    assert last == kept < first


@pytest.mark.parametrize("family", ["gpt2", "modernbert", "phi"])
def test_other_last_blocks_compute_everything(family, tiny):
    _, docs = annotate(tiny(family), MIXED, layers=(1,), unit="token")
    _, expected = annotate(tiny(family), MIXED, layers=(0, 1, 2))
    for doc, whole in zip(docs, expected):
        states = (read_states(one, 1).dataXd for one in (doc, whole))
        assert_allclose(*states, atol=1e-5, rtol=1e-5)


def test_units_of_tokens_alone(tiny):
    """One row for each token with wordpieces, which several tokens may share."""
    nlp, [doc] = annotate(tiny("roberta"), [TEXTS[0]], layers=(1,), unit="token")
    assert doc._.trf_data.unit == "token"
    assert len(doc._.trf_data.wordpieces.strings[0]) == len(doc)
    with pytest.raises(ValueError, match=r'Write `unit = "piece"` in \[components.tra'):
        read_states(doc, 1, "piece")
    shared = spacy.blank("en").make_doc("東京")
    with shared.retokenize() as retokenizer:
        retokenizer.split(shared[0], ["東", "京"], [(shared[0], 0), (shared[0], 0)])
    [data] = nlp.get_pipe("transformer").model.predict([shared]).doc_data
    assert data.align.lengths.tolist() == [1, 1]


def test_another_unit(tiny):
    with pytest.raises(ValueError, match=r"`unit` .* is .word., expected token"):
        Backbone(tiny("llama"), [1], unit="word")


def test_a_pass_that_fails_leaves_the_block_as_it_was(tiny, monkeypatch):
    nlp, _ = annotate(tiny("llama"), TEXTS[:1], layers=(0, 1))
    network = cut_model(nlp.get_pipe("transformer").model).network
    with monkeypatch.context() as patch:
        patch.setattr(network.layers[-1].mlp, "forward", lambda states: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            nlp(TEXTS[1])
    for module in network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
        assert "forward" not in vars(module) or module is network.layers[-1].mlp
