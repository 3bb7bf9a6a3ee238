"""The tokenizer for texts in any language."""

import random
from functools import cache

import pytest
import spacy

import spacy_tommer
from spacy_tommer.tokenizer import BETWEEN_LETTERS, splits_letters

TOKENIZER = {"nlp": {"tokenizer": {"@tokenizers": "spacy_tommer.AnyScript.v1"}}}


@cache
def blank(lang: str):
    return spacy.blank(lang, config=TOKENIZER)


def words(text: str, lang: str = "xx") -> list[str]:
    doc = blank(lang)(text)
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


@pytest.mark.parametrize("lang", ["xx", "en", "de", "th", "zh", "ko"])
def test_text_is_split_between_letters_whatever_stands_around(lang):
    nlp = blank(lang)
    assert splits_letters(nlp.tokenizer)
    unspaced = [*"日本のー。（）ไ๑฿", "มื", "မြို့", "\u304b\u3099"]
    parts = [*unspaced, *unspaced, *list(nlp.tokenizer.rules)[:9], ":)", "¯\\(ツ)/¯", "A."]
    parts += ["(╯°□°）╯", "can't", "t.qq.com/a", "2024-05-12", "km", "$5", "'s", "-", '"']
    rng, places = random.Random(0), 0
    for _ in range(300):
        text = "".join(rng.choices(parts, k=9))
        expected = words(text, lang)
        for match in BETWEEN_LETTERS.finditer(text):
            left, right = text[: match.start()], text[match.start() :]
            assert words(left, lang) + words(right, lang) == expected
            places += 1
    assert places > 200


def test_tokenizers_that_join_letters():
    assert not splits_letters(spacy.blank("xx").tokenizer)
    # Other rules of these languages join letters of any script.
    for lang in ("pt", "fr"):
        assert not splits_letters(blank(lang).tokenizer)
    nlp = spacy.blank("xx", config=TOKENIZER)
    nlp.tokenizer.add_special_case("株式会社", [{"ORTH": "株式会社"}])
    assert not splits_letters(nlp.tokenizer)


def test_it_is_saved_with_the_pipeline(tmp_path):
    spacy.blank("xx", config=TOKENIZER).to_disk(tmp_path)
    assert [token.text for token in spacy.load(tmp_path)("北京a")] == ["北", "京", "a"]


def test_a_language_that_spacy_does_not_know():
    with pytest.raises(ValueError, match="spaCy knows no language 'qq'"):
        spacy_tommer.load("minilm", lang="qq")
