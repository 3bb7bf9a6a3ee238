"""Pipelines that are loaded with settings, and components that join a pipeline."""

import pytest
import spacy
from conftest import needs_minilm
from spacy.language import Language

import spacy_tommer

TEXT = "Tara Quill lives in Dublin. She works for Harbour Foods."


@Language.component("reads_states")
def reads_states(doc):
    doc.user_data["states"] = doc._.trf_data is not None
    return doc


@pytest.fixture(scope="module")
def minilm():
    return spacy_tommer.load("minilm")


@needs_minilm
def test_vectors_and_parts_of_a_doc_work_after_the_cleaner():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("tok2vec")
    nlp.initialize()
    before = nlp(TEXT)
    assert spacy_tommer.add(nlp, "minilm") is nlp
    doc = nlp(TEXT)
    assert doc._.trf_data is None
    assert (doc[0].vector == before[0].vector).all() and doc.vector.shape == (96,)
    assert [len(sent.as_doc()) for sent in doc.sents] == [len(s) for s in before.sents]


@needs_minilm
def test_joined_components_find_what_the_shipped_pipeline_finds(minilm):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Harbour"}])
    spacy_tommer.add(nlp, "minilm", after="entity_ruler")
    assert nlp.pipe_names == [
        "sentencizer",
        "entity_ruler",
        "transformer",
        "tommer",
        "tommer_cleaner",
    ]
    found, expected = nlp(TEXT), minilm(TEXT)
    assert [s.text for s in found.spans["mentions"]] == [
        s.text for s in expected.spans["mentions"]
    ]
    assert [(e.text, e.label_) for e in found.ents if e.label_ == "ORG"] == [
        ("Harbour", "ORG")
    ]
    spacy_tommer.load("minilm", exclude=["tommer"])  # leaves the joined ones alone
    assert len(nlp(TEXT).ents) == len(found.ents)


@needs_minilm
def test_a_second_tommer_is_refused():
    nlp = spacy_tommer.add(spacy.blank("en"))
    with pytest.raises(ValueError, match=r"(?s)has a tommer already.*remove_pipe"):
        spacy_tommer.add(nlp)
    with pytest.raises(ValueError, match="pipeline of spaCy"):
        spacy_tommer.add("minilm")
    for name in ("tommer", "transformer"):
        nlp.remove_pipe(name)
    assert spacy_tommer.add(nlp).pipe_names == ["transformer", "tommer", "tommer_cleaner"]


@needs_minilm
def test_states_of_another_transformer_stay_with_their_readers(tiny):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    trf = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": tiny("bert"),
        "get_spans": {"@span_getters": "spacy-transformers.doc_spans.v1"},
        "tokenizer_config": {"use_fast": True},
    }
    nlp.add_pipe("transformer", config={"model": trf})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp.add_pipe(
        "tagger",
        config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}},
    )
    with pytest.raises(ValueError, match=r"'tagger' reads.*after=\"tagger\""):
        spacy_tommer.add(nlp, after="sentencizer")
    spacy_tommer.add(nlp, after="tagger")
    assert nlp.pipe_names[-3:] == ["tommer_transformer", "tommer", "tommer_cleaner"]


def test_the_cleaner_keeps_to_the_end(make_nlp, tmp_path, examples):
    nlp = make_nlp()
    nlp.initialize(lambda: examples)
    nlp.add_pipe("tommer_cleaner", "cleaner")
    nlp.add_pipe("reads_states")
    nlp.add_pipe("sentencizer", after="cleaner")
    assert nlp.pipe_names[-3:] == ["reads_states", "sentencizer", "cleaner"]
    doc = nlp(TEXT)
    assert doc.user_data["states"] and doc._.trf_data is None
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    again.add_pipe("reads_states", "more")
    assert again.pipe_names[-2:] == ["more", "cleaner"]
    assert again.get_pipe("cleaner").name == "cleaner"
    again.rename_pipe("cleaner", "last")
    again.remove_pipe("last")
    assert again(TEXT)._.trf_data is not None


@needs_minilm
def test_load_takes_what_spacy_load_takes(minilm):
    nlp = spacy_tommer.load(
        "minilm",
        disable=["tommer_cleaner"],
        config={"components.tommer.threshold": 0.6, "nlp": {"batch_size": 7}},
    )
    assert nlp.disabled == ["tommer_cleaner"] and nlp.batch_size == 7
    assert nlp.get_pipe("tommer").threshold == pytest.approx(0.6)
    assert nlp(TEXT)._.trf_data is not None
    assert spacy_tommer.load("minilm", exclude="tommer").component_names == [
        "transformer",
        "tommer_cleaner",
    ]
    assert len(nlp(TEXT).spans["mentions"]) < len(minilm(TEXT).spans["mentions"])


@pytest.mark.parametrize("name", [None, 3, "", ["minilm"]])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match=r"name of a shipped model \(minilm, .*folder"):
        spacy_tommer.load(name)


@needs_minilm
def test_a_shipped_pipeline_says_what_it_is(minilm):
    meta = minilm.meta
    assert meta["name"] == "mentions_minilm" and meta["license"] == "Apache-2.0"
    assert meta["sources"][0]["url"].endswith("2510.19410")
    assert meta["requirements"] == [f"spacy-tommer>={spacy_tommer.__version__}"]


@needs_minilm
def test_a_transformer_of_ours_needs_no_config():
    nlp = spacy.blank("en")
    nlp.add_pipe("tommer_transformer", "transformer")
    nlp.add_pipe("tommer")
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Dublin"))
    assert doc._.trf_data.spec.layers == (2,)
