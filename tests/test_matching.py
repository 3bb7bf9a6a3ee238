"""The matching scores of appendix D, against the attention that transformers computes."""

import numpy as np
import pytest
import spacy
import torch
from conftest import TEXTS, add_backbone, make_model
from numpy.testing import assert_allclose
from spacy.training import Example
from thinc.api import fix_random_seed
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoModel

from spacy_tommer.backbone import attention as attention_module
from spacy_tommer.backbone import language_model as cut_model_module
from spacy_tommer.backbone.attention import count_heads
from spacy_tommer.backbone.model import cut_model
from spacy_tommer.backbone.states import read_attention, read_states
from spacy_tommer.backbone.windows import tokenize_windows
from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.matching import as_slot
from spacy_tommer.head.model import get_head
from spacy_tommer.training.state_cache import StateCache

READABLE = ["llama", "gpt_neox", "gpt2", "mistral", "phi", "bert", "roberta", "mpnet"]
LENGTH = 6


def size(width, kind, rank=16, layers=(), heads=(1, 1, 1)):
    matching = as_slot(kind, rank).build(width, 25, layers, heads)
    return sum(p.numel() for p in MentionHead(width, matching).parameters())


def test_parameters_on_the_shape_of_llama():
    """Llama-3.2-1B: width 2048, 32 heads of width 64, of which 4 share a key."""
    assert size(2048, "tom", rank=64) == 264_198
    assert size(2048, "lcattn", layers=range(7), heads=(32, 8, 64)) == 2_279
    assert size(2048, "ltqk", rank=16, heads=(32, 8, 64)) == 2 * 32 * 64 * 16 + 2_054


def annotated(tiny, family, text, attention, layers=(0, 2), **settings):
    nlp = spacy.blank("en")
    defaults = {"max_length": LENGTH, "window": 128, "stride": 96}
    settings = {**defaults, "attention": attention, **settings}
    add_backbone(nlp, tiny(family), layers, **settings)
    return nlp, nlp(text)


def rotated(network, layer, ids):
    """The queries and keys of a block, as the model's own formula makes them."""
    hidden = network(ids[None], output_hidden_states=True).hidden_states[layer]
    block = network.layers[layer]
    states = block.input_layernorm(hidden)
    shape = (*states.shape[:-1], -1, block.self_attn.head_dim)
    query = block.self_attn.q_proj(states).view(shape)[0]
    key = block.self_attn.k_proj(states).view(shape)[0]
    cos, sin = network.rotary_emb(hidden, torch.arange(len(ids))[None])
    return [x * cos[0, :, None] + turned(x) * sin[0, :, None] for x in (query, key)]


def turned(x):
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], dim=-1)


def last_columns(nlp, doc):
    """The column of each token's last wordpiece, from the tokenizer's offsets."""
    encoding = cut_model(nlp.get_pipe("transformer").model).tokenizer.encode(doc.text)
    ends = [end for _, end in encoding.offsets]
    columns = [len(ends) - 1 - ends[::-1].index(token.idx + len(token)) for token in doc]
    return encoding.ids, columns


