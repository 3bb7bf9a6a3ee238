"""States that spacy-transformers itself gives, with its stock model."""

import numpy as np
import pytest
import spacy
from conftest import TEXTS, add_backbone
from numpy.testing import assert_allclose
from spacy.tokens import Doc

from spacy_tommer.backbone.states import own_pieces, read_states


@pytest.fixture
def stock(tiny):
    def make(family: str, window: int = 128, stride: int = 96, **transformer_config):
        nlp = spacy.blank("en")
        model = {
            "@architectures": "spacy-transformers.TransformerModel.v3",
            "name": tiny(family),
            "tokenizer_config": {"use_fast": True, "pad_token": "<pad>"},
            "transformer_config": {"use_cache": False, **transformer_config},
            "get_spans": {
                "@span_getters": "spacy-transformers.strided_spans.v1",
                "window": window,
                "stride": stride,
            },
        }
        nlp.add_pipe("transformer", config={"model": model})
        nlp.initialize()
        return nlp

    return make


def strings(doc: Doc) -> list[list[str]]:
    """The own wordpieces of each token."""
    data = doc._.trf_data
    flat = [piece for row in data.wordpieces.strings for piece in row]
    pieces = own_pieces(data)
    rows = np.split(pieces.dataXd, np.cumsum(pieces.lengths)[:-1])
    return [[flat[i].strip("Ġ▁#") for i in row] for row in rows]


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "roberta", "bert"])
def test_own_pieces_are_those_of_the_token(family, stock):
    doc = stock(family)("Barack Obama lives in New York")
    assert ["".join(pieces).lower() for pieces in strings(doc)] == [
        token.lower_ for token in doc
    ]


@pytest.mark.parametrize("family", ["gpt2", "mistral", "bert"])
def test_stock_and_own_backbone_give_the_same_states(family, stock, tiny):
    ours = spacy.blank("en")
    add_backbone(ours, tiny(family), (0, 1), window=9, stride=9)
    theirs = stock(family, window=9, stride=9, output_hidden_states=True)
    for text in TEXTS:
        for layer in (0, 1):
            for unit in ("token", "piece"):
                expected = read_states(ours(text), layer, unit)
                found = read_states(theirs(text), layer, unit)
                assert found.lengths.tolist() == expected.lengths.tolist()
                assert_allclose(found.dataXd, expected.dataXd, atol=1e-4)


def test_token_in_two_windows_is_read_from_the_first(stock):
    doc = stock("bert", window=6, stride=4)(TEXTS[0])
    data = doc._.trf_data
    width = data.model_output.last_hidden_state.shape[1]
    rows = own_pieces(data)
    windows = rows.dataXd[np.cumsum(rows.lengths) - 1] // width
    starts = range(0, len(doc), 4)
    first = [next(i for i, s in enumerate(starts) if s <= t < s + 6) for t in range(14)]
    assert windows.tolist() == first[: len(doc)]


@pytest.mark.parametrize("family", ["bert", "gpt2", "mistral"])
def test_white_space_zero_width_and_empty(family, stock, tiny):
    ours = spacy.blank("en")
    add_backbone(ours, tiny(family), (2,))
    for nlp in (stock(family), ours):
        for text in ["", " ", "\n\n", "\u200b", "a  b\n\nc", "x \u200d y", "\ufeff"]:
            doc = nlp(text)
            tokens = read_states(doc)
            pieces = read_states(doc, unit="piece")
            assert len(tokens.lengths) == len(pieces.lengths) == len(doc)
            assert len(tokens.dataXd) == (pieces.lengths > 0).sum()
            letters = [t for t in doc if t.text.isalpha()]
            assert all(pieces.lengths[token.i] for token in letters)


def test_tokens_without_letters_have_no_state_in_bert(tiny):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"), (1,))
    doc = nlp("New \n York \u200b City")
    assert [token.text for token in doc] == ["New", "\n ", "York", "\u200b", "City"]
    states = read_states(doc)
    assert states.lengths.tolist() == [1, 0, 1, 0, 1]
    assert_allclose(states.dataXd, read_states(nlp("New York City")).dataXd, atol=1e-5)


def test_special_tokens_in_the_text_are_text(tiny):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"), (1,))
    doc = Doc(nlp.vocab, ["a", "<s>", "</s>", "<pad>", "b"])
    nlp.get_pipe("transformer")(doc)
    assert read_states(doc).lengths.tolist() == [1, 1, 1, 1, 1]


def test_layers_of_the_stock_model(stock):
    doc = stock("llama")(TEXTS[0])
    with pytest.raises(ValueError, match="output_hidden_states"):
        read_states(doc, 1)
    doc = stock("llama", output_hidden_states=True)(TEXTS[0])
    with pytest.raises(ValueError, match="blocks 0 to 1"):
        read_states(doc, 2)  # behind the final norm


def test_states_go_through_bytes(tiny):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"), (0, 1))
    doc = nlp(TEXTS[0])
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    for unit in ("token", "piece"):
        expected, found = read_states(doc, unit=unit), read_states(again, unit=unit)
        assert_allclose(found.dataXd, expected.dataXd)
        assert found.lengths.tolist() == expected.lengths.tolist()
