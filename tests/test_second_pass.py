"""Windows that are fed twice, against rows built here and given to transformers."""

import numpy as np
import pytest
import spacy
import torch
from conftest import POSITIONS, TEXTS, add_backbone, make_model
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from test_matching import last_columns, rotated
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoTokenizer

from spacy_tommer.backbone.model import Backbone, cut_model
from spacy_tommer.backbone.passes import Frame
from spacy_tommer.backbone.states import read_attention, read_states
from spacy_tommer.training.state_cache import StateCache

# What stands before, between and behind the texts. BERT's words leave out a line break.
FRAMES = {
    "llama": ("<s>", "\n", ""),
    "mistral": ("<s>", "\n", ""),
    "gpt2": ("", "\n", ""),
    "bert": ("<s>", "", "</s>"),
}


def twice(folder, text, frame):
    """The ids of a row, and the columns of the second copy."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prefix, separator, suffix, once = (
        tokenizer.encode(part, add_special_tokens=False) for part in (*frame, text)
    )
    ids = [*prefix, *once, *separator, *once, *suffix]
    end = len(ids) - len(suffix)
    return torch.tensor([ids]), slice(end - len(once), end)


def direct(folder, text, frame, layer):
    """The states of the second copy, by transformers, of a model with more blocks."""
    ids, second = twice(folder, text, frame)
    network = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        hidden = network(ids, output_hidden_states=True).hidden_states
    return hidden[layer + 1][0, second]


def annotate(folder, texts, **settings):
    nlp = spacy.blank("en")
    settings = {"layers": (0, 1), "passes": 2, **settings}
    add_backbone(nlp, str(folder), **settings)
    return nlp, list(nlp.pipe(texts))


@pytest.mark.parametrize("family", FRAMES)
@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2][:-1], "a"])
def test_states_are_those_of_the_second_copy(family, text, tiny):
    folder = tiny(family)
    for layers in ((0,), (0, 1)):
        _, (doc,) = annotate(folder, [text], layers=layers)
        for layer in layers:
            expected = direct(folder, text, FRAMES[family], layer)
            assert_allclose(read_states(doc, layer, "piece").dataXd, expected, atol=1e-4)


def save_templates(folder, single, pair):
    path = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.post_processor = TemplateProcessing(
        single=single, pair=pair, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(path)
    return tokenizer


def test_a_pair_template_gives_the_separator(tmp_path):
    folder = make_model(tmp_path, "bert")
    tokenizer = save_templates(folder, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    assert Frame.of(tokenizer) == Frame(1, 1, [2, 2], ["</s>", "</s>"])
    _, (doc,) = annotate(folder, TEXTS[:1])
    expected = direct(folder, TEXTS[0], ("<s>", "</s></s>", "</s>"), 1)
    assert_allclose(read_states(doc, 1, "piece").dataXd, expected, atol=1e-4)


def test_what_begins_a_text_is_no_separator(tmp_path):
    """Llama's tokenizer puts the same token before both texts of a pair."""
    tokenizer = save_templates(make_model(tmp_path, "llama"), "<s> $A", "<s> $A <s> $B")
    assert Frame.of(tokenizer).strings == ["Ċ"]


@pytest.mark.parametrize("family, line", [("gpt2", "Ċ"), ("bert", None)])
def test_copies_are_set_apart_by_a_line_break(family, line, tiny):
    frame = Frame.of(AutoTokenizer.from_pretrained(tiny(family)).backend_tokenizer)
    assert frame.strings == ([] if line is None else [line])
    assert frame.prefix == frame.suffix == (0 if family == "gpt2" else 1)


def test_wordpieces_are_those_of_the_text(tiny):
    read = [annotate(tiny("gpt2"), TEXTS, passes=passes)[1] for passes in (1, 2)]
    for once, both in zip(*read):
        for name in ("strings", "input_ids", "lengths"):
            first, second = (
                getattr(doc._.trf_data.wordpieces, name) for doc in (once, both)
            )
            assert np.array_equal(first, second)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_first_token_sees_the_text_behind_it(family, passes, tiny):
    texts = ["Paris met Angela Merkel", "Paris lives in New York"]
    _, docs = annotate(tiny(family), texts, passes=passes)
    one, other = (read_states(doc, 1).dataXd[0] for doc in docs)
    assert np.allclose(one, other, atol=1e-4) == (passes == 1)


@pytest.mark.parametrize("family", FRAMES)
def test_states_are_the_same_alone_and_in_a_batch(family, tiny):
    texts = ["Hi", *TEXTS, "", " ".join(TEXTS), " \n "]
    nlp, docs = annotate(tiny(family), texts)
    for doc in docs:
        for layer in (0, 1):
            alone = read_states(nlp(doc.text), layer, "piece")
            together = read_states(doc, layer, "piece")
            assert alone.lengths.tolist() == together.lengths.tolist()
            assert_allclose(alone.dataXd, together.dataXd, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "bert", "roberta", "mistral"])