@torch.no_grad()
def test_queries_and_keys_are_those_behind_the_rotation(tiny):
    nlp, doc = annotated(tiny, "llama", TEXTS[0], "queries_keys")
    ids, columns = last_columns(nlp, doc)
    network = AutoModel.from_pretrained(tiny("llama"))
    heads, key_heads, width = count_heads(network.config)
    assert (heads, key_heads, width) == (4, 2, 8) == doc._.trf_data.spec.heads
    for layer in (0, 2):
        query, key = rotated(network, layer, torch.tensor(ids))
        expected = torch.cat([query.flatten(1), key.flatten(1)], dim=1)[columns]
        read = read_attention(doc, [layer])
        assert_allclose(read.dataXd, expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", READABLE)
def test_scores_are_what_the_model_attends_with(family, tiny):
    """Their softmax over all tokens of a text of single wordpieces is the attention."""
    nlp, doc = annotated(tiny, family, "a b c d e f", "scores", layers=(0, 2))
    ids, columns = last_columns(nlp, doc)
    network = AutoModel.from_pretrained(tiny(family), attn_implementation="eager")
    if family == "mpnet":  # its bias for the distance is no part of the scores
        torch.nn.init.zeros_(network.encoder.relative_attention_bias.weight)
    output = network(torch.tensor([ids]), output_attentions=True)
    for layer in (0,) if family == "mpnet" else (0, 2):
        scores = read_attention(doc, [layer]).dataXd.reshape(len(doc), LENGTH, -1)
        attention = np.log(output.attentions[layer][0].numpy())  # (H, T, T)
        for end in range(len(doc)):
            for back in range(LENGTH):
                if back > end:
                    assert (scores[end, back] == 0).all()
                    continue
                # Logarithms of a softmax, up to what is the same for a whole row.
                expected = attention[:, columns[end], columns[end - back]]
                base = attention[:, columns[end], columns[end]]
                assert_allclose(
                    scores[end, back] - scores[end, 0], expected - base, atol=1e-3
                )


@pytest.mark.parametrize("family", ["llama", "mpnet"])
def test_scores_reach_into_a_windows_own_context(family, tiny):
    """A token has scores to all tokens before it, also where its window is a later one."""
    text = " ".join(TEXTS)
    _, doc = annotated(tiny, family, text, "scores", window=16, stride=8)
    assert len(doc) > 24
    scores = read_attention(doc, [0]).dataXd.reshape(len(doc), LENGTH, -1)
    for end in range(len(doc)):
        reached = (np.abs(scores[end]) > 0).all(-1)
        assert reached.tolist() == [back <= end for back in range(LENGTH)]


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "gpt_neox", "bert", "mpnet"])
def test_attention_does_not_depend_on_the_batch(family, tiny):
    for attention in ("queries_keys", "scores"):
        nlp, alone = annotated(tiny, family, TEXTS[2], attention)
        docs = list(nlp.pipe([*TEXTS, "", "a " * 70]))
        one, other = read_attention(alone, [0, 2]), read_attention(docs[2], [0, 2])
        assert_allclose(one.dataXd, other.dataXd, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize(
    "text, window, stride",
    [
        (" ".join(TEXTS), 16, 8),
        (" ".join(TEXTS), 12, 7),
        (f"A  B   can't\n\n \n visit  the U.S. {TEXTS[1]}   ", 20, 10),
        (f"{'Angela ' * 3}{'abcdefghijklmnopqrst ' * 10}won't  visit ", 24, 16),
        ("  \n ", 24, 16),
    ],
)
def test_steps_lead_back_to_the_units_of_a_row(family, text, window, stride, tiny):
    """Also where rows are parts of windows, and tokens have no wordpiece of their own."""
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny(family))
    cut = cut_model(nlp.get_pipe("transformer").model)
    doc = nlp.make_doc(text)
    pieces = tokenize_windows(cut.tokenizer, [doc], window, stride, cut.overlap)
    rows = []
    for first in range(0, max(len(doc) - window + stride, 1), stride):
        part = doc[first : first + window]
        encoding = cut.tokenizer.encode(part.text)
        for one in [encoding, *encoding.overflowing]:
            places = [(a + part.start_char, b + part.start_char) for a, b in one.offsets]
            rows.append((first, places))
    steps = pieces.steps_back(np.arange(len(pieces.row)), LENGTH)
    ends = np.cumsum(pieces.align[0].lengths)
    seen = set()
    for token in reversed(doc):
        if token.is_space or not pieces.align[0].lengths[token.i]:
            continue
        piece = pieces.align[0].dataXd[ends[token.i] - 1]
        first, places = rows[pieces.row[piece]]
        if piece in seen:  # stands for a later token, too
            continue
        seen.add(piece)
        column = pieces.column[piece]
        units = [unit_of(doc[i], places) for i in range(token.i, first - 1, -1)]
        expected = [column - unit for unit in units if unit is not None][:LENGTH]
        expected += [-1] * (LENGTH - len(expected))
        assert steps[piece].tolist() == expected


def unit_of(token, places):
    """The column of the last wordpiece of a token, or of the first that covers it."""
    end = token.idx + len(token)
    own = [i for i, (a, b) in enumerate(places) if a < b and token.idx < b <= end]
    cover = [i for i, (a, b) in enumerate(places) if a <= token.idx < b]
    return own[-1] if own else next(iter(cover), None)


