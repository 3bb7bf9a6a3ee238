"""The kinds of gold mentions, by corpus and type."""

from pathlib import Path

import pytest
import spacy
import srsly
from spacy.tokens import DocBin

from reproduction.corpora.clean import clean
from reproduction.corpora.gold import gold_doc
from reproduction.corpora.kinds import BENCHMARK_MARKS, MARKS, set_kinds
from reproduction.corpora.passages import DOCUMENT, join_sentences
from reproduction.corpora.report import Report
from reproduction.corpora.seen import SeenTexts
from reproduction.corpora.sets import BENCHMARKS, TRAINING, TREEBANKS, read_set
from spacy_tommer.keys import KINDS, MENTION, NAME, TERM

TYPES = Path(__file__).resolve().parents[1] / "assets/types"


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def labels(doc, key="mentions"):
    return {span.text: span.label_ for span in doc.spans[key]}


def test_the_kinds_that_a_corpus_marks_completely(nlp):
    found = {}
    for name, marks in MARKS.items():
        doc = set_kinds(gold_doc(nlp.vocab, ["none"], []), marks, name)
        source = "uner" if name.startswith("uner_") else name
        assert doc.spans["mentions"].attrs["source"] == source
        found[name] = doc.spans["mentions"].attrs["kinds"]
    assert {name: kinds for name, kinds in found.items() if kinds} == {
        "gum": ["PHRASE"],
        "litbank": ["PHRASE"],
        "openmentions": ["NAME", "TERM", "QUANTITY"],
    }
    assert found.keys() == {*TRAINING, *(f"uner_{code}" for code in TREEBANKS)}
    for marks in MARKS.values():
        assert {*marks.kinds, *marks.types.values()} <= set(KINDS)
        assert set(marks.whole) <= set(marks.kinds)


@pytest.mark.parametrize(
    "name, types",
    [
        ("gum", {"person": "PHRASE", "abstract": "PHRASE", "NAME": "NAME"}),
        ("litbank", {"PER": "PHRASE", "FAC": "PHRASE"}),
        (
            "redocred",
            {"PER": "NAME", "ORG": "NAME", "LOC": "NAME", "MISC": "NAME"}
            | {"TIME": "QUANTITY", "NUM": "QUANTITY"},
        ),
        ("wikigold", {"PER": "NAME", "MISC": "NAME"}),
        ("bionlp13cg", {"Cell": "MENTION", "Gene_or_gene_product": "MENTION"}),
        ("craft", {"GGP": "MENTION", "CL": "MENTION"}),
        (
            "cyner",
            {"Indicator": "QUANTITY", "Malware": "NAME", "Organization": "NAME"}
            | {"System": "MENTION", "Vulnerability": "MENTION"},
        ),
        ("wnut17", {"creative-work": "NAME", "person": "NAME"}),
        ("btc", {"PER": "NAME"}),
        (
            "stackoverflow",
            {"Version": "QUANTITY", "Value": "QUANTITY", "File_Name": "QUANTITY"}
            | {"Library": "MENTION", "Data_Type": "MENTION"},
        ),
        ("openmentions", {"NAME": "NAME", "TERM": "TERM", "QUANTITY": "QUANTITY"}),
    ],
)
def test_the_kind_of_each_type(name, types, nlp):
    words = [f"word{i}" for i in range(len(types))]
    entities = [(i, i + 1, label) for i, label in enumerate(types)]
    doc = gold_doc(nlp.vocab, words, entities)
    assert set_kinds(doc, MARKS[name]) is doc
    kinds = [span.label_ for span in doc.spans["mentions"]]
    assert dict(zip(types, kinds, strict=True)) == types
    assert [ent.label_ for ent in doc.ents] == kinds
    assert [span.label_ for span in doc.spans["entities"]] == list(types)


@pytest.mark.parametrize(
    "name, types",
    [
        ("ai", {"researcher": "NAME", "algorithm": "TERM", "product": "MENTION"}),
        ("literature", {"award": "NAME", "event": "NAME", "literarygenre": "TERM"}),
        ("science", {"theory": "TERM", "astronomicalobject": "NAME", "misc": "MENTION"}),
        ("conll2003", {"location": "NAME", "misc": "MENTION"}),
        ("ncbi_disease", {"Disease": "TERM"}),
        ("genia", {"cell_type": "TERM", "RNA": "TERM", "protein": "MENTION"}),
        ("wikineural", {"PER": "NAME", "MISC": "MENTION"}),
    ],
)
def test_the_kind_of_each_type_of_a_benchmark(name, types, nlp):
    words = [f"word{i}" for i in range(len(types))]
    entities = [(i, i + 1, label) for i, label in enumerate(types)]
    doc = set_kinds(gold_doc(nlp.vocab, words, entities), BENCHMARK_MARKS[name])
    assert labels(doc) == dict(zip(words, types.values()))
    # No benchmark marks all names or terms.
    assert doc.spans["mentions"].attrs["kinds"] == []


