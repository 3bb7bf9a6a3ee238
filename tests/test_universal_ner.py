"""Treebanks of Universal NER: their text and gold, and how they are converted."""

import pytest
import spacy
from conftest import SHARED, needs_shared
from run_verb import error_of, run_verb
from spacy.tokens import DocBin

from reproduction.corpora.report import Report
from reproduction.corpora.sets import language_of, read_set
from reproduction.corpora.tags import REPAIRED
from reproduction.corpora.universal_ner import find_spaces, read_universal_ner

DANISH = """\
# sent_id = 1
# text = Bo bor i Århus (DK).
1	Bo	B-PER	B-PER#O	s
2	bor	O	O#O	s
3	i	O	O#O	s
4	Århus	B-LOC	B-LOC#O	s
5	(	O	O#O	s
6	DK	B-LOC	B-LOC#O	s
7	)	O	O#O	s
8	.	O	O#O	s

# sent_id = 2
# text = # 1 er her
1	#	O	O#O	s
2	1	O	O#O	s
3	er	O	O#O	s
4	her	O	O#O	s
"""
CHINESE = """\
# newdoc id = batch-1
# text = 王小明在IBM上海工作。
1	王	B-PER	-	-
2	小明	I-PER	-	-
3	在	O	-	-
4	IBM	B-ORG	-	-
5	上海	B-LOC	-	-
6	工作	O	-	-
7	。	O	-	-

# text = 他喜欢New York。
1	他	O	-	-
2	喜欢	O	-	-
3	New	B-LOC	-	-
4	York	I-LOC	-	-
5	。	O	-	-
"""
SERBIAN = """\
# newdoc id =set.sr.2
# url = NA
# text = Kazna u Makedoniji
1	Kazna	O	O	-
2	u	O	O	-
3	Makedoniji	B-LOC	B-LOC	-

# text = Ana ide.
1	Ana	B-PER	O	-
2	ide	O	O	-
3	.	O	O	-

# newdoc id =set.sr.3
# text = Ništa.
1	Ništa	O	O	-
2	.	O	O	-
"""


def write(folder, treebank, part, text):
    path = folder / "languages" / treebank / f"{treebank}-ud-{part}.iob2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def read(path, lang="xx", **settings):
    report = Report()
    return list(read_universal_ner(path, spacy.blank(lang), report, **settings)), report


def mentions(doc):
    return [(span.text, span.label_) for span in doc.spans["mentions"]]


def test_texts_are_those_of_the_file(tmp_path):
    docs, report = read(write(tmp_path, "da_ddt", "train", DANISH))
    assert [doc.text for doc in docs] == ["Bo bor i Århus (DK).", "# 1 er her"]
    assert mentions(docs[0]) == [("Bo", "PER"), ("Århus", "LOC"), ("DK", "LOC")]
    assert len(docs[0]) == 8 and not docs[1].spans["mentions"]
    assert not report.counts
    docs, report = read(write(tmp_path, "zh_gsdsimp", "train", CHINESE))
    assert [doc.text for doc in docs] == ["王小明在IBM上海工作。", "他喜欢New York。"]
    assert mentions(docs[0]) == [("王小明", "PER"), ("IBM", "ORG"), ("上海", "LOC")]
    assert mentions(docs[1]) == [("New York", "LOC")]
    assert not report.counts


def test_documents(tmp_path):
    path = write(tmp_path, "sr_set", "train", SERBIAN)
    docs, _ = read(path)
    names = [doc.user_data["document"] for doc in docs]
    assert names[0] == names[1] != names[2]
    docs, _ = read(path, documents=False)
    assert all("document" not in doc.user_data for doc in docs)
    write(tmp_path, "zh_gsdsimp", "train", CHINESE)
    (doc, *_) = read_set(tmp_path, "uner_zh", spacy.blank("zh"))
    assert "document" not in doc.user_data


