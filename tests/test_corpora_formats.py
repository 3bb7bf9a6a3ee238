"""Each format, on short files in that format, whole and broken."""

import json
from functools import partial

import pytest
import spacy

from reproduction.corpora import records
from reproduction.corpora.bio import read_bio
from reproduction.corpora.gum import read_gum
from reproduction.corpora.instruct_uie import read_instruct_uie
from reproduction.corpora.numbered import (
    FABNER,
    MULTINERD,
    ONTONOTES,
    WIKINEURAL,
    read_numbered,
)
from reproduction.corpora.phrases import bare_phrases
from reproduction.corpora.pubtator import read_pubtator
from reproduction.corpora.records import read_records
from reproduction.corpora.redocred import read_redocred
from reproduction.corpora.report import Report, TooManyErrors
from reproduction.corpora.sets import read_set
from reproduction.corpora.stackoverflow import read_stackoverflow


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture
def read(tmp_path, nlp):
    """Give what a reader makes of a text: for each Doc its text, and its mentions."""

    def read_text(reader, text, report=None, name="file.txt"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        docs = reader(path, nlp, report or Report(max_errors=0))
        return [
            (doc.text, [(span.text, span.label_) for span in doc.spans["mentions"]])
            for doc in docs
        ]

    return read_text


def test_nested_columns(read):
    text = (
        "\ufeffhuman\tB-A\tB-B\tO\t\r\nT\tI-A\tI-B\tO\t\r\ncell\tI-A\tO\tB-A\t\r\n\t\r\n"
        "-DOCSTART-\tO\tO\tO\n\nnone\tO\tO\tO\n"
    )
    found = [("human T", "B"), ("human T cell", "A"), ("cell", "A")]
    expected = [("human T cell", found), ("none", [])]
    assert read(partial(read_bio, tags=(1, 2, 3)), text) == expected


def test_last_column(read):
    text = "Ann NNP B-NP S-PER\nleft VBD O O\n\nOslo NNP O B-LOC\n"
    expected = [("Ann left", [("Ann", "PER")]), ("Oslo", [("Oslo", "LOC")])]
    assert read(partial(read_bio, tags=(-1,)), text) == expected


def test_broken_columns(read, capsys):
    report = Report()
    text = (
        "one O\ntwo\n\nAnn I-PER\nleft O\n\nbad X-PER\n\n I-PER\nat O\n\nlast B-PER\nword\n"
    )
    found = read(read_bio, text, report)
    assert found == [
        ("Ann left", [("Ann", "PER")]),
        ("\ufffd at", [("\ufffd", "PER")]),
    ]
    assert report.errors == 3
    assert report.counts == {
        "sentence with a line of too few columns, left out": 2,
        "tag that is not of the BIO, IOB1, BIOES or BILUO scheme, left out": 1,
        "file with tags of the scheme BIO": 1,
        "I- tag that continues nothing, begins a mention": 2,
        "empty token, replaced by U+FFFD": 1,
    }
    error = capsys.readouterr().err
    assert "file.txt:2: sentence with a line of too few columns" in error
    assert "file.txt:13: sentence with a line of too few columns" in error
    assert "file.txt:7: tag that is not of the BIO, IOB1" in error
    assert "file.txt:4: I- tag" in error


def test_bytes_that_are_not_text(tmp_path, nlp, capsys):
    path = tmp_path / "latin.tsv"
    path.write_bytes("Zürich\tB-LOC\n".encode("latin-1"))
    (doc,) = read_bio(path, nlp, Report())
    assert doc.text == "Z\ufffdrich"
    assert "latin.tsv:1: line that is not UTF-8" in capsys.readouterr().err


def test_the_run_stops_above_the_limit(read, capsys):
    text = "bad\n\n" * 4
    report = Report(max_errors=4, shown=2)
    assert read(read_bio, text, report) == []
    assert capsys.readouterr().err.count("too few columns") == 2
    with pytest.raises(TooManyErrors, match=r"file\.txt:7: .*--max-errors 3 allows"):
        read(read_bio, text, Report(max_errors=3))
    # A repair loses nothing.
    assert len(read(read_bio, "Ann I-PER\n\n" * 9, Report(max_errors=0))) == 9


GUM = "GUM_news_ann.conllu"


def gum_row(number, form, misc="_", tag="_", head="_"):
    columns = [str(number), form, "_", tag, "_", "_", str(head), "_", "_", misc]
    return "\t".join(columns) + "\n"


def test_gum(read):
    text = (
        "# newdoc id = x\n# text = Ann's dog won't eat.\n"
        + gum_row("1-2", "Ann's")
        + gum_row(1, "Ann", "Entity=(2-animal-new-nn-cf1-3-sgl(1-person-new-x-y-Ann)")
        + gum_row(2, "'s", "Discourse=x")
        + gum_row(3, "dog", "Entity=2)|MSeg=dog")
        + gum_row("4-5", "won't", "SpaceAfter=Yes")
        + gum_row(4, "wo")
        + gum_row(5, "n't")
        + gum_row("5.1", "really", "CopyOf=5")
        + gum_row(6, "eat", "SpaceAfter=No")
        + gum_row(7, ".", "SpaceAfter=No")
    )
    found = [("Ann", "person"), ("Ann's dog", "animal")]
    assert read(read_gum, text, name=GUM) == [("Ann's dog won't eat.", found)]


def test_names_of_gum(read):
    """The head of a name is a proper noun. Without a head nothing is known."""

    def rows(*heads):
        return (
            gum_row(1, "Ann", "Entity=(1-person-new(2-person-new)", "PROPN", heads[0])
            + gum_row("1.1", "really", tag="PROPN", head="_")
            + gum_row(2, "Lee", tag="PROPN", head=heads[1])
            + gum_row(3, "fans", "Entity=1)", "NOUN", heads[2])
            + gum_row(4, "left", tag="VERB", head=heads[3])
        )

    def labels(*heads):
        ((_, found),) = read(read_gum, rows(*heads), name=GUM)
        return dict(found)

    found = {"Ann": "NAME", "Ann Lee fans": "person"}
    assert labels(3, 1, 4, 0) == found
    assert labels(3, 1, 0, 3) == found
    assert labels(4, 1, 1, 0) == {"Ann": "NAME", "Ann Lee fans": "NAME"}
    # Not known is the head of one word, or of all.
    assert labels("_", 1, 4, 0) == {"Ann": "person", "Ann Lee fans": "person"}
    assert labels(3, 1, "_", 0) == found
    assert labels("_", "x", "", "-1") == {"Ann": "person", "Ann Lee fans": "person"}


def test_gum_of_other_genres_is_left_out(nlp, tmp_path):
    text = gum_row(1, "Ann", "Entity=(1-person-new)")
    counts = {}
    for genre in ("news", "fiction"):
        path = tmp_path / f"GUM_{genre}_ann.conllu"
        path.write_text(text, "utf-8")
        report = Report()
        counts[genre] = len(list(read_gum(path, nlp, report)))
    assert counts == {"news": 1, "fiction": 0}
    assert sum(report.counts.values()) == 1


def test_broken_gum(read):
    report = Report()
    text = (
        gum_row(1, "Ann", "Entity=(1-person-new")
        + "\n"
        + gum_row(1, "Bob", "Entity=1)")
        + "\n"
        + "1\tshort\n\n"
        + gum_row("one", "Eve")
        + "\n"
        + gum_row(1, "Joe", "Entity=(1-person)")
    )
    assert read(read_gum, text, report, name=GUM) == [("Joe", [("Joe", "person")])]
    assert report.errors == 4


@pytest.mark.parametrize(
    "phrase, rest",
    [
        ("the president", "president"),
        ("his dog", "dog"),
        ("all the other Kings", "other Kings"),
        ("John 's dog", "John 's dog"),
        ("the country 's", "country"),
        ("'s", "'s"),
        ("The Hague", "Hague"),
        ("some of the people", "some of the people"),
        ("all of Europe", "all of Europe"),
        ("no one", None),
        ("each other", None),
        ("that", None),
        ("This one", None),
        ("her", None),
        ("Her Majesty", "Majesty"),
        ("It", None),
        ("it girl", "it girl"),
    ],
)
def test_bare_phrases(phrase, rest, read):
    rows = [f"{word} {'BI'[i > 0]}-X" for i, word in enumerate(phrase.split())]
    ((text, found),) = read(bare_phrases(read_bio), "\n".join(rows))
    assert text == phrase
    assert found == ([(rest, "X")] if rest else [])


def test_phrases_that_become_one(read):
    report = Report()
    text = "the B-X O\nLord I-X B-X\nsaw O O\nhim B-X O\n"
    reader = bare_phrases(partial(read_bio, tags=(1, 2)))
    assert read(reader, text, report) == [("the Lord saw him", [("Lord", "X")])]
    assert report.counts == {
        "mention stripped of determiners": 1,
        "mention dropped that is a pronoun or a determiner": 1,
        "file with tags of the scheme BIO": 1,
    }


def test_stackoverflow(read):
    report = Report()
    posts = [
        ["Question_ID O", ": O", "7 O"],
        ["Call O", "recv() B-Function", "from O", "x B-Code_Block"],
        ["CODE_BLOCK B-Code_Block", ": I-Code_Block", "Q_7 I-Code_Block"],
    ]
    text = "\n\t\n".join("\n".join(post) for post in posts).replace(" ", "\t")
    found = [("Call recv() from x", [("recv()", "Function")])]
    assert read(read_stackoverflow, text, report) == found
    assert sorted(report.counts.values()) == [1, 1, 2]


def test_redocred(read):
    documents = [
        {
            "sents": [["She", "met", "Ann", "Lee", "."], ["Lee", "left", "."]],
            "vertexSet": [
                [
                    {"pos": [2, 4], "sent_id": 0, "type": "PER", "name": "Ann Lee"},
                    {"pos": [0, 1], "sent_id": 1, "type": "PER", "name": "Lee"},
                ]
            ],
        }
    ]
    expected = [
        ("She met Ann Lee .", [("Ann Lee", "PER")]),
        ("Lee left .", [("Lee", "PER")]),
    ]
    assert read(read_redocred, json.dumps(documents)) == expected
    for mention in ({"pos": [2, 9], "sent_id": 0}, {"pos": [0, 1], "sent_id": 2}, {}):
        bad = {"sents": [["a", "b"], ["c"]], "vertexSet": [[{**mention, "type": "X"}]]}
        report = Report()
        assert read(read_redocred, json.dumps([bad, *documents]), report) == expected
        assert report.errors == 1


def test_instruct_uie(read):
    def record(name, start, end):
        entity = {"name": name, "type": "place", "pos": [start, end]}
        return {"sentence": "In New York-based firms", "entities": [entity]}

    good = [record("New York", 3, 11), {"sentence": "None .", "entities": []}]
    expected = [
        ("In New York-based firms", [("New York", "place")]),
        ("None .", []),
    ]
    assert read(read_instruct_uie, json.dumps(good)) == expected
    for bad in (record("firms", 18, 24), record("York", 3, 7), {"sentence": "x"}):
        report = Report()
        assert read(read_instruct_uie, json.dumps([bad, *good]), report) == expected
        assert report.errors == 1


def test_nested_ace(tmp_path, nlp):
    folder = tmp_path / "benchmarks/ie_instructions/ACE 2005"
    folder.mkdir(parents=True)
    entities = [
        {"name": "the mayor of Oslo", "type": "person", "pos": [0, 17]},
        {"name": "Oslo", "type": "place", "pos": [13, 17]},
    ]
    record = {"sentence": "the mayor of Oslo left", "entities": entities}
    (folder / "test.json").write_text(json.dumps([record]), "utf-8")
    (folder / "labels.json").write_text('["person", "place"]', "utf-8")
    (doc,) = read_set(tmp_path, "ace2005", nlp, Report(max_errors=0))
    mentions = [span.text for span in doc.spans["mentions"]]
    assert mentions == ["the mayor of Oslo", "Oslo"]
    assert not doc.has_annotation("ENT_IOB")


def test_pubtator(read):
    text = (
        "12|t|Two tumours.\n12|a|A |b| tumour: yes.\n"
        "12\t4\t11\ttumours\tDisease\tD1\n12\t19\t25\ttumour \tDisease\tD1\n\n\n"
        "13|t|Title\n13|a|\n"
    )
    expected = [
        (
            "Two tumours. A |b| tumour: yes.",
            [("tumours", "Disease"), ("tumour", "Disease")],
        ),
        ("Title ", []),
    ]
    assert read(read_pubtator, text) == expected
    bad = [
        "9|t|Title\n",
        "9|t|Ill\n9|a|x\n9\t0\t9\tIll\tDisease\tD1\n",
        "9|t|Ill\n9|a|x\n9\t1\t3\tIll\tDisease\tD1\n",
        "9|t|Ill\n9|a|x\n9\t0\t3\tIll\n",
        "9|t|Ill\n9|a|x\n9\tzero\t3\tIll\tDisease\tD1\n",
    ]
    report = Report()
    assert read(read_pubtator, "\n".join([*bad, text]), report) == expected
    assert report.errors == len(bad)


@pytest.mark.parametrize(
    "tags, number, tag, length",
    [
        (WIKINEURAL, 8, "I-MISC", 9),
        (MULTINERD, 29, "B-VEHI", 31),
        (MULTINERD, 14, "I-DIS", 31),
        (FABNER, 7, "E-MANP", 49),
        (FABNER, 48, "S-BIOP", 49),
        (ONTONOTES, 36, "I-LANGUAGE", 37),
        (ONTONOTES, 22, "I-CARDINAL", 37),
    ],
)
def test_numbers_of_tags(tags, number, tag, length):
    assert tags[number] == tag
    assert len(set(tags)) == len(tags) == length


@pytest.mark.parametrize(
    "name, key, numbers, found",
    [
        ("wikineural", "ner_tags", [1, 2, 0, 5], [("Ann Lee", "PER"), ("Oslo", "LOC")]),
        ("multinerd", "ner_tags", [7, 8, 0, 5], [("Ann Lee", "ANIM"), ("Oslo", "LOC")]),
        ("fabner", "ner_tags", [1, 3, 0, 4], [("Ann Lee", "MATE"), ("Oslo", "MATE")]),
        ("ontonotes", "tags", [4, 5, 0, 7], [("Ann Lee", "PERSON"), ("Oslo", "GPE")]),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_numbered_tags(name, key, numbers, found, suffix, tmp_path, nlp):
    path = tmp_path / "benchmarks" / name / "en" / f"test.{suffix}"
    path.parent.mkdir(parents=True)
    record = {"tokens": ["Ann", "Lee", "in", "Oslo"], key: numbers}
    if suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist([record] * 2), path)
    else:
        path.write_text(f"{json.dumps(record)}\n" * 2, "utf-8")
    docs = list(read_set(tmp_path, name, nlp, Report(max_errors=0)))
    assert [doc.text for doc in docs] == ["Ann Lee in Oslo"] * 2
    assert [(ent.text, ent.label_) for ent in docs[0].ents] == found


def test_broken_numbered_tags(read):
    report = Report()
    rows = [
        {"tokens": ["Ann"], "ner_tags": [1], "lang": "en"},
        {"tokens": ["Anne"], "ner_tags": [1], "lang": "fr"},
        {"tokens": ["Ann", "Lee"], "ner_tags": [1]},
        {"tokens": ["Ann"], "ner_tags": [9]},
        {"tokens": ["Ann"], "ner_tags": [-1]},
        {"tokens": ["Ann"], "ner_tags": ["B-PER"]},
        {"tokens": ["Ann"]},
        {"tokens": ["Lee"], "ner_tags": [2]},
    ]
    text = "\n".join(map(json.dumps, rows)) + '\n{"tokens": ["An'
    found = read(partial(read_numbered, tags=WIKINEURAL), text, report)
    assert found == [("Ann", [("Ann", "PER")]), ("Lee", [("Lee", "PER")])]
    assert report.errors == 6
    assert report.counts["record dropped that is not English"] == 1
    assert report.counts["I- tag that continues nothing, begins a mention"] == 1


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_an_array_is_read_record_by_record(chunk, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "BLOCK_CHARS", chunk)
    path = tmp_path / "array.json"
    good = [{"a": 'x "[{\\ ]', "b": [{}, [1]]}, {"a": "ü\\", "b": {"c": []}}]
    path.write_text(json.dumps(good, indent=1), "utf-8")
    report = Report()
    assert [record for _, record in read_records(path, report)] == good
    assert list(read_records(path, report))[1][0] == 11
    assert report.counts == {}
    path.write_text('[{"a": 1},\n {"a": oops},\n [2],\n {"a": 3}, {"a": "4', "utf-8")
    found = list(read_records(path, report))
    assert found == [(1, {"a": 1}), (4, {"a": 3})]
    assert report.errors == 3
    error = capsys.readouterr().err
    assert "array.json:2: record that is not a JSON object" in error
    assert "array.json:4: record where the file breaks off" in error
