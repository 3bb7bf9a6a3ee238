"""Known sets and their counts, tags, gold on Docs, and shards."""

import pytest
import spacy
from conftest import SHARED, needs_shared
from spacy.tokens import DocBin

from reproduction.corpora.gold import gold_doc, gold_text, set_gold
from reproduction.corpora.gum import read_gum
from reproduction.corpora.phrases import bare_phrases
from reproduction.corpora.report import Broken, Report
from reproduction.corpora.sets import (
    BENCHMARKS,
    OTHER_FORMS,
    TRAINING,
    nested_bio,
    read_set,
)
from reproduction.corpora.tags import tag_spans
from spacy_tommer.files import ShardWriter, whole_folder

# Sentences with a mention, and mentions, by the evaluation protocol.
BENCHMARK_COUNTS = {
    "politics": (1392, 8995),
    "ai": (880, 3890),
    "literature": (916, 4937),
    "science": (1193, 6702),
    "music": (945, 6663),
    "ncbi_disease": (3958, 6892),
    "genia": (1438, 4337),
    "wikineural": (11590, 19621),
    "politics_uie": (1389, 8969),
    "ai_uie": (879, 3881),
    "literature_uie": (916, 4929),
    "science_uie": (1193, 6699),
    "music_uie": (945, 6661),
    "conll2003_uie": (16493, 35089),
    "ncbi_disease_pubtator": (793, 6892),
}
# Sentences and mentions.
TRAINING_COUNTS = {
    "redocred": (8076, 26102),
    "wikigold": (1696, 3558),
    "bionlp13cg": (5942, 21323),
    "cyner": (4372, 4851),
    "wnut17": (5690, 3890),
    "btc": (9339, 14885),
}


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def spans(doc, key="mentions"):
    return [(span.start, span.end, span.label_) for span in doc.spans[key]]


@needs_shared
@pytest.mark.parametrize("name", BENCHMARK_COUNTS)
def test_benchmarks_have_the_protocol_s_counts(name, nlp):
    report = Report(max_errors=0, shown=0)
    docs = read_set(SHARED / "data", name, nlp, report)
    counts = [len(doc.spans["mentions"]) for doc in docs]
    assert (sum(n > 0 for n in counts), sum(counts)) == BENCHMARK_COUNTS[name]


@needs_shared
@pytest.mark.parametrize("name", TRAINING_COUNTS)
def test_training_sets_have_their_counts(name, nlp):
    report = Report(max_errors=0, shown=0)
    docs = read_set(SHARED / "data", name, nlp, report)
    counts = [len(doc.spans["mentions"]) for doc in docs]
    assert (len(counts), sum(counts)) == TRAINING_COUNTS[name]


@needs_shared
@pytest.mark.parametrize(
    "reader, files, sentences, mentions, nested, bare",
    [
        (read_gum, "gum/*.conllu", 4636, 28465, 12194, 24036),
        (nested_bio, "litbank/*.tsv", 8562, 13912, 2142, 13670),
    ],
)
def test_phrases_before_and_after_they_are_stripped(
    reader, files, sentences, mentions, nested, bare, nlp
):
    report = Report(max_errors=0, shown=0)
    paths = sorted((SHARED / "data/train").glob(files))
    docs = [doc for path in paths for doc in reader(path, nlp, report)]
    found = [{(start, end) for start, end, _ in spans(doc)} for doc in docs]
    inside = sum(
        any(s <= start and end <= e and (s, e) != (start, end) for s, e in some)
        for some in found
        for start, end in some
    )
    assert len(docs) == sentences
    assert sum(len(doc.spans["entities"]) for doc in docs) == mentions
    assert inside == nested
    stripped = bare_phrases(lambda *_: iter(docs))(paths[0], nlp, report)
    assert sum(len(doc.spans["mentions"]) for doc in stripped) == bare


@needs_shared
def test_stackoverflow_before_and_after_placeholders_are_dropped(nlp):
    report = Report(max_errors=0, shown=0)
    docs = list(read_set(SHARED / "data", "stackoverflow", nlp, report))
    dropped = "sentence dropped that is a header or a placeholder"
    assert len(docs) + report.counts[dropped] == 19152
    mentions = [span for doc in docs for span in doc.spans["mentions"]]
    assert (len(docs), len(mentions)) == (12068, 14027)
    # The rest of the 17,797 mentions are blocks of code and of output.
    assert not {"Code_Block", "Output_Block"} & {span.label_ for span in mentions}


