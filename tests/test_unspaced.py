"""Wordpieces of languages that put no space between words."""

import pytest
import spacy
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from spacy_tommer.backbone.encoding import limit_pieces
from spacy_tommer.backbone.windows import tokenize_windows


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
