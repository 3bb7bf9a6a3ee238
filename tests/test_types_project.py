"""The steps of the project that work on typed texts, with a tiny backbone."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
import srsly
import torch
from conftest import needs_minilm, needs_smollm2
from run_verb import error_of, run_verb
from spacy.tokens import DocBin
from thinc.api import Config
from weasel.util import load_project_config

import spacy_tommer
from reproduction.heads import left_out, shipping
from spacy_tommer.decoding.decode import logit
from spacy_tommer.entities import shipped
from spacy_tommer.entities.definitions import read_types
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import read_type_head, set_type_head
from spacy_tommer.evaluation import typed
from spacy_tommer.head.checkpoints import read_shipped, shipped_models

ROOT = Path(__file__).resolve().parents[1]
TYPES, CONFIGS = ROOT / "assets/types", ROOT / "configs"
TEXTS = ["Ada met Bob in Rome .", "Bob likes Ada .", "Rome is old ."]
ENTITIES = [[(0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")], [(0, 1, "PER")], [(0, 1, "LOC")]]


def typed_docs(nlp):
    docs = []
    for text, entities in zip(TEXTS, ENTITIES):
        doc = nlp.make_doc(text)
        doc.ents = [spacy.tokens.Span(doc, *entity) for entity in entities]
        docs.append(doc)
    return docs


def read(folder):
    vocab = spacy.blank("en").vocab
    files = sorted(Path(folder).glob("*.spacy"))
    return [doc for path in files for doc in DocBin().from_disk(path).get_docs(vocab)]


def test_docbins_with_ents_get_all_keys(tmp_path):
    nlp = spacy.blank("en")
    DocBin(docs=typed_docs(nlp)).to_disk(tmp_path / "in.spacy")
    printed = run_verb("convert", "typed", tmp_path / "in.spacy", tmp_path / "out").output
    docs = read(tmp_path / "out")
    for doc, entities in zip(docs, ENTITIES, strict=True):
        for group in (doc.spans["entities"], doc.spans["mentions"], doc.ents):
            assert [(s.start, s.end, s.label_) for s in group] == entities
    assert "3 texts with 5 entities: {'PER': 3, 'LOC': 2}" in printed


def test_column_files_are_read_and_nested_spans_win_over_ents(tmp_path):
    text = "New NNP I-NP B-LOC\nYork NNP I-NP I-LOC\n\nnothing NN I-NP O\n"
    (tmp_path / "in.txt").write_text(text, "utf-8")
    run_verb("convert", "typed", tmp_path / "in.txt", tmp_path / "out")
    first, second = read(tmp_path / "out")
    assert [(s.text, s.label_) for s in first.spans["entities"]] == [("New York", "LOC")]
    assert len(second.spans["entities"]) == 0 and "mentions" in second.spans

    nlp = spacy.blank("en")
    doc = nlp.make_doc("New York City")
    doc.spans["entities"] = [spacy.tokens.Span(doc, 0, 2, "A"), doc.char_span(0, 13, "B")]
    DocBin(docs=[doc]).to_disk(tmp_path / "nested.spacy")
    run_verb("convert", "typed", tmp_path / "nested.spacy", tmp_path / "nested")
    (read_back,) = read(tmp_path / "nested")
    assert [s.label_ for s in read_back.spans["entities"]] == ["A", "B"]


def test_texts_without_an_entity_are_refused(tmp_path):
    (tmp_path / "in.txt").write_text("nothing O\n", "utf-8")
    given = ("convert", "typed", tmp_path / "in.txt", tmp_path / "out")
    assert "has an entity" in error_of(*given)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def zeroshot(make_nlp, tmp_path):
    """Save a pipeline that takes every token for a mention, and give its folder."""
    nlp = make_nlp("bert")
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    nlp.get_pipe("tommer").model.initialize(X=[doc])
    nlp.get_pipe("tommer").threshold = 0.0
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"], "threshold": 0.001})
    set_type_head(pipe.model, TypeHead(32))
    nlp.to_disk(tmp_path / "nlp")
    return tmp_path / "nlp"


def test_the_threshold_with_the_best_mean_over_sets(monkeypatch, tmp_path):
    (tmp_path / "a.spacy").touch()
    (tmp_path / "b.spacy").touch()
    scores = {"x": [0.2, 0.5, 0.9], "y": [0.3, 0.9, 0.1]}

    def count(nlp, read, labels, thresholds):
        values = scores[next(iter(labels))]
        return [SimpleNamespace(measures=lambda f=f: {"f": f}) for f in values]

    monkeypatch.setattr(typed, "count_entities", count)
    sets = {"a": {"x": "text"}, "b": {"y": "text"}}
    found, line = typed.choose_type_threshold(None, sets, tmp_path, tmp_path)
    assert found == typed.TYPE_CANDIDATES[1]
    assert line == f"threshold = {found}: mean F1 70.0 {{'a': 50.0, 'b': 90.0}}"


def test_the_threshold_is_chosen_and_the_labels_stay(zeroshot, tmp_path):
    nlp = spacy.blank("en")
    DocBin(docs=typed_docs(nlp)).to_disk(tmp_path / "one.spacy")
    types = {"one": {"PER": "a person", "LOC": "a place"}}
    (tmp_path / "types.json").write_text(json.dumps(types), "utf-8")
    given = ("--types", tmp_path / "types.json", "--corpora", tmp_path)
    given = (*given, "--cache", tmp_path / "cache")
    printed = run_verb("thresholds", "types", zeroshot, tmp_path / "out", *given).output
    assert "mean F1" in printed
    chosen = spacy.load(tmp_path / "out").get_pipe("tommer_zeroshot")
    assert chosen.threshold in typed.TYPE_CANDIDATES
    assert chosen.labels == ("thing",)

    output = ("--output", tmp_path / "metrics")
    run_verb("evaluate", "types", tmp_path / "out", *given, *output)
    (scores,) = json.loads((tmp_path / "metrics.json").read_text("utf-8")).values()
    assert scores["one"]["all"] == scores["mean"]["all"] == scores["one"]["new"]
    assert 0 <= scores["one"]["all"] <= 1
    assert "| types |" in (tmp_path / "metrics.md").read_text("utf-8")


def test_the_threshold_is_that_of_a_head_without_some_corpora(
    zeroshot, tmp_path, monkeypatch
):
    nlp = spacy.blank("en")
    for split in ("train", "dev"):
        for name in ("one", "two"):
            (tmp_path / split / name).mkdir(parents=True)
            DocBin(docs=typed_docs(nlp)).to_disk(tmp_path / "in.spacy")
            source, folder = tmp_path / "in.spacy", tmp_path / split / name
            run_verb("convert", "typed", source, folder)
    entry = {"PER": {"name": "person", "definitions": ["a human being"]}}
    entry["LOC"] = {"name": "place", "definitions": ["a spot on Earth", "where one is"]}
    (tmp_path / "types.json").write_text(json.dumps(entry), "utf-8")

    given = (zeroshot, tmp_path / "out", CONFIGS / "zeroshot.cfg", tmp_path / "train")
    given = (*given, tmp_path / "dev", zeroshot, tmp_path / "types.json")
    given = ("leave-out", "types", *given)
    options = ("--cache", tmp_path / "cache", "--steps", 2)
    error = error_of(*given, "two,three", *options)
    assert "one, two." in error and error.endswith("not all, instead of three.")
    assert "not all, instead of one,two" in error_of(*given, "one,two", *options)
    asked = []
    choose = left_out.choose_type_threshold
    monkeypatch.setattr(
        left_out,
        "choose_type_threshold",
        lambda nlp, *others: asked.append((nlp, *others)) or choose(nlp, *others),
    )
    printed = run_verb(*given, "two", *options).output
    ((student, sets, dev, _),) = asked
    assert set(student.get_pipe("tommer_zeroshot").labels) == {"PER", "LOC"}
    assert list(sets) == ["two"] and dev == tmp_path / "dev"
    seen = [path.name for path in (tmp_path / "out_left_out/rest").iterdir()]
    assert seen == ["one"]
    line = next(x for x in printed.splitlines() if "threshold = " in x)
    assert "'two'" in line and "'one'" not in line
    pipe = spacy.load(tmp_path / "out").get_pipe("tommer_zeroshot")
    assert f"threshold = {round(pipe.threshold, 3)}:" in line
    assert pipe.labels == ("thing",)
    types = read_types(tmp_path / "types.json")
    found = left_out.labels_of(tmp_path / "train/one", types)
    assert found == {"LOC": "place, a spot on Earth", "PER": "person, a human being"}


def test_the_training_types_are_those_of_a_file_and_of_openmentions(tmp_path):
    output = tmp_path / "types.json"
    printed = run_verb("convert", "types", TYPES / "mix.json", output).output
    types = read_types(output)
    assert f"{len(types):,} types" in printed and len(types) > 7000
    assert types["VEH"].name == types["vehicle"].name == "vehicle"
    assert types["guitarist"].broader[-1] == "person"


@pytest.mark.parametrize(
    "given, wrong", [([1], "no JSON object"), ({"PER": {}}, "'PER' lacks its \"name\"")]
)
def test_wrong_types_of_a_file_are_no_traceback(tmp_path, given, wrong):
    srsly.write_json(tmp_path / "given.json", given)
    output = tmp_path / "types.json"
    assert wrong in error_of("convert", "types", tmp_path / "given.json", output)
    assert not output.exists()


def test_an_exported_head_is_found_by_its_backbone(
    zeroshot, make_nlp, tmp_path, monkeypatch
):
    (tmp_path / "models/tiny").mkdir(parents=True)
    for module in (shipping, shipped):
        monkeypatch.setattr(module, "MODELS", tmp_path / "models")
    nlp = spacy.load(zeroshot)
    nlp.get_pipe("tommer_zeroshot").threshold = 0.25
    nlp.to_disk(zeroshot)
    run_verb("export", "types", zeroshot, "tiny", "--command", "make it")
    nlp.get_pipe("tommer_zeroshot").threshold = None
    nlp.to_disk(tmp_path / "without")
    error = error_of("export", "types", tmp_path / "without", "tiny")
    assert "python -m reproduction thresholds types" in error
    card = (tmp_path / "models/tiny/types.md").read_text("utf-8")
    assert "| threshold | 0.25;" in card and "`make it`" in card

    trained = spacy.load(zeroshot).get_pipe("tommer_zeroshot").model.shims[0]._model
    nlp = make_nlp("bert")
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"]})
    doc = nlp.get_pipe("transformer")(nlp.make_doc(TEXTS[0]))
    doc.spans["mentions"] = [doc[0:1], doc[4:5]]
    pipe(doc)
    weights = pipe.model.shims[0]._model.state_dict()
    for name, value in trained.state_dict().items():
        assert torch.allclose(weights[name], value, atol=1e-3, rtol=1e-3)
    scores = pipe.predict([doc])[1][:, 0]
    found = [span.text for span in doc.spans["entities"]]
    expected = [(0, "Ada"), (1, "Rome")]
    assert found == [text for i, text in expected if scores[i] > logit(0.25)]

    # The head's block need not be the one that tommer reads.
    both = make_nlp("bert", layers=(1, 2))
    pipe = both.add_pipe("tommer_zeroshot", config={"labels": ["thing"]})
    doc = both.get_pipe("transformer")(both.make_doc(TEXTS[0]))
    doc.spans["mentions"] = [doc[0:1], doc[4:5]]
    assert pipe.predict([doc])[1][:, 0] == pytest.approx(scores, rel=1e-4)
    assert pipe.model.attrs["layer"] == pipe.model.attrs["definition_layer"] == 1
    both.to_disk(tmp_path / "both")
    again = spacy.load(tmp_path / "both").get_pipe("tommer_zeroshot")
    assert again.model.attrs["layer"] == 1
    last = make_nlp("bert", layers=(1, 2))
    config = {"model": {"layer": 2, "definition_layer": 2}, "labels": ["thing"]}
    pipe = last.add_pipe("tommer_zeroshot", config=config)
    with pytest.raises(ValueError, match="block 2, passes 1, definitions at block 2"):
        pipe.ensure_head()

    other = make_nlp("llama")
    other.add_pipe("tommer_zeroshot", config={"labels": ["thing"]})
    doc = other.get_pipe("transformer")(other.make_doc(TEXTS[0]))
    doc.spans["mentions"] = [doc[0:1]]
    with pytest.raises(ValueError, match=r"none of the shipped ones \(tiny\)"):
        other.get_pipe("tommer_zeroshot")(doc)


def test_every_shipped_model_has_a_head_for_types_at_a_block_that_it_writes():
    assert shipped.shipped_types() == shipped_models()
    for name in shipped_models():
        _, mentions = read_shipped(name)
        data = (shipped.MODELS / name / shipped.FILE).read_bytes()
        head, metadata = read_type_head(data, name)
        assert metadata["sha256"] == mentions["sha256"]
        assert metadata["passes"] == mentions.get("passes", "1")
        config = Config().from_disk(shipped.MODELS / name / "config.cfg")
        layers = config["components"]["transformer"]["model"]["layers"]
        assert metadata["layer"] == metadata["definition_layer"]
        assert int(metadata["layer"]) in layers and int(mentions["layer"]) == layers[-1]
        assert 0 < float(metadata["threshold"]) < 1
        assert head.centre.any() and (head.scale > 0).all() and head.scale.isfinite().all()
        size = sum(weights.numel() for weights in head.parameters())
        card = (shipped.MODELS / name / "types.md").read_text("utf-8")
        assert f"{size:,} parameters" in card and metadata["sha256"] in card
        assert f"| threshold | {metadata['threshold']};" in card


@pytest.mark.parametrize(
    "name, start",
    [
        pytest.param("minilm", "", marks=needs_minilm),
        pytest.param("minilm-types", "", marks=needs_minilm),
        # The first state of a causal model is unlike all others, and is typed badly.
        pytest.param("smollm2", "Yesterday ", marks=needs_smollm2),
    ],
)
def test_shipped_heads_type_mentions(name, start):
    text = f"{start}Angela Merkel met the mayor of Paris."
    nlp = spacy_tommer.load(name)
    labels = {"person": "a human being", "city": "a large town where many people live"}
    nlp.add_pipe("tommer_zeroshot", config={"labels": labels})
    doc = nlp(text)
    assert ("Angela Merkel", "person") in [(ent.text, ent.label_) for ent in doc.ents]
    assert ("Paris", "city") in [(ent.text, ent.label_) for ent in doc.ents]
    nlp.get_pipe("tommer_zeroshot").initialize(lambda: [], nlp=nlp)
    again = nlp(text)
    assert [(ent.text, ent.label_) for ent in again.ents] == [
        (ent.text, ent.label_) for ent in doc.ents
    ]


def test_what_commands_depend_on_is_a_list_of_paths():
    # confection joins variables that follow each other in a list
    raw = srsly.read_yaml(ROOT / "project.yml")["commands"]
    loaded = load_project_config(ROOT)["commands"]
    for written, read_back in zip(raw, loaded, strict=True):
        for key in ("script", "deps", "outputs"):
            paths = read_back.get(key, [])
            assert len(paths) == len(written.get(key, [])), written["name"]
            assert not any("${" in path for path in paths)


def test_the_definitions_that_come_with_the_project_are_whole():
    for labels in json.loads((TYPES / "crossner.json").read_text("utf-8")).values():
        assert all(definition.strip() for definition in labels.values())
    for name in ("mix.json", "pile_ner.json"):
        for entry in json.loads((TYPES / name).read_text("utf-8")).values():
            assert entry["name"] and len(set(entry["definitions"])) >= 2
