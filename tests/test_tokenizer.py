"""The tokenizer for texts in any language."""

import pytest
import spacy

import spacy_tommer

TOKENIZER = {"nlp": {"tokenizer": {"@tokenizers": "spacy_tommer.AnyScript.v1"}}}


def words(text: str, lang: str = "xx") -> list[str]:
    doc = spacy.blank(lang, config=TOKENIZER)(text)
    assert doc.text == text
    return [token.text for token in doc]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("北京2024年成立。", ["北", "京", "2024", "年", "成", "立", "。"]),
        ("他在（Apple），", ["他", "在", "（", "Apple", "）", "，"]),
        ("東京タワーへ", ["東", "京", "タ", "ワ", "ー", "へ"]),
        ("\u304b\u3099", ["\u304b\u3099"]),  # a kana and its mark of voice
        ("เมืองไทย", ["เ", "มื", "อ", "ง", "ไ", "ท", "ย"]),
        ("ရန်ကုန်မြို့", ["ရ", "န်", "ကု", "န်", "မြို့"]),
        ("见t.qq.com/a的人", ["见", "t.qq.com", "/", "a", "的", "人"]),
        ("在D.C.的人", ["在", "D.C.", "的", "人"]),
        ("www.a.com/b", ["www.a.com/b"]),
        ("\U00020bb7野家", ["\U00020bb7", "野", "家"]),
    ],
)
def test_scripts_without_spaces_are_split_into_characters(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("lang", ["xx", "de", "sr", "ar", "hi"])
def test_other_scripts_are_split_as_the_language_does(lang):
    for text in ("Anna sah z.B. den 1. FC Köln (2:1).", "Ана живи у Нишу.", "في القاهرة"):
        assert words(text, lang) == [token.text for token in spacy.blank(lang)(text)]


def test_it_is_saved_with_the_pipeline(tmp_path):
    spacy.blank("xx", config=TOKENIZER).to_disk(tmp_path)
    assert [token.text for token in spacy.load(tmp_path)("北京a")] == ["北", "京", "a"]


def test_a_language_that_spacy_does_not_know():
    with pytest.raises(ValueError, match="spaCy knows no language 'qq'"):
        spacy_tommer.load("minilm", lang="qq")
