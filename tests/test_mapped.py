"""The weights of a saved pipeline are mapped into memory from a file of their own."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS, add_backbone
from safetensors.torch import load_file

from spacy_tommer.backbone.model import cut_model
from spacy_tommer.backbone.states import read_states

PRECISION = "components.transformer.model.precision"


@pytest.fixture
def make(tiny):
    """Give a pipeline of a tiny backbone."""

    def make(family="bert", **settings):
        nlp = spacy.blank("en")
        model = {
            "@architectures": "spacy_tommer.Backbone.v1",
            "name": tiny(family),
            "layers": [1],
            **settings,
        }
        nlp.add_pipe("tommer_transformer", "transformer", config={"model": model})
        return nlp

    return make


def states(nlp):
    return read_states(nlp(TEXTS[0])).dataXd


def weights_of(folder):
    return folder / "transformer" / "backbone.safetensors"


def network(nlp):
    return cut_model(nlp.get_pipe("transformer").model).network


def is_mapped(nlp, folder):
    """Check whether the first weights lie where a file is mapped to."""
    address = next(network(nlp).parameters()).data_ptr()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if start <= address < end:
                return line.split()[-1] == str(weights_of(folder))
    return False


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_weights_are_mapped(make, tmp_path, family):
    nlp = make(family)
    expected = states(nlp)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert np.array_equal(states(again), expected)
    model = tmp_path / "transformer" / "model"
    assert model.stat().st_size < 1000 < weights_of(tmp_path).stat().st_size
    # Others may read the pipeline as they may read its other files.
    assert weights_of(tmp_path).stat().st_mode == model.stat().st_mode
    if Path("/proc/self/maps").exists():
        assert is_mapped(again, tmp_path) and not is_mapped(nlp, tmp_path)


def test_pipelines_with_weights_inside_load(make, tmp_path):
    """Pipelines of version 0.2, also where a file of weights is left of another one."""
    nlp = make()
    expected = states(nlp)
    nlp.to_disk(tmp_path)
    model = nlp.get_pipe("transformer").model
    (tmp_path / "transformer" / "hashes.json").unlink()
    model.to_disk(tmp_path / "transformer" / "model")
    weights_of(tmp_path).write_bytes(b"of another pipeline")
    assert np.array_equal(states(spacy.load(tmp_path)), expected)
    weights_of(tmp_path).unlink()
    assert np.array_equal(states(spacy.load(tmp_path)), expected)


def test_bytes_and_pickles_hold_the_weights(make, tmp_path):
    nlp = make()
    expected = states(nlp)
    nlp.to_disk(tmp_path / "nlp")
    mapped = spacy.load(tmp_path / "nlp")
    data, pickled = mapped.to_bytes(), pickle.dumps(mapped.get_pipe("transformer"))
    shutil.rmtree(tmp_path / "nlp")
    assert np.array_equal(states(mapped), expected)
    assert np.array_equal(states(make().from_bytes(data)), expected)
    pipe = pickle.loads(pickled)
    assert np.array_equal(read_states(pipe(nlp.make_doc(TEXTS[0]))).dataXd, expected)


def test_a_folder_that_weights_are_mapped_from_is_written(make, tmp_path):
    nlp, other = make(), make("llama")
    expected, others = states(nlp), states(other)
    nlp.to_disk(tmp_path / "nlp")
    mapped = spacy.load(tmp_path / "nlp")
    mapped.to_disk(tmp_path / "nlp")  # its own folder
    assert np.array_equal(states(spacy.load(tmp_path / "nlp")), expected)
    shutil.copytree(tmp_path / "nlp", tmp_path / "copy")
    other.to_disk(tmp_path / "nlp")
    assert np.array_equal(states(mapped), expected)
    assert np.array_equal(states(spacy.load(tmp_path / "nlp")), others)
    assert np.array_equal(states(spacy.load(tmp_path / "copy")), expected)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_leave_the_file_alone(make, tmp_path, precision):
    nlp = make()
    states(nlp)
    nlp.to_disk(tmp_path / "nlp")
    before = weights_of(tmp_path / "nlp").read_bytes()
    try:
        lowered = spacy.load(tmp_path / "nlp", config={PRECISION: precision})
    except ImportError as error:
        pytest.skip(str(error))
    states(lowered)
    lowered.to_disk(tmp_path / "lowered")
    assert weights_of(tmp_path / "nlp").read_bytes() == before
    saved, again = (load_file(weights_of(tmp_path / name)) for name in ("nlp", "lowered"))
    assert saved.keys() == again.keys()
    assert all(torch.equal(saved[name], again[name]) for name in saved)


def test_changed_weights_are_not_written_to_the_file(make, tmp_path):
    nlp = make()
    states(nlp)
    nlp.to_disk(tmp_path)
    before = weights_of(tmp_path).read_bytes()
    mapped = spacy.load(tmp_path)
    for weight in network(mapped).parameters():
        weight.data.add_(1)
    assert weights_of(tmp_path).read_bytes() == before


def test_the_stock_transformer_has_the_weights_inside(tiny, tmp_path):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"))
    expected = states(nlp)
    nlp.to_disk(tmp_path)
    assert not weights_of(tmp_path).exists()
    assert np.array_equal(states(spacy.load(tmp_path)), expected)


def test_the_stock_transformer_does_not_read_the_file(make, tmp_path):
    nlp = make()
    states(nlp)
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match='factory = "tommer_transformer"'):
        spacy.load(tmp_path, config={"components.transformer.factory": "transformer"})


def test_damaged_weights_are_told(make, tmp_path):
    nlp = make()
    states(nlp)
    nlp.to_disk(tmp_path)
    data = weights_of(tmp_path).read_bytes()
    weights_of(tmp_path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"backbone\.safetensors is damaged"):
        spacy.load(tmp_path)
    (tmp_path / "transformer" / "hashes.json").unlink()
    weights_of(tmp_path).write_bytes(data[:-1])
    with pytest.raises(ValueError, match=r"backbone\.safetensors is .*cut off"):
        spacy.load(tmp_path)
    weights_of(tmp_path).unlink()
    with pytest.raises(ValueError, match=r"backbone\.safetensors is missing"):
        spacy.load(tmp_path)
