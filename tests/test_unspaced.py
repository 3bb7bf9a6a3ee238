"""Wordpieces and streams of languages that put no space between words."""

import random
import shutil
from pathlib import Path

import pytest
import spacy
from conftest import TEXTS, load_whole, make_pipeline
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

import spacy_tommer
from benchmarks.stream import Folded, chunks, difference, halves
from spacy_tommer.backbone.encoding import limit_pieces
from spacy_tommer.backbone.windows import tokenize_windows
from spacy_tommer.streaming.generated_texts import GeneratedTexts

ANY_SCRIPT = {"nlp": {"tokenizer": {"@tokenizers": "spacy_tommer.AnyScript.v1"}}}


@pytest.fixture(scope="module")
def tokenizer():
    """Give a tokenizer of the kind of XLM-RoBERTa, with a few wordpieces."""
    pieces = [
        "▁",
        "北京",
        "市",
        "是",
        "首都",
        "都市",
        "▁東京",
        "在",
        "(",
        "株",
        ")",
        "A",
        "▁A",
        "s",
        "▁s",
    ]
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0)]
    vocab += [(piece, -float(len(piece) == 1)) for piece in pieces]
    made = Tokenizer(models.Unigram(vocab, unk_id=3))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def wordpieces(tokenizer, words, unit="piece", spaces=None, window=128, stride=96):
    """List the wordpieces of each token."""
    spaces = spaces or [False] * len(words)
    doc = Doc(Vocab(), words, spaces)
    overlap = limit_pieces(tokenizer, 16)
    pieces = tokenize_windows(tokenizer, [doc], window, stride, overlap, unit)
    ((_, batch, align),) = pieces.by_doc()
    rows = iter(align.dataXd.ravel().tolist())
    return [[batch.strings[0][next(rows)] for _ in range(n)] for n in align.lengths]


@pytest.mark.parametrize("unit", ["piece", "token"])
def test_tokens_share_a_wordpiece_that_covers_them(tokenizer, unit):
    found = wordpieces(tokenizer, list("北京是首都"), unit)
    assert found == [["北京"], ["北京"], ["是"], ["首都"], ["首都"]]
    # A wordpiece across a border belongs to the token that it ends in.
    found = wordpieces(tokenizer, ["在", "北京市", "首", "都市"], unit)
    assert [pieces[-1] for pieces in found] == ["在", "市", "首都", "市"]


def test_the_space_before_a_text_is_no_wordpiece_of_a_token(tokenizer):
    assert wordpieces(tokenizer, ["北", "京"]) == [["北京"], ["北京"]]
    assert wordpieces(tokenizer, ["北京", "市"]) == [["北京"], ["市"]]
    # Where it is part of a wordpiece, that belongs to a token.
    assert wordpieces(tokenizer, ["東", "京"]) == [["▁東京"], ["▁東京"]]
    # In later windows, too, and where a space stands in the text.
    words, spaces = ["北京", "市", "北", "京"], [False, True, False, False]
    expected = [["北京"], ["市"], ["北京"], ["北京"]]
    assert wordpieces(tokenizer, words, spaces=spaces) == expected
    assert wordpieces(tokenizer, words, spaces=spaces, window=2, stride=2) == expected


def test_a_space_alone_is_kept(tokenizer):
    assert wordpieces(tokenizer, ["▁"]) == [["▁"]]


def test_one_character_may_have_several_wordpieces(tokenizer):
    assert wordpieces(tokenizer, ["㈱", "A"]) == [["(", "株", ")"], ["A"]]


@pytest.mark.parametrize(
    "lang, text, words",
    [
        ("zh", "北京是首都。", ["北", "京", "是", "首", "都", "。"]),
        ("ja", "東京の首都", ["東京", "の", "首都"]),
        ("th", "เขาเดินทางไปญี่ปุ่น", ["เขา", "เดินทาง", "ไป", "ญี่ปุ่น"]),
    ],
)
def test_every_token_has_a_state(lang, text, words, tokenizer):
    for package in {"ja": ("sudachipy", "sudachidict_core"), "th": ("pythainlp",)}.get(
        lang, ()
    ):
        pytest.importorskip(package)
    doc = spacy.blank(lang)(text)
    assert [token.text for token in doc] == words and doc.text == text
    pieces = tokenize_windows(tokenizer, [doc], 128, 96, limit_pieces(tokenizer, 16))
    assert (pieces.align[0].lengths > 0).all()


