"""The precision of a backbone: states, what is saved, settings, caches and batches."""

import numpy as np
import pytest
import spacy
import torch
from conftest import FAMILIES, TEXTS, add_backbone, needs_minilm
from spacy.tokens import Doc
from torch import nn
from torch.torch_version import TorchVersion

import spacy_tommer
from spacy_tommer.backbone import precision
from spacy_tommer.backbone.int8 import Int8Linear
from spacy_tommer.backbone.language_model import find_blocks
from spacy_tommer.backbone.model import Backbone, read_at, spec_of
from spacy_tommer.backbone.precision import has_bfloat16
from spacy_tommer.backbone.states import read_attention, read_states
from spacy_tommer.tensors import from_bytes
from spacy_tommer.training.state_cache import StateCache

SENTENCES = [
    *TEXTS,
    "Rain.",
    "On 3 March the ferry from Bergen reached Aberdeen two hours late.",
    "Dr. Maria Oduya of the Lakeside Clinic in Kisumu treats malaria with artemether, and "
    "has published, together with Jonas Field and Anna-Lena Brandt, eleven papers since "
    "2009 on how the parasite Plasmodium falciparum becomes resistant to it.",
    "The Norwegian parliament passed the Ocean Energy Act on Tuesday, 91 votes to 78.",
    "Who wrote the song Blue Lanterns?",
]


needs_int8 = pytest.mark.skipif(
    torch.__version__ < (2, 4), reason="this torch multiplies no integers on the CPU"
)


def states(model, words: str = TEXTS[0]):
    doc = Doc(spacy.blank("en").vocab, words.split())
    (data,) = model.predict([doc]).doc_data
    return data.model_output["last_hidden_state"][0]


def assert_same_weights(one, other) -> None:
    saved = [from_bytes(model.shims[0].to_bytes(), "") for model in (one, other)]
    (weights, metadata), (expected, same) = saved
    assert metadata == same and weights.keys() == expected.keys()
    for name, weight in expected.items():
        assert weight.dtype == torch.float32 and torch.equal(weights[name], weight)


def least_cosine(one, other) -> float:
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return float(((one * other).sum(-1) / norms).min())


@pytest.mark.parametrize("family", FAMILIES)
def test_states_of_bfloat16_are_float32_and_nearly_the_same(tiny, family):
    exact = states(Backbone(tiny(family), [0, 1]))
    model = Backbone(tiny(family), [0, 1], precision="bfloat16")
    rough = states(model)
    assert {p.dtype for p in model.shims[0].cut.network.parameters()} == {torch.bfloat16}
    assert rough.dtype == "float32" and not np.array_equal(rough, exact)
    assert least_cosine(rough, exact) > 0.9  # random weights make states unstable


def test_positions_stay_in_float32(tiny):
    model = Backbone(tiny("llama"), [1], precision="bfloat16")
    model.initialize()
    buffers = dict(model.shims[0].cut.network.named_buffers())
    assert buffers["rotary_emb.inv_freq"].dtype == torch.float32


@needs_int8
@pytest.mark.parametrize("family", ["bert", "mpnet", "llama"])
def test_int8_multiplies_integers_in_the_blocks(tiny, family):
    model = Backbone(tiny(family), [1], precision="int8")
    assert states(model).dtype == "float32"
    blocks = find_blocks(model.shims[0].cut.network)
    layers = [module for module in blocks.modules() if hasattr(module, "weight")]
    linear = [layer for layer in layers if layer.weight.dim() == 2]
    assert linear and {layer.weight.dtype for layer in linear} == {torch.int8}


@needs_int8
def test_an_int8_layer_by_hand():
    linear = nn.Linear(4, 2)
    # Weights that are 127 steps of 0.5 and of 0.25 at most, and inputs of which the largest
    # and the smallest are 254 steps of 0.5 apart, so that nothing is rounded.
    linear.weight.data = torch.tensor([[63.5, -1.0, 0.5, 20.0], [0.25, 31.75, -3.0, 0.0]])
    inputs = torch.tensor([[[130.0, 3.0, 4.0, 5.5]], [[-2.0, -2.0, -2.0, -2.0]]])
    with torch.inference_mode():
        layer = Int8Linear(linear)
        assert torch.allclose(layer(inputs), linear(inputs))
        assert layer(inputs[:0]).shape == (0, 1, 2)
        linear.bias = None
        assert torch.allclose(Int8Linear(linear)(inputs), linear(inputs))
        # Of a step of 2 and a middle of 1, the inputs are -127, 127, and 0 twice.
        rounded = Int8Linear(linear)(torch.tensor([[-253.0, 255.0, 0.1, 1.9]]))
        assert torch.allclose(rounded, linear(torch.tensor([[-253.0, 255.0, 1.0, 1.0]])))