def test_rows_stay_within_the_positions(family, tiny):
    nlp = spacy.blank("en")
    words = ["the", "x" * 1000, *["Yorkwonmayor"] * 40]
    doc = Doc(nlp.vocab, words)
    model = Backbone(tiny(family), [1], passes=2)
    (doc._.trf_data,) = model.predict([doc]).doc_data
    assert read_states(doc).lengths.tolist() == [1] * len(words)
    pieces = cut_model(model).tokenize([doc], 128, 96)
    assert len(pieces.row_bounds) > 2
    assert np.diff(pieces.row_bounds).max() <= POSITIONS
    single = Backbone(tiny(family), [1])
    (doc._.trf_data,) = single.predict([doc]).doc_data
    expected = cut_model(single).tokenize([doc], 128, 96)
    assert np.array_equal(pieces.align[0].dataXd, expected.align[0].dataXd)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_each_window_is_fed_twice(family, tiny):
    settings = {"window": 8, "stride": 5, "attention": "scores", "max_length": 4}
    nlp, (doc,) = annotate(tiny(family), [" ".join(TEXTS)], **settings)
    assert len(read_states(doc, 1).dataXd) == len(doc)
    for first in range(0, len(doc) - 3, 5):
        window = nlp(doc[first : first + 8].text)
        new = 0 if first == 0 else 3
        for read in (lambda one: read_states(one, 1), lambda one: read_attention(one, [1])):
            alone, together = read(window).dataXd, read(doc).dataXd
            assert_allclose(alone[new:], together[first + new : first + 8], atol=1e-4)


def test_passes_are_saved(tiny, tmp_path):
    nlp, (doc,) = annotate(tiny("llama"), TEXTS[:1])
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    again = loaded(TEXTS[0])
    assert loaded.config["components"]["transformer"]["model"]["passes"] == 2
    assert again._.trf_data.spec.passes == 2
    for layer in (0, 1):
        states = (read_states(one, layer).dataXd for one in (doc, again))
        assert np.array_equal(*states)


def test_a_doc_read_once_is_read_anew(tiny):
    _, (doc,) = annotate(tiny("gpt2"), TEXTS[:1], passes=1)
    once = doc._.trf_data
    nlp, (expected,) = annotate(tiny("gpt2"), TEXTS[:1])
    transformer = nlp.get_pipe("transformer")
    data = transformer(doc)._.trf_data
    assert (once.spec.passes, data.spec.passes) == (1, 2)
    assert_allclose(read_states(doc).dataXd, read_states(expected).dataXd, atol=1e-5)
    assert transformer(doc)._.trf_data is data


def test_cached_states_are_those_of_their_passes(tiny, tmp_path):
    caches = []
    for passes in (1, 2):
        nlp, docs = annotate(tiny("llama"), [*TEXTS, ""], passes=passes)
        cache = StateCache(tmp_path, nlp.get_pipe("transformer"))
        kept = [nlp.make_doc(doc.text) for doc in docs]
        cache.attach(kept)
        for doc, other in zip(docs, kept):
            for layer in (0, 1):
                states = (read_states(one, layer).dataXd for one in (other, doc))
                assert_allclose(*states, atol=2e-3, rtol=2e-3)
        caches.append(cache)
    assert caches[0].folder != caches[1].folder
    assert caches[0].spec.passes == 1


@torch.no_grad()
def test_queries_and_keys_are_those_of_the_second_copy(tiny):
    folder = tiny("llama")
    nlp, (doc,) = annotate(folder, TEXTS[:1], attention="queries_keys")
    ids, second = twice(folder, TEXTS[0], FRAMES["llama"])
    _, columns = last_columns(nlp, doc)
    network = AutoModel.from_pretrained(folder)
    for layer in (0, 1):
        both = torch.cat([x.flatten(1) for x in rotated(network, layer, ids[0])], dim=1)
        expected = both[second][torch.tensor(columns) - 1]
        assert_allclose(read_attention(doc, [layer]).dataXd, expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_scores_are_what_the_second_copy_attends_with(family, tiny):
    """Their softmax over a whole row is the attention; doubles keep its logarithm."""
    folder, text, length = tiny(family), "a b c d e f", 4
    settings = {"attention": "scores", "max_length": length}
    nlp, (doc,) = annotate(folder, [text], **settings)
    ids, second = twice(folder, text, FRAMES[family])
    prefix = len(FRAMES[family][0]) > 0
    columns = [second.start - prefix + column for column in last_columns(nlp, doc)[1]]
    network = AutoModel.from_pretrained(folder, attn_implementation="eager").double()
    attentions = network(ids, output_attentions=True).attentions
    for layer in (0, 1):
        scores = read_attention(doc, [layer]).dataXd.reshape(len(doc), length, -1)
        attention = attentions[layer][0].log().numpy()  # (H, T, T)
        for end, column in enumerate(columns):
            assert (scores[end, end + 1 :] == 0).all()
            for back in range(min(length, end + 1)):
                expected = attention[:, column, [columns[end - back], column]]
                found = scores[end, back] - scores[end, 0]
                assert_allclose(found, expected[:, 0] - expected[:, 1], atol=1e-3)


def test_empty_docs(tiny):
    _, docs = annotate(tiny("llama"), ["", ""])
    assert [len(read_states(doc).dataXd) for doc in docs] == [0, 0]


@pytest.mark.parametrize("passes", [0, 3])
def test_other_numbers_of_passes(passes, tiny):
    with pytest.raises(ValueError, match=f"`passes` .* is {passes}, expected"):
        Backbone(tiny("llama"), [1], passes=passes)