@torch.no_grad()
def test_a_sliding_window_stays(tmp_path):
    """Where the model's own attention has a mask that matters."""
    folder = str(make_model(tmp_path / "mistral", "mistral", sliding_window=5))
    texts = [*TEXTS, "a " * 40]
    read = []
    for attention in ("scores", None):
        nlp = spacy.blank("en")
        add_backbone(nlp, folder, (2,), attention=attention)
        read.append([read_states(doc).dataXd for doc in nlp.pipe(texts)])
    for one, other in zip(*read):
        assert_allclose(one, other, atol=1e-4)


def test_nothing_is_left_of_a_pass_that_fails(tiny, monkeypatch):
    nlp, _ = annotated(tiny, "llama", TEXTS[0], "scores")
    network = cut_model(nlp.get_pipe("transformer").model).network
    monkeypatch.setattr(cut_model_module, "attention_rows", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nlp(TEXTS[1])
    assert not attention_module.LISTENERS
    assert network.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("matching, unit", [("ltqk", "piece"), ("lcattn", "token")])
def test_variants_in_a_stream(matching, unit, tiny):
    attention = {"ltqk": "queries_keys", "lcattn": "scores"}[matching]
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("llama"), (1,), attention=attention)
    settings = {"rank": 8, "matching": matching, "unit": unit}
    nlp.add_pipe("tommer", config={"model": settings, "threshold": 0.3})
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    fix_random_seed(0)
    nlp.initialize(lambda: [gold(nlp)])
    texts = ["", " \n ", *TEXTS, " "]
    alone = [scores_of(nlp(text)) for text in texts]
    assert any(alone) and not alone[0] and not alone[1]
    sourced = spacy.blank("en")
    for name in ("transformer", "tommer"):
        sourced.add_pipe(name, source=nlp)
    for docs in (nlp.pipe(texts), nlp.pipe(texts, n_process=2), sourced.pipe(texts)):
        for doc, expected in zip(docs, alone):
            assert scores_of(doc) == pytest.approx(expected, abs=1e-4)


def scores_of(doc):
    return doc.spans["mentions"].attrs["scores"]


def test_a_head_wants_the_layers_that_it_learnt_on(tiny):
    nlp, _ = annotated(tiny, "llama", TEXTS[0], "scores", max_length=25)
    nlp.add_pipe("tommer", config={"model": {"matching": "lcattn"}})
    nlp.initialize(lambda: [gold(nlp)])
    other, _ = annotated(tiny, "llama", TEXTS[0], "scores", (1, 2), max_length=25)
    other.add_pipe("tommer", source=nlp)
    with pytest.raises(ValueError, match=r"`layers = \[0, 2\]`"):
        other(TEXTS[0])


def test_a_model_without_attention_has_states(tiny):
    assert count_heads(AutoConfig.for_model("mamba")) == (1, 1, 1)
    nlp, _ = annotated(tiny, "bert", TEXTS[0], None)
    network = cut_model(nlp.get_pipe("transformer").model).network
    network.config.model_type = "roformer"  # rotates behind its linear layers
    nlp.get_pipe("transformer").model.attrs["attention"] = "scores"
    with pytest.raises(ValueError, match="cannot be read"):
        nlp(TEXTS[0])


@torch.no_grad()
def test_states_are_the_same_with_and_without_attention(tiny):
    for family in READABLE:
        _, doc = annotated(tiny, family, TEXTS[0], "scores")
        _, plain = annotated(tiny, family, TEXTS[0], None)
        assert "attention" not in plain._.trf_data.model_output
        assert_allclose(read_states(doc, 2).dataXd, read_states(plain, 2).dataXd, atol=1e-5)


