import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest
import spacy
from conftest import TEXTS, add_backbone
from safetensors import safe_open
from safetensors.numpy import save
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from thinc.api import Config

from spacy_tommer import files as aside
from spacy_tommer.backbone.states import read_states
from spacy_tommer.head.model import get_head
from spacy_tommer.keys import TARGETS
from spacy_tommer.training import chunks as prepared
from spacy_tommer.training import corpus as cached
from spacy_tommer.training import state_cache
from spacy_tommer.training.chunks import read_chunk
from spacy_tommer.training.corpus import CachedCorpus, prepare_corpus


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Give a corpus of three DocBins: 24 texts with a mention each."""
    monkeypatch.setattr(prepared, "DOCS_PER_CHUNK", 5)
    monkeypatch.setattr(cached, "MIXED", 3)
    nlp = spacy.blank("en")
    folder = tmp_path / "corpus"
    folder.mkdir()
    for i in range(3):
        docs = []
        for j in range(8):
            doc = nlp.make_doc(f"{8 * i + j}. {TEXTS[j % 3]}")
            doc.spans["mentions"] = [doc[2:4]]
            docs.append(doc)
        DocBin(docs=docs).to_disk(folder / f"{i}.spacy")
    return folder


def texts(examples):
    return [example.text for example in examples]


def test_the_backbone_runs_once_for_each_text(make_nlp, corpus, tmp_path, passes):
    nlp = make_nlp(layers=(0, 1))
    reader = CachedCorpus(corpus, tmp_path / "cache")
    examples = list(reader(nlp))
    computed = len(passes)
    assert len(examples) == 24
    for example in examples[::5]:
        expected = nlp.get_pipe("transformer")(nlp.make_doc(example.text))
        for layer in (0, 1):
            states = read_states(example.x, layer)
            reference = read_states(expected, layer)
            assert states.dataXd.dtype == "float16"
            assert states.dataXd == pytest.approx(reference.dataXd, abs=2e-3)
            assert (states.lengths == reference.lengths).all()
    computed = len(passes)
    optimizer = nlp.initialize(lambda: reader(nlp))
    for _ in range(2):
        losses = nlp.update(
            list(reader(nlp)),
            sgd=optimizer,
            exclude=["transformer"],
            annotates=["transformer"],
        )
    nlp.evaluate(reader(nlp))
    assert losses["tommer"] > 0
    assert len(passes) == computed


def test_a_corpus_is_prepared_once_whatever_was_read_before(make_nlp, corpus, tmp_path):
    nlp = make_nlp()
    chunks = prepare_corpus(corpus, tmp_path / "cache", nlp)
    nlp.make_doc("Words that the vocabulary does not know yet")
    assert prepare_corpus(corpus, tmp_path / "cache", nlp) == chunks


def test_other_gold_shares_the_states(make_nlp, corpus, tmp_path, passes):
    nlp = make_nlp()
    list(CachedCorpus(corpus, tmp_path / "cache")(nlp))
    computed = len(passes)
    other = tmp_path / "other"
    other.mkdir()
    docs = list(DocBin().from_disk(corpus / "1.spacy").get_docs(nlp.vocab))
    for doc in docs:
        doc.spans["mentions"] = [doc[0:1], doc[3:5]]
        doc.spans["ignored"] = [doc[5:6]]
    DocBin(docs=docs).to_disk(other / "0.spacy")
    examples = list(CachedCorpus(other, tmp_path / "cache")(nlp))
    assert len(passes) == computed
    assert [(s.start, s.end) for s in examples[3].y.spans["mentions"]] == [(0, 1), (3, 5)]
    assert [(s.start, s.end) for s in examples[3].y.spans["ignored"]] == [(5, 6)]
    list(CachedCorpus(corpus, tmp_path / "cache")(make_nlp(layers=(0, 1))))
    assert len(passes) > computed
    computed = len(passes)
    list(CachedCorpus(corpus, tmp_path / "cache")(make_nlp(layers=(0,))))
    assert len(passes) == computed
    list(CachedCorpus(corpus, tmp_path / "cache")(make_nlp(window=8, stride=4)))
    assert len(passes) > computed


def test_each_epoch_has_all_examples_in_a_new_seeded_order(make_nlp, corpus, tmp_path):
    nlp = make_nlp()
    plain = texts(CachedCorpus(corpus, tmp_path / "cache")(nlp))
    assert plain == sorted(plain, key=lambda text: int(text.split(".")[0]))
    orders = {}
    for run, seed in (("one", 0), ("two", 0), ("three", 1)):
        reader = CachedCorpus(corpus, tmp_path / "cache", shuffle=True, seed=seed)
        orders[run] = [texts(reader(nlp)) for _ in range(3)]
    assert all(sorted(order) == sorted(plain) for order in orders["one"])
    assert len({tuple(order) for order in [plain, *orders["one"], *orders["three"]]}) == 7
    assert orders["one"] == orders["two"]


def test_a_sample_is_always_the_same(make_nlp, corpus, tmp_path):
    nlp = make_nlp()
    reader = CachedCorpus(corpus, tmp_path / "cache", limit=7)
    first = texts(reader(nlp))
    assert len(set(first)) == 7
    assert texts(reader(nlp)) == first
    other = CachedCorpus(corpus, tmp_path / "cache", limit=7, seed=1)
    assert texts(other(nlp)) != first
    assert len(texts(CachedCorpus(corpus, tmp_path / "cache", limit=99)(nlp))) == 24


def test_gold_is_cut_into_the_tokens_of_the_pipeline(make_nlp, tmp_path):
    nlp = make_nlp()
    words = ["crea", "m", "is", "in", "New", "York", ",", "N.Y."]
    gold = Doc(nlp.vocab, words, spaces=[False, True, True, True, True, False, True, False])
    gold.spans["mentions"] = [gold[0:1], gold[4:6], gold[4:8]]
    gold.set_ents([Span(gold, 4, 6, label="CITY")])
    bare = Doc(nlp.vocab, ["No", "gold"])
    DocBin(docs=[gold, bare]).to_disk(tmp_path / "train.spacy")
    first, second = CachedCorpus(tmp_path / "train.spacy", tmp_path / "cache")(nlp)
    assert [token.text for token in first.y] == [token.text for token in first.x]
    assert [s.text for s in first.y.spans["mentions"]] == ["New York", "New York, N.Y."]
    assert [(ent.text, ent.label_) for ent in first.y.ents] == [("New York", "CITY")]
    assert not first.x.spans and not first.x.ents
    assert "mentions" not in second.y.spans
    assert not second.y.has_annotation("ENT_IOB")
    (path,) = prepare_corpus(tmp_path / "train.spacy", tmp_path / "cache", nlp)
    assert read_chunk(path).unaligned == 1


def test_kinds_and_source_of_gold_are_kept(make_nlp, tmp_path):
    nlp = make_nlp()
    docs = [nlp.make_doc(text) for text in TEXTS]
    every = [{"kinds": ["NAME", "TERM"]}, {"kinds": [], "source": "craft"}, {}]
    for doc, attrs in zip(docs, every):
        spans = [Span(doc, 0, 2, label="NAME"), Span(doc, 1, 2, label="CITY")]
        doc.spans["mentions"] = SpanGroup(doc, name="mentions", spans=spans, attrs=attrs)
        doc.user_data[TARGETS] = np.full((len(doc), 25, 2), np.nan, dtype="f2")
        doc.user_data[TARGETS][0, 0] = [0.5, 0.25]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    examples = list(CachedCorpus(tmp_path / "train.spacy", tmp_path / "cache")(nlp))
    for example, doc, attrs in zip(examples, docs, every):
        group = example.y.spans["mentions"]
        kept = {key: group.attrs[key] for key in group.attrs if key != "labels"}
        assert kept == attrs
        assert [span.label_ for span in group] == ["NAME", "CITY"]
        given, found = (one.user_data[TARGETS] for one in (doc, example.y))
        assert found.shape == (len(doc), 25, 2)
        np.testing.assert_array_equal(found, given)


def test_dense_targets_reach_the_loss(make_nlp, tmp_path):
    nlp = make_nlp()
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        doc.spans["mentions"] = []
        doc.user_data[TARGETS] = np.full((len(doc), 25), 0.25, dtype="f2")
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    reader = CachedCorpus(tmp_path / "train.spacy", tmp_path / "cache")
    nlp.initialize(lambda: reader(nlp))
    examples = list(reader(nlp))
    tommer = nlp.get_pipe("tommer")
    scores = tommer.predict([example.x for example in examples])
    loss, gradient = tommer.get_loss(examples, scores)
    logits = np.concatenate([one.dataXd for one in scores])
    z = logits[np.isfinite(logits)].astype("float64")
    expected = np.log1p(np.exp(z)) - 0.25 * z
    assert loss == pytest.approx(expected.mean(), rel=1e-5)
    assert gradient[np.isfinite(logits)] == pytest.approx(
        (1 / (1 + np.exp(-z)) - 0.25) / len(z), abs=1e-6
    )


def test_half_written_files_are_never_used(make_nlp, corpus, tmp_path, monkeypatch):
    nlp = make_nlp()
    cache = tmp_path / "cache"
    with monkeypatch.context() as patched:
        patched.setattr(aside.os, "replace", lambda *paths: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(CachedCorpus(corpus, cache)(nlp))
    assert not list(cache.rglob("*.part"))
    assert len(list(CachedCorpus(corpus, cache)(nlp))) == 24


@pytest.mark.parametrize("full", ["state_cache", "chunks"])
def test_a_full_disk_leaves_nothing_half_written(
    full, make_nlp, corpus, tmp_path, monkeypatch
):
    def write_a_part(tensors, path, *about):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    module = {"state_cache": state_cache, "chunks": prepared}[full]
    monkeypatch.setattr(module, "save_file", write_a_part)
    with pytest.raises(OSError, match="No space left"):
        list(CachedCorpus(corpus, tmp_path / "cache")(make_nlp()))
    assert not list(tmp_path.rglob("*.part"))


def test_what_killed_runs_left_is_removed_and_what_others_write_is_not(
    make_nlp, corpus, tmp_path
):
    nlp = make_nlp()
    cache = tmp_path / "cache"
    list(CachedCorpus(corpus, cache)(nlp))
    shard = next(cache.glob("states/*/1/*.safetensors"))
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    left = [
        shard.with_name(f".{shard.name}.{platform.node()}.{process.pid}.part"),
        cache / "texts" / f".half.{platform.node()}.{process.pid}.part" / "0.safetensors",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    others = [
        shard.with_name("notes.part"),
        shard.with_name(f".{shard.name}.another-machine.{process.pid}.part"),
    ]
    for path in others:
        path.touch()
    doc = nlp.make_doc("Another text")
    doc.spans["mentions"] = []
    DocBin(docs=[doc]).to_disk(corpus / "3.spacy")
    assert len(list(CachedCorpus(corpus, cache)(nlp))) == 25
    assert all(path.exists() for path in left)
    process.kill()
    process.communicate()
    DocBin(docs=[doc, doc]).to_disk(corpus / "3.spacy")
    assert len(list(CachedCorpus(corpus, cache)(nlp))) == 26
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def misfits(states, lengths):
    """Name tensors as a shard may hold them by mistake."""
    longer = np.append(lengths, np.int32(0))
    return {
        "another width": {"states": states[:, 1:], "lengths": lengths},
        "one dimension": {"states": states[:, 0], "lengths": lengths},
        "fewer states": {"states": states[1:], "lengths": lengths},
        "more tokens": {"states": states, "lengths": longer},
        "fewer tokens": {"states": states[1:], "lengths": lengths[1:]},
        "single precision": {"states": states.astype("f"), "lengths": lengths},
        "negative lengths": {"states": states, "lengths": -lengths},
        "no lengths": {"states": states},
        "other tensors": {"weight": states},
        "none": {},
    }


def broken_files(path):
    """Give the bytes of each kind of shard that does not fit."""
    with safe_open(path, "numpy") as file_:
        states, lengths = (file_.get_tensor(name) for name in ("states", "lengths"))
    found = {
        name: save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
        for name, tensors in misfits(states, lengths).items()
    }
    return {**found, "cut off": path.read_bytes()[:100], "empty": b"", "text": b"text" * 9}


@pytest.mark.parametrize("layer", [0, 1])
def test_a_shard_that_does_not_fit_is_told_and_made_anew(layer, make_nlp, corpus, tmp_path):
    nlp = make_nlp(layers=(0, 1))
    cache = tmp_path / "cache"

    def read_last_states():
        *_, last = CachedCorpus(corpus, cache)(nlp)
        return [read_states(last.x, i).dataXd.copy() for i in (0, 1)]

    before = read_last_states()
    shards = list(cache.glob(f"states/*/{layer}/*.safetensors"))
    for name, content in broken_files(shards[0]).items():
        shards[0].write_bytes(content)
        with pytest.warns(UserWarning, match=r"The file .* It is computed again") as told:
            after = read_last_states()
        assert len(told) == 1, name
        assert shards[0].name in str(told[0].message)
        for one, other in zip(before, after):
            assert (one == other).all(), name


def test_prepared_texts_that_are_damaged_are_named(make_nlp, corpus, tmp_path):
    (path, *_) = prepare_corpus(corpus, tmp_path / "cache", make_nlp())
    for content in (b"", path.read_bytes()[:50], save({"states": np.zeros((2, 2))})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path.name}.* Remove the folder"):
            read_chunk(path)


def test_a_full_disk_is_told_before_anything_is_computed(
    make_nlp, corpus, tmp_path, monkeypatch, passes
):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(state_cache.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"need 0.00 GB in .* another disk"):
        list(CachedCorpus(corpus, tmp_path / "cache")(make_nlp()))
    assert passes == []


def test_states_too_large_for_half_precision(make_nlp, corpus, tmp_path):
    nlp = make_nlp()
    transformer = nlp.get_pipe("transformer")
    transformer.model.initialize()
    network = transformer.model.shims[0].cut.network
    network.encoder.layer[1].output.LayerNorm.weight.data *= 1e6
    with pytest.raises(ValueError, match=r"block 1 of .* too large for half precision"):
        list(CachedCorpus(corpus, tmp_path / "cache")(nlp))


@pytest.mark.filterwarnings("ignore:.*W090")
def test_a_corpus_without_texts_is_no_endless_stream(make_nlp, tmp_path):
    (tmp_path / "corpus").mkdir()
    reader = CachedCorpus(tmp_path / "corpus", tmp_path / "cache", shuffle=True)
    with pytest.raises(ValueError, match=r"no .* files with texts in"):
        next(reader(make_nlp()))
    with pytest.raises(ValueError, match=r"--paths\.train FILE"):
        next(CachedCorpus(None, tmp_path / "cache")(make_nlp()))


def test_only_frozen_states_are_cached(corpus, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer")
    with pytest.raises(ValueError, match=r"components\.transformer\.model"):
        list(CachedCorpus(corpus, tmp_path / "cache")(nlp))


def test_heads_of_wordpieces_ask_for_their_states(make_nlp, corpus, tmp_path):
    nlp = make_nlp(model={"@architectures": "spacy_tommer.Tommer.v1", "unit": "piece"})
    with pytest.raises(ValueError, match='unit = "piece"'):
        nlp.initialize(lambda: CachedCorpus(corpus, tmp_path / "cache")(nlp))
    reader = CachedCorpus(corpus, tmp_path / "cache", unit="piece")
    nlp.initialize(lambda: reader(nlp))
    example = next(reader(nlp))
    expected = nlp.get_pipe("transformer")(nlp.make_doc(example.text))
    states, reference = (read_states(doc, unit="piece") for doc in (example.x, expected))
    assert (states.lengths == reference.lengths).all()
    assert states.dataXd == pytest.approx(reference.dataXd, abs=2e-3)


def test_two_runs_with_one_seed_give_equal_weights(tiny, corpus, tmp_path):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"))
    nlp.add_pipe("tommer")
    reader = {
        "@readers": "spacy_tommer.CachedCorpus.v1",
        "path": str(corpus),
        "cache": str(tmp_path / "cache"),
    }
    config = Config(nlp.config)
    config["corpora"] = {
        "train": {**reader, "shuffle": True},
        "dev": {**reader, "limit": 5},
    }
    config["training"].update(
        frozen_components=["transformer"],
        annotating_components=["transformer"],
        max_epochs=-1,
        max_steps=12,
        eval_frequency=4,
    )
    config["training"]["batcher"]["size"] = 60
    config.to_disk(tmp_path / "config.cfg")
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        overrides = {"training.seed": seed}
        train(tmp_path / "config.cfg", tmp_path / name, overrides=overrides)
        tommer = spacy.load(tmp_path / name / "model-last").get_pipe("tommer")
        weights.append(get_head(tommer.model).state_dict())
    for key, value in weights[0].items():
        assert (weights[1][key] == value).all()
    assert (weights[2]["matching.query"] != weights[0]["matching.query"]).any()
