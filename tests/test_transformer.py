import pytest
import spacy
from conftest import TEXTS, add_backbone
from spacy.tokens import Doc, DocBin

from spacy_tommer import transformer
from spacy_tommer.corpora.annotated import AnnotatedCorpus
from spacy_tommer.states import read_states
from spacy_tommer.transformer import batch_by_tokens


@pytest.fixture
def passes(monkeypatch):
    """Count the wordpieces that backbones compute."""
    from spacy_tommer.cut_model import CutModel

    counts = []
    states = CutModel.states

    def counted(self, pieces, layers):
        counts.append(len(pieces.row))
        return states(self, pieces, layers)

    monkeypatch.setattr(CutModel, "states", counted)
    return counts


def test_batches_are_bounded_in_docs_and_tokens(monkeypatch):
    monkeypatch.setattr(transformer, "BATCH_TOKENS", 10)
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, ["a"] * size) for size in (1, 2, 3, 0, 7, 30, 4, 4, 4)]
    sizes = [[len(doc) for doc in batch] for batch in batch_by_tokens(docs, 3)]
    assert sizes == [[1, 2, 3], [0, 7], [30], [4, 4], [4]]
    assert list(batch_by_tokens([], 3)) == []


def test_long_docs_are_not_in_memory_together(tiny, monkeypatch):
    monkeypatch.setattr(transformer, "BATCH_TOKENS", 20)
    nlp = spacy.blank("en")
    nlp.add_pipe(
        "tommer_transformer",
        name="transformer",
        config={
            "model": {
                "@architectures": "spacy_tommer.Backbone.v1",
                "name": tiny("bert"),
                "layers": [1],
            }
        },
    )
    docs = [nlp.make_doc(text) for text in TEXTS * 4]
    for i, doc in enumerate(nlp.get_pipe("transformer").pipe(iter(docs), batch_size=64)):
        assert doc is docs[i]
        states = sum(other._.trf_data is not None for other in docs)
        assert states == i + 1  # each text has more than half of 20 tokens
    other = spacy.blank("en")
    add_backbone(other, tiny("bert"))
    expected = read_states(other(TEXTS[0])).dataXd
    assert read_states(docs[0]).dataXd == pytest.approx(expected, abs=1e-5)


def test_initialization_annotates_no_more_than_a_sample(make_nlp, tmp_path, passes):
    nlp = make_nlp()
    doc = nlp.make_doc(TEXTS[0])
    doc.spans["mentions"] = [doc[0:2]]
    DocBin(docs=[doc] * 3000).to_disk(tmp_path / "train.spacy")
    nlp.initialize(lambda: AnnotatedCorpus(tmp_path / "train.spacy")(nlp))
    assert sum(passes) < 2000 * len(doc)


def test_annotated_corpus_runs_the_backbone_once(make_nlp, tmp_path, passes):
    nlp = make_nlp()
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        doc.spans["mentions"] = [doc[0:2]]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    examples = list(AnnotatedCorpus(tmp_path / "train.spacy")(nlp))
    assert [example.text for example in examples] == TEXTS
    before = [read_states(example.x).dataXd.copy() for example in examples]
    optimizer = nlp.initialize(lambda: examples)
    assert len(passes) == 1
    for _ in range(3):
        losses = nlp.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
    assert losses["tommer"] > 0
    assert len(passes) == 1
    for example, states in zip(examples, before):
        assert (read_states(example.x).dataXd == states).all()
