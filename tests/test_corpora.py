import pytest
import spacy
from conftest import SHARED, needs_shared
from spacy.tokens import DocBin

from spacy_tommer.corpora.bio import bio_spans, read_bio
from spacy_tommer.corpora.redocred import read_redocred
from spacy_tommer.corpora.sets import BENCHMARKS, TRAINING, read_set
from spacy_tommer.shards import ShardWriter

# Sentences with a mention, and mentions, by the evaluation protocol.
COUNTS = {
    "politics": (1392, 8995),
    "ai": (880, 3890),
    "literature": (916, 4937),
    "science": (1193, 6702),
    "music": (945, 6663),
    "conll2003": (16493, 34995),
    "ncbi_disease": (3958, 6892),
    "genia": (1438, 4337),
    "wikineural": (11590, 19621),
}


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@needs_shared
@pytest.mark.parametrize("name", [n for n in BENCHMARKS if n != "conll2003"])
def test_benchmarks_have_the_protocol_s_counts(name, vocab):
    docs = [d for d in read_set(SHARED / "data", name, vocab) if d.spans["mentions"]]
    assert (len(docs), sum(len(d.spans["mentions"]) for d in docs)) == COUNTS[name]


@needs_shared
@pytest.mark.parametrize(
    "name, mentions", [("wikigold", 3558), ("cyner", 4851), ("wnut17", 3890)]
)
def test_training_sets_have_their_counts(name, mentions, vocab):
    docs = read_set(SHARED / "data", name, vocab)
    assert sum(len(doc.spans["mentions"]) for doc in docs) == mentions


def test_a_folder_without_the_files_says_which(tmp_path, vocab):
    with pytest.raises(FileNotFoundError, match=r"wikigold/\*\.conllu"):
        next(read_set(tmp_path, "wikigold", vocab))
    with pytest.raises(ValueError, match="Known: redocred"):
        next(read_set(tmp_path, "wiki", vocab))
    assert not set(TRAINING) & set(BENCHMARKS)


@pytest.mark.parametrize(
    "tags, spans",
    [
        ("O B-A I-A O", [(1, 3, "A")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A O I-B", [(0, 2, "A"), (3, 4, "B")]),
        ("B-A I-B I-B", [(0, 1, "A"), (1, 3, "B")]),
        ("B-A O I-A", [(0, 1, "A"), (2, 3, "A")]),
        ("B-A-x I-A-x", [(0, 2, "A-x")]),
        ("B", [(0, 1, "")]),
    ],
)
def test_bio_spans(tags, spans):
    assert bio_spans(tags.split()) == spans


def test_tags_of_another_scheme_are_refused():
    with pytest.raises(ValueError, match="'S-PER'"):
        bio_spans(["S-PER"])


def test_nested_columns(tmp_path, vocab):
    path = tmp_path / "nested.iob2"
    path.write_text(
        "human\tB-A\tB-B\tO\nT\tI-A\tI-B\tO\ncell\tI-A\tO\tB-A\n\n"
        "-DOCSTART-\tO\tO\tO\n\nnone\tO\tO\tO\n",
        "utf-8",
    )
    first, second = read_bio(path, vocab, tags=(1, 2, 3))
    mentions = [(s.start, s.end, s.label_) for s in first.spans["mentions"]]
    assert mentions == [(0, 2, "B"), (0, 3, "A"), (2, 3, "A")]
    assert not first.has_annotation("ENT_IOB")
    assert first.text == "human T cell"
    assert second.text == "none"
    assert list(second.spans["mentions"]) == []
    assert second.has_annotation("ENT_IOB")


def test_one_mention_of_two_types(tmp_path, vocab):
    path = tmp_path / "types.tsv"
    path.write_text("Paris\tB-GPE\tB-LOC\n", "utf-8")
    (doc,) = read_bio(path, vocab, tags=(1, 2))
    assert [s.label_ for s in doc.spans["entities"]] == ["GPE", "LOC"]
    assert [s.label_ for s in doc.spans["mentions"]] == ["GPE"]


def test_entities_without_a_type(tmp_path, vocab):
    path = tmp_path / "untyped.tsv"
    path.write_text("New\tB\nYork\tI\n", "utf-8")
    (doc,) = read_bio(path, vocab)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("New York", "MENTION")]


def test_redocred(tmp_path, vocab):
    path = tmp_path / "docs.json"
    path.write_text(
        """[{"sents": [["She", "met", "Ann", "Lee", "."], ["Lee", "left", "."]],
        "vertexSet": [[{"pos": [2, 4], "sent_id": 0, "type": "PER", "name": "Ann Lee"},
        {"pos": [0, 1], "sent_id": 1, "type": "PER", "name": "Lee"}]]}]""",
        "utf-8",
    )
    docs = list(read_redocred(path, vocab))
    assert [d.text for d in docs] == ["She met Ann Lee .", "Lee left ."]
    assert [[e.text for e in d.ents] for d in docs] == [["Ann Lee"], ["Lee"]]


def test_shards(tmp_path, vocab):
    nlp = spacy.blank("en")
    texts = [f"text {i}" for i in range(7)]
    with ShardWriter(tmp_path / "out", size=3) as shards:
        for text in texts:
            doc = nlp.make_doc(text)
            doc.spans["mentions"] = []
            shards.add(doc)
    paths = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in paths] == ["000000.spacy", "000001.spacy", "000002.spacy"]
    docs = [d for p in paths for d in DocBin().from_disk(p).get_docs(vocab)]
    assert [doc.text for doc in docs] == texts
    assert all("mentions" in doc.spans for doc in docs)
    with pytest.raises(FileExistsError, match="already holds"):
        ShardWriter(tmp_path / "out")