@needs_int8
def test_an_int8_layer_is_nearly_linear():
    torch.manual_seed(0)
    linear = nn.Linear(64, 24)
    inputs = torch.randn(3, 50, 64) + 2
    with torch.inference_mode():
        expected = linear(inputs)
        for integers in (True, False):
            layer = Int8Linear(linear, integers)
            assert layer.weight.abs().max() == 127
            found = layer(inputs)
            assert 0 < (found - expected).norm() / expected.norm() < 0.01
            alone = [layer(one) for one in inputs.flatten(0, 1)[:, None]]
            assert torch.equal(found.flatten(0, 1), torch.cat(alone))
        linear.weight.data.zero_()
        zeros = torch.zeros(1, 64)
        assert torch.equal(Int8Linear(linear)(zeros), linear(zeros))


@needs_int8
def test_int8_is_the_same_without_instructions_for_it(tiny, monkeypatch):
    found, ways = [], []
    for instructions in ({"avx512_vnni": True}, {"avx2": True, "avx512_vnni": False}):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda found=instructions: found, raising=False
        )
        model = Backbone(tiny("bert"), [1], precision="int8")
        found.append(states(model))
        blocks = find_blocks(model.shims[0].cut.network)
        layers = [module for module in blocks.modules() if isinstance(module, Int8Linear)]
        ways.append({layer.integers for layer in layers})
    assert ways == [{True}, {False}]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5)


@needs_int8
@needs_minilm
def test_states_of_int8_are_nearly_the_same():
    name = "sentence-transformers/all-MiniLM-L6-v2"
    exact, rough = (
        states(Backbone(name, [2], precision=precision))
        for precision in ("float32", "int8")
    )
    assert not np.array_equal(rough, exact)
    assert least_cosine(rough, exact) > 0.97


@needs_int8
def test_int8_needs_linear_layers(tiny):
    with pytest.raises(ValueError, match=r"layers of the class torch\.nn\.Linear"):
        Backbone(tiny("gpt2"), [1], precision="int8").initialize()


def test_attention_is_returned_in_float32(tiny):
    docs = {}
    for name in ("float32", "bfloat16"):
        nlp = spacy.blank("en")
        add_backbone(nlp, tiny("llama"), attention="queries_keys", precision=name)
        docs[name] = nlp(TEXTS[0])
    exact, rough = (read_attention(doc, [1]).dataXd for doc in docs.values())
    assert rough.dtype == "float32" and not np.array_equal(rough, exact)
    assert least_cosine(rough, exact) > 0.99


def test_weights_are_saved_as_they_were_loaded(tiny):
    exact, rough = (
        Backbone(tiny("bert"), [1], precision=name) for name in ("float32", "bfloat16")
    )
    expected = states(exact)
    lowered = states(rough)
    assert_same_weights(rough, exact)
    again = Backbone("nowhere", [1]).from_bytes(rough.to_bytes())
    assert np.array_equal(states(again), expected)
    again = Backbone("nowhere", [1], precision="bfloat16").from_bytes(exact.to_bytes())
    assert np.array_equal(states(again), lowered)
    assert_same_weights(again, exact)


@needs_int8
def test_int8_weights_are_saved_as_they_were_loaded(tiny):
    exact, rough = (
        Backbone(tiny("bert"), [1], precision=name) for name in ("float32", "int8")
    )
    assert_same_weights(rough, exact)


def test_a_saved_pipeline_opens_in_another_precision(make_nlp, tmp_path):
    nlp = make_nlp()
    nlp.remove_pipe("tommer")
    doc = nlp(TEXTS[0])
    assert doc._.trf_data.spec.precision == "float32"
    nlp.to_disk(tmp_path / "nlp")
    setting = {"components.transformer.model.precision": "bfloat16"}
    for lowered in (
        spacy.load(tmp_path / "nlp", config=setting),
        spacy_tommer.load(tmp_path / "nlp", precision="bfloat16"),
    ):
        rough = lowered(TEXTS[0])
        assert rough._.trf_data.spec.precision == "bfloat16"
        assert not np.array_equal(read_states(rough).dataXd, read_states(doc).dataXd)
        lowered.to_disk(tmp_path / "lowered")
        model = spacy.load(tmp_path / "lowered").config["components"]["transformer"][
            "model"
        ]
        assert model["precision"] == "bfloat16"
        exact = spacy_tommer.load(tmp_path / "lowered", precision="float32")(TEXTS[0])
        assert exact._.trf_data.spec == doc._.trf_data.spec
        assert np.array_equal(read_states(exact).dataXd, read_states(doc).dataXd)