@torch.no_grad()
def test_ltqk_equals_its_equation():
    """Equation 4, span by span, with two heads sharing a key."""
    torch.manual_seed(0)
    matching = as_slot("ltqk", 5).build(3, LENGTH, (), (4, 2, 8))
    vectors = torch.randn(20, 3 + 4 * 8 + 2 * 8)
    band = matching(vectors)
    queries = vectors[:, 3:35].view(20, 4, 8)
    keys = vectors[:, 35:].view(20, 2, 8)
    for end in range(20):
        for back in range(min(LENGTH, end + 1)):
            cosines = [
                normalize(queries[end, h] @ matching.query[h], dim=0)
                @ normalize(keys[end - back, h // 2] @ matching.key[h], dim=0)
                for h in range(4)
            ]
            assert_allclose(band[end, back], sum(cosines), atol=1e-5)


@torch.no_grad()
def test_lcattn_equals_its_equation():
    """Equation 5: the log-sigmoid of a weighted sum over layers and heads."""
    torch.manual_seed(0)
    matching = as_slot("lcattn", None).build(3, LENGTH, (0, 2), (4, 2, 8))
    vectors = torch.randn(20, 3 + 2 * LENGTH * 4)
    scores = vectors[:, 3:].view(20, 2, LENGTH, 4).numpy().astype("float64")
    weights = matching.weights.weight.view(2, 4).numpy()
    total = (scores * weights[:, None]).sum((1, 3)) + matching.weights.bias.item()
    assert_allclose(matching(vectors), -np.log1p(np.exp(-total)), atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "bert", "mpnet"])
@pytest.mark.parametrize("matching", ["ltqk", "lcattn"])
def test_variants_learn_and_are_saved(family, matching, tiny, tmp_path):
    attention = {"ltqk": "queries_keys", "lcattn": "scores"}[matching]
    fix_random_seed(0)
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny(family), (1, 2), attention=attention)
    settings = {"rank": 8, "matching": matching, "hidden": 0}
    nlp.add_pipe("tommer", config={"model": settings})
    examples = []
    for text in TEXTS:
        reference = nlp.make_doc(text)
        reference.spans["mentions"] = [reference[:2], reference[3:5]]
        examples.append(Example(nlp.make_doc(text), reference))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    losses = []
    for _ in range(30):
        loss = nlp.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
        losses.append(loss["tommer"])
    assert losses[-1] < 0.5 * losses[0]
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    for text in TEXTS:
        scores = [n(text).spans["mentions"].attrs["scores"] for n in (nlp, again)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5) and scores[0]
    kind = get_head(again.get_pipe("tommer").model).matching.kind
    assert kind == matching


@pytest.mark.parametrize("attention", ["queries_keys", "scores"])
def test_cached_attention_is_read_back(attention, tiny, tmp_path):
    nlp, doc = annotated(tiny, "llama", TEXTS[0], attention)
    cache = StateCache(tmp_path, nlp.get_pipe("transformer"))
    docs = [nlp.make_doc(text) for text in (TEXTS[0], "", TEXTS[1])]
    cache.attach(docs)
    fresh = read_attention(doc, [0, 2])
    kept = read_attention(docs[0], [0, 2])
    assert kept.lengths.tolist() == fresh.lengths.tolist()
    assert_allclose(kept.dataXd, fresh.dataXd, atol=0.02, rtol=2e-3)
    width = fresh.dataXd.shape[1] + 2 * 32
    units = len(docs[0]) + len(docs[2])
    stored = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    assert cache.bytes_per_unit() == 2 * width
    # Nothing grows with the square of a text.
    assert 2 * width * units < stored < 2 * width * units + 4 * (1000 + 4 * units)
    # A Doc that carries its attention is left alone; one that lacks it is not.
    assert nlp.get_pipe("transformer")(docs[0])._.trf_data is docs[0]._.trf_data


def test_errors_name_the_setting(tiny):
    with pytest.raises(ValueError, match="minus `stride` be 5 or more"):
        annotated(tiny, "llama", TEXTS[0], "scores", window=24, stride=20)
    with pytest.raises(ValueError, match="cannot be read"):
        annotated(tiny, "modernbert", TEXTS[0], "scores")
    nlp = spacy.blank("en")
    with pytest.raises(ValueError, match='unit = "token"'):
        model = {"matching": "lcattn", "unit": "piece"}
        nlp.add_pipe("tommer", config={"model": model})
    nlp, _ = annotated(tiny, "llama", TEXTS[0], None)
    nlp.add_pipe("tommer", config={"model": {"matching": "ltqk"}})
    with pytest.raises(ValueError, match='attention = "queries_keys"'):
        nlp.get_pipe("tommer").initialize(lambda: [gold(nlp)], nlp=nlp)
    nlp, _ = annotated(tiny, "llama", TEXTS[0], "scores")
    nlp.add_pipe("tommer", config={"model": {"matching": "lcattn"}})
    with pytest.raises(ValueError, match="the same `max_length`"):
        nlp.get_pipe("tommer").initialize(lambda: [gold(nlp)], nlp=nlp)


def gold(nlp):
    reference = nlp.make_doc(TEXTS[0])
    reference.spans["mentions"] = [reference[:2]]
    return Example(nlp.make_doc(TEXTS[0]), reference)