def test_types_of_benchmarks_are_names_or_terms_or_both():
    assert BENCHMARK_MARKS.keys() < BENCHMARKS.keys()
    for marks in BENCHMARK_MARKS.values():
        assert {*marks.kinds, *marks.types.values()} <= {NAME, TERM}
    crossner = srsly.read_json(TYPES / "crossner.json")
    both = {
        label
        for name, types in crossner.items()
        for label in types
        if label not in BENCHMARK_MARKS[name].types
    }
    assert both == {"misc", "product", "protein", "enzyme"}
    known = {label for types in crossner.values() for label in types}
    assert BENCHMARK_MARKS["ai"].types.keys() <= known


def test_nested_mentions_get_kinds_and_no_ents(nlp):
    entities = [(0, 3, "Cell"), (0, 1, "Organism")]
    doc = gold_doc(nlp.vocab, ["human", "T", "cell"], entities)
    set_kinds(doc, MARKS["bionlp13cg"])
    assert labels(doc) == {"human": MENTION, "human T cell": MENTION}
    assert not doc.has_annotation("ENT_IOB")


@pytest.mark.parametrize(
    "phrase, kind",
    [
        ("Mr. Darcy", "NAME"),
        ("old house", "PHRASE"),
        ("mayor of Oslo", "NAME"),
        ("Oslo harbour", "PHRASE"),
        ("THE PRESIDENT", "PHRASE"),
        ("I", "PHRASE"),
        ("\u00c9mile", "NAME"),
        ("1st", "PHRASE"),
    ],
)
def test_names_of_litbank_by_capitals(phrase, kind, nlp):
    words = phrase.split()
    doc = gold_doc(nlp.vocab, words, [(0, len(words), "PER")])
    assert labels(set_kinds(doc, MARKS["litbank"])) == {phrase: kind}
    # Case tells nothing in the others.
    doc = gold_doc(nlp.vocab, words, [(0, len(words), "person")])
    assert labels(set_kinds(doc, MARKS["gum"])) == {phrase: "PHRASE"}


# Form, part of speech, head, entities.
GUM = [
    "the DET 3 (1-person-new",
    "Oslo PROPN 3 (2-place-new)",
    "mayor NOUN 8 _",
    "of ADP 6 _",
    "the DET 6 (3-time-new",
    "Year PROPN 3 1)3)",
    "then ADV 8 _",
    "met VERB 0 _",
    "Ann PROPN 8 (4-person-new",
    "Lee PROPN 9 4)",
    ". PUNCT 8 _",
]


@pytest.fixture
def gum(nlp, tmp_path):
    """Read a sentence of GUM."""
    lines = []
    for number, row in enumerate(GUM, 1):
        form, tag, head, brackets = row.split()
        misc = brackets if brackets == "_" else f"Entity={brackets}"
        columns = [str(number), form, "_", tag, "_", "_", head, "_", "_", misc]
        lines.append("\t".join(columns))
    path = tmp_path / "train/gum/GUM_news_x.conllu"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    (doc,) = read_set(tmp_path, "gum", nlp, Report(max_errors=0))
    return doc


def test_names_of_gum_by_their_heads(gum):
    types = {
        "Oslo": "place",
        "Oslo mayor of the Year": "person",
        "Year": "time",
        "Ann Lee": "person",
    }
    assert labels(gum, "entities") == types
    names = dict.fromkeys(types, "NAME")
    kinds = {**names, "Oslo mayor of the Year": "PHRASE"}
    assert labels(set_kinds(gum, MARKS["gum"])) == kinds


def test_kinds_survive_cleaning_joining_and_writing(gum, nlp):
    other = gold_doc(nlp.vocab, ["Houses", "."], [(0, 1, "place")])
    gum.user_data[DOCUMENT] = other.user_data[DOCUMENT] = "x"
    # The phrase of five tokens is dropped.
    kept = clean([gum, other], nlp, 4, SeenTexts(), Report())
    (doc,) = (set_kinds(one, MARKS["gum"], "gum") for one in join_sentences(kept, 128))
    stored = DocBin(docs=[doc]).to_bytes()
    (read,) = DocBin().from_bytes(stored).get_docs(spacy.blank("en").vocab)
    assert read.text == "the Oslo mayor of the Year then met Ann Lee . Houses ."
    expected = {"Oslo": "NAME", "Year": "NAME", "Ann Lee": "NAME", "Houses": "PHRASE"}
    assert labels(read) == expected
    assert read.spans["mentions"].attrs == {"kinds": ["PHRASE"], "source": "gum"}
    assert {ent.text: ent.label_ for ent in read.ents} == expected