def test_a_folder_without_the_files_says_which(tmp_path, nlp):
    with pytest.raises(FileNotFoundError, match=r"wikigold/\*\.conllu"):
        next(read_set(tmp_path, "wikigold", nlp))
    with pytest.raises(FileNotFoundError, match=r"fabner/\*\.txt or .*fabner/.*parquet"):
        next(read_set(tmp_path, "fabner", nlp))
    with pytest.raises(ValueError, match=r"Known: gum, .*conll2003, .*politics_uie"):
        next(read_set(tmp_path, "wiki", nlp))
    names = [*TRAINING, *BENCHMARKS, *OTHER_FORMS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "tags, found, repaired",
    [
        ("O B-A I-A O", [(1, 3, "A")], []),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")], []),
        ("I-A I-A O I-B", [(0, 2, "A"), (3, 4, "B")], [0, 3]),
        ("B-A I-B I-B", [(0, 1, "A"), (1, 3, "B")], [1]),
        ("B-A O I-A", [(0, 1, "A"), (2, 3, "A")], [2]),
        ("B-A-x I-A-x", [(0, 2, "A-x")], []),
        ("B", [(0, 1, "")], []),
        ("S-A B-A I-A E-A O S-B", [(0, 1, "A"), (1, 4, "A"), (5, 6, "B")], []),
        ("B-A E-A I-A", [(0, 2, "A"), (2, 3, "A")], [2]),
        ("S-A E-A", [(0, 1, "A"), (1, 2, "A")], [1]),
    ],
)
def test_tag_spans(tags, found, repaired):
    assert tag_spans(tags.split()) == (found, repaired)


def test_tags_of_another_scheme_are_refused():
    with pytest.raises(Broken, match="tag that is not of the BIO"):
        tag_spans(["X-PER"])


def test_gold_of_nested_entities(nlp):
    entities = [(0, 3, "B"), (0, 2, "A"), (0, 2, "C"), (0, 2, "A")]
    doc = gold_doc(nlp.vocab, ["human", "T", "cell"], entities)
    assert doc.text == "human T cell"
    assert spans(doc, "entities") == [(0, 2, "A"), (0, 2, "C"), (0, 3, "B")]
    assert spans(doc) == [(0, 2, "A"), (0, 3, "B")]
    assert not doc.has_annotation("ENT_IOB")


def test_gold_of_flat_entities(nlp):
    doc = gold_doc(nlp.vocab, ["New", "York"], [(0, 2, ""), (0, 2, "GPE")])
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("New York", "MENTION")]
    assert gold_doc(nlp.vocab, ["none"], []).has_annotation("ENT_IOB")
    set_gold(doc, [(1, 2, "GPE")])
    assert [ent.text for ent in doc.ents] == ["York"]
    for start, end in [(0, 3), (-1, 1), (1, 1)]:
        with pytest.raises(Broken, match="beyond its text"):
            set_gold(doc, [(start, end, "X")])


def test_gold_of_a_text_splits_tokens(nlp):
    report = Report()
    text = "A  pre-2008 and\nnon-U.S. deal"
    entities = [(7, 11, "DATE"), (20, 25, "GPE"), (0, 3, "X"), (8, 11, "Y")]
    doc = gold_text(nlp, text, entities, report)
    assert doc.text == text
    found = [(span.text, span.label_) for span in doc.spans["mentions"]]
    assert found == [("A", "X"), ("2008", "DATE"), ("008", "Y"), ("U.S.", "GPE")]
    plain = len(nlp.make_doc(text))
    assert len(doc) > plain
    assert report.counts["token split where a mention's edge is inside"] > 0
    assert len(gold_text(nlp, text, [(7, 11, "DATE")], Report())) >= plain
    assert not gold_text(nlp, text, [(1, 3, "X")], report).spans["mentions"]
    for start, end in [(0, 99), (5, 5), (-1, 2)]:
        with pytest.raises(Broken):
            gold_text(nlp, text, [(start, end, "X")], report)


def test_shards(tmp_path, nlp):
    texts = [f"text {i}" for i in range(7)]
    with ShardWriter(tmp_path / "out", size=3) as shards:
        for text in texts:
            doc = nlp.make_doc(text)
            doc.spans["mentions"] = []
            shards.add(doc)
    paths = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in paths] == ["000000.spacy", "000001.spacy", "000002.spacy"]
    docs = [d for p in paths for d in DocBin().from_disk(p).get_docs(nlp.vocab)]
    assert [doc.text for doc in docs] == texts
    assert all("mentions" in doc.spans for doc in docs)
    with pytest.raises(FileExistsError, match="already holds"):
        ShardWriter(tmp_path / "out")


def test_a_folder_is_whole_or_not_there(tmp_path):
    folder = tmp_path / "deep" / "out"
    with pytest.raises(RuntimeError), whole_folder(folder) as aside:
        (aside / "one").touch()
        raise RuntimeError
    assert list(folder.parent.iterdir()) == []
    with whole_folder(folder) as aside:
        (aside / "one").touch()
        assert not folder.exists()
    assert [p.name for p in folder.iterdir()] == ["one"]
    # What a killed run leaves behind.
    left = folder.with_name(".out.part")
    left.mkdir()
    (left / "half").touch()
    with whole_folder(folder) as aside:
        (aside / "two").touch()
        assert [p.name for p in folder.iterdir()] == ["one"]
    assert [p.name for p in folder.iterdir()] == ["two"]
    assert [p.name for p in folder.parent.iterdir()] == ["out"]
