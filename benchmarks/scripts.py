"""Find mentions in random texts of twenty scripts, alone and in a batch, and check their
offsets.

python -m benchmarks.scripts multilingual --texts 2000
"""

import random
from typing import Annotated

import typer
from spacy.tokens import Doc

import spacy_tommer

SCRIPTS = {
    "Latin": "Zoë Łukasz Škoda naïve façade Ærø Đặng straße O'Neill e-mail 3,5 A.B.",
    "Greek": "Η Αθήνα είναι πρωτεύουσα της Ελλάδας Νίκος Καζαντζάκης",
    "Cyrillic": "Лев Толстой живёт в Ясной Поляне Београд је главни град",
    "Armenian": "Երևանը Հայաստանի մայրաքաղաքն է",
    "Georgian": "თბილისი საქართველოს დედაქალაქია",
    "Hebrew": "ירושלים היא בירת ישראל דוד בן־גוריון",
    "Arabic": "القاهرة هي عاصمة مصر نجيب محفوظ وبيروت، ٢٠٢٤",
    "Devanagari": "दिल्ली भारत की राजधानी है। महात्मा गांधी क्षत्रिय",
    "Bengali": "ঢাকা বাংলাদেশের রাজধানী রবীন্দ্রনাথ ঠাকুর",
    "Gurmukhi": "ਅੰਮ੍ਰਿਤਸਰ ਪੰਜਾਬ ਦਾ ਸ਼ਹਿਰ ਹੈ",
    "Gujarati": "અમદાવાદ ગુજરાતનું શહેર છે",
    "Tamil": "சென்னை தமிழ்நாட்டின் தலைநகரம்",
    "Telugu": "హైదరాబాద్ తెలంగాణ రాజధాని",
    "Sinhala": "කොළඹ ශ්‍රී ලංකාවේ නගරයකි",
    "Thai": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย สมชายไปเชียงใหม่",
    "Burmese": "ရန်ကုန်မြို့သည် မြန်မာနိုင်ငံ၏မြို့ဖြစ်သည်",
    "Khmer": "ភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា",
    "Chinese": "北京是中国的首都，李白住在长安。𠮷野家（２０２４年）“你好”",
    "Japanese": "東京タワーは港区にあり、ガラス㈱は大阪です。ｶﾞﾗｽ",
    "Hangul": "서울은 대한민국의 수도이다 김구",
}
SIGNS = [
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\t",
    "\u3000",
    "\u00a0",
    "\u200b",
    "\u200d",
    ". ",
    ", ",
    "(",
    ")",
    "\u201c",
    "\u201d",
    "-",
    "\u0301",
    "\U0001f600",
    "\U0001f1e9\U0001f1ea",
    "1",
]


def random_text(rng: random.Random, script: str) -> str:
    """Mix pieces of a script, cut anywhere, with signs and with another script."""
    other = rng.choice(list(SCRIPTS.values()))
    parts = []
    for _ in range(rng.randint(1, 25)):
        source = SCRIPTS[script] if rng.random() < 0.85 else other
        start = rng.randrange(len(source))
        parts += [source[start : start + rng.randint(1, 20)], rng.choice(SIGNS)]
    return "".join(parts)


def mentions(doc: Doc) -> list[tuple[int, int, str]]:
    """List the mentions of a Doc. AssertionError is raised for wrong offsets."""
    found = []
    for span in doc.spans["mentions"]:
        start, end = span.start_char, span.end_char
        assert 0 <= start < end <= len(doc.text) and doc.text[start:end] == span.text
        assert span.text == span.text.strip()
        found.append((start, end, span.label_))
    places = {(start, end) for start, end, _ in found}
    ends = [ent.end_char for ent in doc.ents]
    assert all(a <= b.start_char for a, b in zip(ends, doc.ents[1:]))
    assert {(ent.start_char, ent.end_char) for ent in doc.ents} <= places or not doc.ents
    return found


def main(
    model: Annotated[str, typer.Argument(help="A shipped model.")] = "multilingual",
    texts: Annotated[int, typer.Option(help="How many texts.")] = 2000,
    seed: int = 0,
) -> None:
    """Compare each text alone with the same text in a batch."""
    nlp, rng = spacy_tommer.load(model), random.Random(seed)
    scripts = list(SCRIPTS)
    made = [random_text(rng, scripts[i % len(scripts)]) for i in range(texts)]
    together = list(nlp.pipe(made))
    found, differ, difference = 0, 0, 0.0
    for text, doc in zip(made, together):
        assert doc.text == text
        alone = nlp(text)
        same = mentions(alone) == mentions(doc)
        differ += not same
        found += len(doc.spans["mentions"])
        if same:
            scores = (one.spans["mentions"].attrs["scores"] for one in (alone, doc))
            gaps = [abs(a - b) for a, b in zip(*scores)]
            difference = max([difference, *gaps])
    print(
        f"{model}: {texts} texts of {len(scripts)} scripts, {found} mentions, exact; "
        f"{differ} texts have other mentions in a batch than alone, and scores differ by "
        f"{difference:.1g} at most"
    )


if __name__ == "__main__":
    typer.run(main)