@pytest.fixture(scope="module")
def encoder(tiny, tokenizer, tmp_path_factory):
    """Give the folder of a tiny encoder with this tokenizer."""
    folder = tmp_path_factory.mktemp("unspaced")
    shutil.copytree(tiny("bert"), folder, dirs_exist_ok=True)
    for path in Path(folder).glob("*token*"):
        path.unlink()
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    PreTrainedTokenizerFast(tokenizer_object=own).save_pretrained(folder)
    return folder


def blank():
    return spacy.blank("xx", config=ANY_SCRIPT)


def random_text(rng, spaces=True):
    """Mix wordpieces of several characters with marks, signs and other scripts."""
    parts = ["北京", "北京市", "首都", "都市", "東京", "（株）", "ไทย", "มื", *"在是。㈱"]
    parts += ["\u304b\u3099", "\U00020bb7"]
    others = ["A", "s", "2024-05-12", "<b>", "t.qq.com", "(", "|", "@", "\n\n", "\ufe0f"]
    if spaces:
        parts += [*others, " ", " "]
    return "".join(rng.choices(parts, k=60))


@pytest.mark.parametrize("unit", ["token", "piece"])
def test_streams_leave_the_mentions_of_the_whole_text(unit, encoder):
    nlp = make_pipeline(encoder, blank(), unit=unit, threshold=0.5, flat_threshold=0.6)
    found = 0
    for seed in range(12):
        rng = random.Random(seed)
        text = random_text(rng)
        stream, folded = spacy_tommer.stream(nlp, stride=rng.choice([1, 5, None])), Folded()
        for chunk in chunks(halves(text), rng, 9):
            folded.add(stream.push(chunk))
        folded.add(stream.close())
        assert difference(folded, nlp(text)) < 1e-4
        found += len(folded.mentions)
    assert found > 100


def test_text_without_spaces_flows_through_an_encoder(encoder):
    nlp = make_pipeline(encoder, blank(), threshold=0.5, flat_threshold=0.6)
    stream = spacy_tommer.stream(nlp, stride=1)
    session = stream.streams.texts[0].session
    text = random_text(random.Random(0), spaces=False) * 3
    events = []
    for char in text:
        events += stream.push(char)
        assert session.tokens.length < 12 and len(session.words) < 80
    assert sum(event.final for event in events) > 10
    folded = Folded()
    folded.add(events + stream.close())
    assert difference(folded, nlp(text)) < 1e-4


def test_a_causal_model_reads_text_without_spaces_at_its_end(tiny):
    """Its wordpieces depend on what follows, up to white space."""
    nlp = make_pipeline(tiny("gpt2"), blank(), threshold=0.5, flat_threshold=0.6)
    stream, folded = spacy_tommer.stream(nlp), Folded()
    for char in "北京是首都":
        assert stream.push(char) == []
    folded.add(stream.close())
    assert difference(folded, nlp("北京是首都")) < 1e-4


def test_text_without_spaces_flows_while_it_is_generated(tiny):
    """The wordpieces of a model that generates stay as they are."""
    folder = tiny("llama")
    nlp = make_pipeline(folder, blank(), threshold=0.3, flat_threshold=0.4)
    model, tokenizer = load_whole(folder)
    text = f"{TEXTS[0]} 北京市是首都在東京ไทยมื北京首都A"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    states = model.model(ids, output_hidden_states=True).hidden_states[2][0].detach()
    texts = GeneratedTexts(nlp, tokenizer, keep_states=True)
    texts.begin()
    early = []
    for i, id_ in enumerate(ids[0].tolist()):
        early += texts.feed([id_], states[i : i + 1])
    events = early + texts.finish()
    assert any(event.final and "京" in event.text for event in early)
    folded = Folded()
    folded.add(events)
    assert difference(folded, texts.doc()) < 1e-4