def test_broken_sentences(tmp_path, capsys):
    text = "# text = Ab\n1\tA\tB-PER\t-\t-\n2\tB\tO\t-\t-\n"
    text += "\n1\tC\tO\n2\tD\tB-LOC\n\n1\tE\n\n1\tF\tX-Y\n"
    docs, report = read(write(tmp_path, "da_ddt", "dev", text))
    assert [doc.text for doc in docs] == ["A B", "C D"]
    assert report.errors == 2 and sum(report.counts.values()) == 3
    assert "da_ddt-ud-dev.iob2:2: sentence whose tokens are not its text" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "text, words, expected",
    [
        ("a b", ["a", "b"], [True, False]),
        ("a  10 000\u00a0b ", ["a", "10 000", "b"], [True, True, True]),
        ("ab", ["a", "b"], [False, False]),
        ("a b", ["a"], None),
        ("a", ["a", "b"], None),
        ("a b", ["b", "a"], None),
        ("", [], []),
    ],
)
def test_spaces(text, words, expected):
    assert find_spaces(text, words) == expected


def docs_in(folder):
    vocab = spacy.blank("xx").vocab
    paths = sorted(folder.glob("*.spacy"))
    return [doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab)]


def test_conversion_keeps_the_parts(tmp_path):
    for part, name in (("train", "Ana"), ("dev", "Eva"), ("test", "Ivo")):
        text = (
            SERBIAN.replace("\tu\t", f"\t{name[0]}\t")
            .replace("Ana", name)
            .replace("Kazna u", f"Kazna {name[0]}")
        )
        write(tmp_path, "sr_set", part, text)
    write(tmp_path, "zh_gsdsimp", "train", CHINESE)
    write(tmp_path, "zh_gsdsimp", "dev", CHINESE.replace("上海", "北京"))
    sets = ("--sets", "uner_sr,uner_zh")
    out = run_verb("convert", "training", tmp_path, tmp_path / "out", *sets).stdout
    assert "uner_sr: 2 texts with 2 mentions to train on, 1 with 2 for validation" in out
    joined, single = docs_in(tmp_path / "out/train/uner_sr")
    assert joined.text == "Kazna A Makedoniji Ana ide." and single.text == "Ništa."
    group = joined.spans["mentions"]
    assert group.attrs == {"kinds": [], "source": "uner"}
    assert [span.label_ for span in group] == ["NAME", "NAME"]
    assert [span.label_ for span in joined.spans["entities"]] == ["LOC", "PER"]
    # "Ništa." is in the training part, too.
    (dev,) = docs_in(tmp_path / "out/dev/uner_sr")
    assert dev.text == "Kazna E Makedoniji Eva ide."
    assert len(docs_in(tmp_path / "out/train/uner_zh")) == 2
    sets = ("--sets", "uner_sr_test")
    out = run_verb("convert", "benchmarks", tmp_path, tmp_path / "test", *sets).stdout
    assert "uner_sr_test: 3 texts with 2 mentions" in out
    assert len(docs_in(tmp_path / "test/uner_sr_test")) == 3


def test_a_missing_treebank_is_told(tmp_path):
    arguments = ("convert", "benchmarks", tmp_path, tmp_path / "out")
    message = error_of(*arguments, "--sets", "uner_hr_test")
    assert "languages/hr_set/hr_set-ud-test.iob2" in message
    assert language_of("uner_hr_test") == "hr" and language_of("wikigold") == "en"


@needs_shared
@pytest.mark.parametrize(
    "name, texts, found",
    [
        ("uner_da", 4383, 3028),
        ("uner_pt", 7018, 8101),
        ("uner_sr", 3328, 5377),
        ("uner_sv", 4303, 967),
        ("uner_zh", 3997, 6118),
        ("uner_zh_test", 500, 763),
    ],
)
def test_counts(name, texts, found):
    report = Report()
    nlp = spacy.blank(language_of(name))
    docs = read_set(SHARED / "data", name, nlp, report)
    counts = [len(doc.spans["mentions"]) for doc in docs]
    assert (len(counts), sum(counts)) == (texts, found)
    assert not report.counts.keys() - {REPAIRED}
