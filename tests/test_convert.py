"""The conversion commands: what they write, drop and refuse."""

import json

import pytest
import spacy
from run_verb import error_of, run_verb
from spacy.tokens import DocBin

from reproduction.corpora import writing
from reproduction.corpora.split import in_share


def run(*args, **settings):
    """Run a command, and return what it printed."""
    return run_verb("convert", *args, **settings)


def read(folder):
    vocab = spacy.blank("en").vocab
    paths = sorted(folder.rglob("*.spacy"))
    return [doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab)]


def columns(*sentences):
    """Write sentences, their mentions in brackets, as columns with BIO tags."""
    lines = []
    for sentence in sentences:
        tag = "O"
        for word in sentence.split():
            begins, ends = word.startswith("["), word.endswith("]")
            tag = "B-X" if begins else tag
            lines.append(f"{word.strip('[]')}\t{tag}")
            tag = "O" if ends or tag == "O" else "I-X"
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Give a data folder with three training sets and two benchmarks."""
    monkeypatch.setattr(writing, "SHARD", 50)
    files = {
        "train/CRAFT/train.tsv": columns(*(f"[cell {i}] grows" for i in range(160))),
        "train/cyner/train.txt": columns("[cell 7] grows", "the [bug]", "the [bug]"),
        "train/btc/CONLL-format/data/a.conll": columns("[a b c d] e", "[x] y [z z]")
        + "\xa0\tO\n",
        "benchmarks/crossner/ai/test.txt": columns("[Ann] left", "none here"),
        "benchmarks/ncbi_disease/test.tsv": columns("[flu]"),
    }
    for name, text in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
    return tmp_path / "data"


def test_a_share_of_a_set(data, tmp_path):
    single = ("--passages", 0)
    run("training", data, tmp_path / "all", "--sets", "craft,cyner", *single)
    run("training", data, tmp_path / "some", "--sets", "craft:0.5,cyner", *single)
    for part in ("train", "dev"):
        whole, some = (
            {doc.text for doc in read(tmp_path / name / part / "craft")}
            for name in ("all", "some")
        )
        assert some <= whole
    assert len(read(tmp_path / "some")) < len(read(tmp_path / "all")) - 20
    assert len(read(tmp_path / "some" / "train" / "cyner")) == 1


def test_training(data, tmp_path):
    sets = "craft,cyner,btc"
    given = ("--sets", sets, "--max-length", 3, "--passages", 0)
    out = run("training", data, tmp_path / "out", *given).stdout
    train, dev = tmp_path / "out/train", tmp_path / "out/dev"
    assert {path.name for path in train.iterdir()} == set(sets.split(","))
    texts = [doc.text for doc in read(train) + read(dev)]
    assert len(texts) == len(set(texts)) == 163
    shards = sorted((train / "craft").iterdir())
    sizes = [len(DocBin().from_disk(path)) for path in shards]
    assert sizes[0] == 50 and sum(sizes) == len(read(train / "craft"))
    few = {
        doc.text: doc
        for name in ("train", "dev")
        for doc in read(tmp_path / "out" / name / "btc")
    }
    doc = few["x y z z"]
    assert [span.text for span in doc.spans["mentions"]] == ["x", "z z"]
    assert [span.label_ for span in doc.spans["entities"]] == ["X", "X"]
    assert [ent.text for ent in doc.ents] == ["x", "z z"]
    assert list(few["a b c d e"].spans["mentions"]) == []
    assert "2 text dropped that occurred before" in out
    assert "1 mention dropped that is longer than 3 tokens" in out
    assert "1 text dropped that is empty" in out
    n = len(read(train / "craft"))
    assert f"craft: {n} texts with {n} mentions to train on, {160 - n} with" in out


@pytest.mark.parametrize(
    "most, lengths",
    [
        # Of 160 sentences of three tokens, 42 have 126 tokens, and 34 remain.
        (128, [126, 126, 126, 102]),
        (126, [126, 126, 126, 102]),
        (125, [123] * 3 + [111]),
        (480, [480]),
        (2, [3] * 160),
    ],
)
def test_passages(most, lengths, data, tmp_path):
    args = ("--sets", "craft,btc", "--dev-share", 0, "--passages", most)
    out = run("training", data, tmp_path / "out", *args).stdout
    docs = read(tmp_path / "out/train/craft")
    assert [len(doc) for doc in docs] == lengths
    assert f"craft: {len(lengths)} texts with 160 mentions to train on, 0 with 0" in out
    names = [span.text for doc in docs for span in doc.spans["mentions"]]
    assert names == [f"cell {i}" for i in range(160)]
    assert {span.label_ for doc in docs for span in doc.spans["entities"]} == {"X"}
    attrs = {"kinds": [], "source": "craft"}
    assert all(doc.spans["mentions"].attrs == attrs for doc in docs)
    # Tweets have no neighbours.
    assert len(read(tmp_path / "out/train/btc")) == 2


def test_passages_are_split_in_runs_of_neighbours(data, tmp_path):
    args = ("--sets", "craft", "--dev-share", 0.5, "--passages", 6)
    run("training", data, tmp_path / "out", *args)
    sides = {
        side: [int(doc[1].text) // 2 for doc in read(tmp_path / "out" / side)]
        for side in ("train", "dev")
    }
    assert sorted(sides["train"] + sides["dev"]) == list(range(80))
    runs = {number // 4 for number in sides["dev"]}
    assert 4 <= len(runs) <= 16
    assert sides["dev"] == [i for i in range(80) if i // 4 in runs]


def test_the_split_is_by_seed_in_runs_of_neighbours(data, tmp_path):
    def split(seed, share=0.5):
        args = ("--sets", "craft", "--seed", seed, "--dev-share", share, "--passages", 0)
        run("training", data, tmp_path / "out", *args)
        return [int(doc[1].text) for doc in read(tmp_path / "out/dev")]

    first = split(1)
    assert split(1) == first != split(2)
    runs = {number // 20 for number in first}
    assert 1 <= len(runs) <= 7
    assert first == [i for i in range(160) if i // 20 in runs]
    assert split(1, 0) == []
    assert len(split(1, 1)) == 160


def test_the_share_of_the_split():
    chosen = [in_share(i, "x", 0, 0.1) for i in range(40_000)]
    assert sum(chosen) / len(chosen) == pytest.approx(0.1, abs=0.02)
    assert chosen != [in_share(i, "y", 0, 0.1) for i in range(40_000)]


def test_a_run_that_fails_leaves_nothing_and_a_rerun_repairs(data, tmp_path):
    out = tmp_path / "out"
    run("training", data, out, "--sets", "craft")
    before = [doc.text for doc in read(out / "train")]
    path = data / "train/cyner/train.txt"
    whole = path.read_text("utf-8")
    path.write_text(whole + "bad\n\n" * 3, "utf-8")
    args = ("training", data, out, "--sets", "craft,cyner")
    error = error_of("convert", *args, "--max-errors", 2)
    assert "cyner/train.txt:" in error and "--max-errors 2" in error
    assert sorted(path.name for path in out.iterdir()) == ["dev", "train"]
    assert [doc.text for doc in read(out / "train")] == before
    # A killed run leaves its folder, which spaCy does not read.
    (out / ".train.part" / "old").mkdir(parents=True)
    (out / ".train.part" / "old" / "000000.spacy").touch()
    assert "3 sentence with a line of too few columns" in run(*args).stdout
    assert sorted(path.name for path in out.iterdir()) == ["dev", "train"]
    assert {path.name for path in (out / "train").iterdir()} == {"craft", "cyner"}


def test_unknown_and_missing_sets(data, tmp_path):
    out = tmp_path / "out"
    args = ("training", data, out, "--sets")
    assert "no corpus 'craf'" in error_of("convert", *args, "craf")
    assert "gum" in error_of("convert", *args, "craft,gum")
    assert not out.exists()
    run(*args, "craft", "--dev-share", 2, code=2)


def test_benchmarks(data, tmp_path):
    out = tmp_path / "out"
    printed = run("benchmarks", data, out).stdout
    assert {path.name for path in out.iterdir()} == {"ai", "ncbi_disease"}
    assert [doc.text for doc in read(out / "ai")] == ["Ann left"]
    assert "ai: 1 texts with 1 mentions" in printed
    assert "1 text dropped that has no mention" in printed
    assert "multinerd: left out" in printed
    given = ("benchmarks", data, out, "--sets", "ai,multinerd")
    assert "multinerd" in error_of("convert", *given)


def test_pile_ner(tmp_path):
    turns = [
        "Text: Ann left Oslo.",
        "Yes.",
        "What describes person in the text?",
        '["Ann"]',
    ]
    record = {"conversations": [{"value": value} for value in turns]}
    path = tmp_path / "pile.jsonl"
    path.write_text(json.dumps(record) + "\n{", "utf-8")
    out = tmp_path / "out"
    printed = run("pile-ner", path, out, "--dev-share", 0).stdout
    (doc,) = read(out / "train")
    assert [span.text for span in doc.spans["mentions"]] == ["Ann"]
    assert "1 line that is no JSON object, left out" in printed
    error_of("convert", "pile-ner", path, out, "--max-errors", 0)
    assert len(read(out / "train")) == 1


def test_the_vocabulary_does_not_grow_with_the_corpus(monkeypatch):
    monkeypatch.setattr(writing, "RENEWED", 100)
    nlp = spacy.blank("en")
    size = len(nlp.vocab)
    docs = (nlp.make_doc(f"word{i} name{i}") for i in range(650))
    texts = [doc.text for doc in writing.stream(docs, nlp, "x")]
    assert texts[-1] == "word649 name649"
    assert len(nlp.vocab) - size < 300
