import pytest
import spacy
from conftest import TEXTS, add_backbone
from spacy.tokens import Doc

from spacy_tommer.backbone import pipe as transformer
from spacy_tommer.backbone.pipe import batch_by_tokens
from spacy_tommer.backbone.states import read_states


def test_batches_are_bounded_in_docs_and_tokens(monkeypatch):
    monkeypatch.setattr(transformer, "BATCH_TOKENS", 10)
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, ["a"] * size) for size in (1, 2, 3, 0, 7, 30, 4, 4, 4)]
    sizes = [[len(doc) for doc in batch] for batch in batch_by_tokens(docs, 3)]
    assert sizes == [[1, 2, 3], [0, 7], [30], [4, 4], [4]]
    assert list(batch_by_tokens([], 3)) == []


def test_a_full_batch_does_not_wait_for_the_next_doc():
    vocab = spacy.blank("en").vocab
    asked = []

    def stream():
        for i in range(4):
            asked.append(i)
            yield Doc(vocab, ["a"])

    batches = batch_by_tokens(stream(), 2)
    assert len(next(batches)) == 2
    assert asked == [0, 1]


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
