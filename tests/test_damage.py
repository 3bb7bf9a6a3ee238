"""Files that are damaged, cut off or foreign."""

import json
import random
import shutil

import pytest
import spacy
from conftest import GOLD, TEXTS, add_backbone, mark
from spacy.training import Example
from thinc.api import fix_random_seed

import spacy_tommer
from spacy_tommer.head.checkpoints import head_from_bytes, head_to_bytes
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.matching import ToM


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Give the folder of a saved pipeline, to be copied."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"))
    config = nlp.config["components"]["transformer"]["model"]
    nlp.remove_pipe("transformer")
    nlp.add_pipe("tommer_transformer", "transformer", config={"model": config})
    nlp.add_pipe("tommer", config={"threshold": 0.3})
    gold = mark(nlp.make_doc(TEXTS[0]), GOLD[0])
    nlp.initialize(lambda: [Example(nlp.make_doc(TEXTS[0]), gold)])
    nlp.add_pipe("tommer_cleaner")
    folder = tmp_path_factory.mktemp("whole") / "nlp"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def saved(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "nlp")


FILES = [
    "transformer/model",
    "transformer/backbone.safetensors",
    "transformer/cfg",
    "tommer/model",
    "tommer/cfg",
]


@pytest.mark.parametrize("load", [spacy.load, spacy_tommer.load])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_told(saved, name, load):
    path = saved / name
    data = path.read_bytes()
    for place in (0, len(data) - 1, random.Random(0).randrange(len(data))):
        broken = bytearray(data)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            load(saved)
    path.write_bytes(data)
    assert load(saved)(TEXTS[0]).spans["mentions"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_or_missing(saved, name):
    path = saved / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        spacy.load(saved)
    path.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        spacy.load(saved)


@pytest.mark.parametrize("name", ["tommer/model", "transformer/model"])
@pytest.mark.parametrize("content", [b"", b"\x81", b"not a model", b"\x93\x01\x02\x03"])
def test_damage_without_hashes(saved, name, content):
    """Pipelines that were saved before files had hashes."""
    (saved / name).write_bytes(content)
    (saved / name).with_name("hashes.json").unlink()
    with pytest.raises(ValueError, match=name.partition("/")[0]):
        spacy_tommer.load(saved)


def test_a_pipeline_without_hashes_loads(saved):
    for path in saved.glob("*/hashes.json"):
        path.unlink()
    assert spacy.load(saved)(TEXTS[0]).spans["mentions"]


@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b'"x"'])
def test_damaged_hashes(saved, content):
    (saved / "tommer" / "hashes.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"hashes\.json"):
        spacy.load(saved)


@pytest.mark.parametrize(
    "name", ["config.cfg", "meta.json", "tokenizer", "vocab/strings.json"]
)
def test_damage_of_other_files_names_the_folder(saved, name):
    (saved / name).write_bytes(b"\xff\x00{[")
    with pytest.raises((ValueError, OSError)):
        spacy_tommer.load(saved)


def broken_heads():
    head = MentionHead(8, ToM(8, 4, 5), hidden=3)
    weights = head.state_dict()
    for name in weights:
        yield f"without {name}", {k: v for k, v in weights.items() if k != name}, {}
        yield (
            f"{name} of another shape",
            {**weights, name: weights[name][..., :1, None]},
            {},
        )
        yield f"{name} not finite", {**weights, name: weights[name] * float("nan")}, {}
    yield "one more", {**weights, "more": weights["mixing"].clone()}, {}
    for length in ("0", "-1", "x", "9" * 30):
        yield f"max_length {length}", weights, {"max_length": length}
    for matching in ("[]", "3", "{", '["other", [], [1, 1, 1]]'):
        yield f"matching {matching}", weights, {"matching": matching}


@pytest.mark.parametrize("what, weights, metadata", broken_heads())
def test_heads_that_do_not_fit(what, weights, metadata):
    from safetensors.torch import load, save

    good = head_to_bytes(MentionHead(8, ToM(8, 4, 5), hidden=3))
    length = int.from_bytes(good[:8], "little")
    settings = json.loads(good[8 : 8 + length])["__metadata__"]
    assert load(good).keys() == MentionHead(8, ToM(8, 4, 5), hidden=3).state_dict().keys()
    data = save({k: v.contiguous() for k, v in weights.items()}, {**settings, **metadata})
    with pytest.raises(ValueError, match="The head"):
        head_from_bytes(data, "The head")