@needs_minilm
def test_a_shipped_model_computes_in_bfloat16_where_the_processor_does(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    nlp = spacy_tommer.load("minilm", disable=["tommer_cleaner"])
    doc = nlp("The University of Bonn was founded by Frederick William III of Prussia.")
    assert doc._.trf_data.spec.precision == "bfloat16"
    assert {"University of Bonn", "Prussia"} <= {ent.text for ent in doc.ents}


def test_auto_is_bfloat16_where_the_processor_computes_in_it(tiny, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", has_bfloat16)
    device = torch.device("cpu")
    for instructions, expected in (
        ({"avx2": True, "avx512_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"neon": True, "bf16": True}, "bfloat16"),
    ):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda found=instructions: found, raising=False
        )
        assert precision.resolve("auto", device) == expected
        spec = spec_of(Backbone(tiny("bert"), [1], precision="auto"))
        assert spec == spec_of(Backbone(tiny("bert"), [1], precision=expected))
        assert spec.precision == expected
    with monkeypatch.context() as patch:  # as on macOS
        patch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        assert precision.resolve("auto", device) == "float32"
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older versions of torch
    assert precision.resolve("auto", device) == "float32"
    assert precision.resolve("auto", torch.device("mps")) == "float32"
    for capability, expected in (((7, 5), "float32"), ((8, 0), "bfloat16")):
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda _, found=capability: found
        )
        assert precision.resolve("auto", torch.device("cuda")) == expected


def test_other_precisions_are_refused(tiny, monkeypatch):
    with pytest.raises(ValueError, match="'half', expected one of float32, bfloat16, int8"):
        Backbone(tiny("bert"), [1], precision="half")
    with pytest.raises(ValueError, match="precision"):
        add_backbone(spacy.blank("en"), tiny("bert"), precision="half")
    with pytest.raises(ValueError, match=r'On a GPU, write .* precision = "bfloat16"'):
        precision.resolve("int8", torch.device("cuda"))
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.3.1"))
    with pytest.raises(ImportError, match=r"pip install -U 'torch>=2\.4'"):
        Backbone(tiny("bert"), [1], precision="int8")


def test_states_of_another_precision_are_other_states(tiny, tmp_path):
    pipes = {}
    for name in ("float32", "bfloat16"):
        nlp = spacy.blank("en")
        add_backbone(nlp, tiny("bert"), precision=name)
        pipes[name] = nlp.get_pipe("transformer")
    exact, rough = pipes.values()
    doc = exact(nlp.make_doc(TEXTS[0]))
    before = doc._.trf_data
    assert exact(doc)._.trf_data is before
    assert rough(doc)._.trf_data is not before
    caches = [StateCache(tmp_path, pipe) for pipe in pipes.values()]
    sha256 = before.spec.sha256[:16]
    folders = [cache.folder.name for cache in caches]
    assert folders == [f"{sha256}-token-128-96", f"{sha256}-token-128-96-bfloat16"]
    assert caches[1].spec.precision == "bfloat16"


def test_a_deeper_block_is_read_in_the_same_precision(tiny):
    model = Backbone(tiny("bert"), [0], precision="bfloat16")
    doc = Doc(spacy.blank("en").vocab, TEXTS[0].split())
    (data,) = read_at(model, [doc], 1)
    assert data.spec.precision == "bfloat16"
    found = data.model_output["last_hidden_state"][0]
    assert np.array_equal(found, states(Backbone(tiny("bert"), [1], precision="bfloat16")))


@needs_minilm
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("float32", 1e-4), ("bfloat16", 0.03), pytest.param("int8", 0.03, marks=needs_int8)],
)
def test_scores_are_the_same_alone_and_in_a_batch(name, tolerance):
    nlp = spacy_tommer.load("minilm", precision=name)
    threshold = nlp.get_pipe("tommer").threshold
    alone = {doc.text: scores(doc) for doc in map(nlp, SENTENCES)}
    assert all(alone.values())
    for texts in (SENTENCES, SENTENCES[::-1], SENTENCES * 4):
        for doc in nlp.pipe(texts):
            found, expected = scores(doc), alone[doc.text]
            for place in found.keys() | expected.keys():
                both = [one.get(place, threshold) for one in (found, expected)]
                assert both[0] == pytest.approx(both[1], abs=tolerance)


def scores(doc) -> dict[tuple[int, int, str], float]:
    return {
        (span.start, span.end, span.label_): span._.score for span in doc.spans["mentions"]
    }
