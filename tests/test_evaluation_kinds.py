"""Scores of names and terms apart, from gold of benchmarks to tables."""

import json

import numpy as np
import pytest
import spacy
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.types import Ragged

from reproduction.corpora.gold import gold_doc
from reproduction.evaluation.kind_counts import count_kinds
from spacy_tommer.evaluation.sets import read_docs

HEAD = ["NAME", "TERM", "QUANTITY", "PHRASE"]
# Start, end and type in each text.
GOLD = [(0, 2, "person"), (3, 4, "algorithm"), (5, 6, "misc")]


def write_set(folder, gold):
    """Write texts with the same gold mentions."""
    nlp = spacy.blank("en")
    words = [[token.text for token in nlp.make_doc(text)] for text in TEXTS]
    folder.mkdir(parents=True)
    DocBin(docs=[gold_doc(nlp.vocab, one, gold) for one in words]).to_disk(
        folder / "0.spacy"
    )


@pytest.fixture
def benchmarks(tmp_path):
    """Two benchmarks, of which one has no terms, and a set that is none."""
    write_set(tmp_path / "sets/ai", GOLD)
    write_set(tmp_path / "sets/wikineural", [(0, 1, "PER"), (2, 4, "LOC"), (4, 5, "MISC")])
    write_set(tmp_path / "sets/mine", GOLD)
    return tmp_path / "sets"


@pytest.fixture
def make_pipeline(make_nlp, benchmarks, tmp_path):
    """Save a pipeline with an untrained head that tells some kinds."""

    def make(kinds, **config):
        model = {"@architectures": "spacy_tommer.Tommer.v1", "kinds": kinds}
        nlp = make_nlp(model=model, threshold=0.4, **config)
        docs = list(read_docs(benchmarks / "mine", nlp.vocab))
        nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in docs])
        nlp.to_disk(tmp_path / "nlp")
        return nlp

    return make


def evaluate(tmp_path, *arguments):
    """Run the command on the saved pipeline, and return what it printed and wrote."""
    output = tmp_path / "out"
    result = run_verb("evaluate", "kinds", tmp_path / "nlp", *arguments, "--output", output)
    written = json.loads((output / "kinds.json").read_text("utf-8"))
    return result, written, (output / "kinds.md").read_text("utf-8")


# Logits of spans (first, last, kind); all others are below every threshold.
CELLS = {
    (0, 1, "NAME"): 5.0,
    (0, 1, "TERM"): 1.0,
    (3, 3, "NAME"): 2.0,
    (3, 3, "TERM"): 3.0,
    (5, 6, "TERM"): 4.0,
    (5, 5, "TERM"): 6.0,
    (8, 8, "NAME"): 3.0,
    (2, 2, "QUANTITY"): 7.0,
}


def test_each_kind_counts_apart(make_nlp, monkeypatch):
    model = {"@architectures": "spacy_tommer.Tommer.v1", "kinds": HEAD}
    nlp = make_nlp(model=model, threshold=0.5, flat_threshold=0.6)
    tommer = nlp.get_pipe("tommer")
    nlp.remove_pipe("transformer")
    gold = Doc(nlp.vocab, [f"w{i}" for i in range(10)])
    places = [(0, 2, "NAME"), (3, 4, "MENTION"), (5, 7, "TERM"), (7, 8, "NAME")]
    gold.spans["mentions"] = [Span(gold, *place) for place in places]
    logits = np.full((10, 25, 4), -20.0, dtype="f")
    logits[np.arange(25) > np.arange(10)[:, None]] = -np.inf
    for (first, last, kind), score in CELLS.items():
        logits[last, last - first, HEAD.index(kind)] = score
    lengths = np.ones(10, dtype="i")
    monkeypatch.setattr(
        tommer, "predict", lambda docs: [Ragged(logits, lengths) for _ in docs]
    )
    counts = count_kinds(nlp, [gold, gold.copy()], ["NAME", "TERM"])

    def of(kind, decoding, threshold):
        at = counts[kind][decoding].at(threshold)
        return at["right"], at["found"], at["gold"]

    # Twice what one Doc has: w3, which may be of any kind, is neither right nor wrong.
    assert of("NAME", "nested", 0.5) == (2, 4, 4)
    assert of("TERM", "nested", 0.5) == (2, 6, 2)
    assert of("TERM", "nested", 0.9) == (2, 4, 2)
    # w5 wins over w5 w6.
    assert of("TERM", "flat", 0.6) == (0, 4, 2)
    assert of("NAME", "flat", 0.6) == (2, 4, 4)
    assert tommer.kinds == ["NAME", "TERM", "QUANTITY"]


def test_the_table_is_what_a_pipeline_of_one_kind_finds(
    make_pipeline, benchmarks, tmp_path
):
    nlp = make_pipeline(HEAD, flat_threshold=0.45)
    result, written, report = evaluate(tmp_path, "--benchmarks", benchmarks)
    name = str(tmp_path / "nlp")
    assert written["left_out"].keys() == {"mine"}
    assert "Left out: mine. It is not known which" in result.stderr
    assert "Left out: mine. It is not known which" in report
    scored = written["pipelines"][name]
    assert scored["settings"] == {"threshold": 0.4, "flat_threshold": 0.45}
    kinds = scored["kinds"]
    assert {kind: list(one["sets"]) for kind, one in kinds.items()} == {
        "NAME": ["ai", "wikineural"],
        "TERM": ["ai"],
    }
    texts = [doc.text for doc in read_docs(benchmarks / "ai", nlp.vocab)]
    tommer = nlp.get_pipe("tommer")
    unsure = {"ai": (5, 6), "wikineural": (4, 5)}
    for kind, scores in kinds.items():
        tommer.kinds = [kind]
        docs = list(nlp.pipe(texts))
        for key, one in scores["sets"].items():
            nested = [(s.start, s.end) for doc in docs for s in doc.spans["mentions"]]
            flat = [(s.start, s.end) for doc in docs for s in doc.ents]
            ignored = unsure[key]
            assert one["nested"]["found"] == len(nested) - nested.count(ignored) > 0
            assert one["flat"]["found"] == len(flat) - flat.count(ignored) > 0
            assert one["nested"]["gold"] == (6 if key == "wikineural" else 3)
            assert 0 < one["precision_at_recall"]["0.9"] < 1
    means, sets = kinds["NAME"]["means"], kinds["NAME"]["sets"].values()
    for decoding in ("nested", "flat"):
        for measure in "rpf":
            expected = np.mean([one[decoding][measure] for one in sets])
            assert means[decoding][measure] == pytest.approx(expected)
    shown = " | ".join(f"{100 * means['nested'][key]:.1f}" for key in "rpf")
    assert f"| {name} | NAME | 2 | {shown} |" in result.output
    assert f"| {name} | NAME | 2 | {shown} |" in report
    assert f"| mean |  | {shown} |" in report
    widths = {line.count("|") for line in report.splitlines() if line.startswith("|")}
    assert widths == {10, 11}


def test_the_cache_and_the_limit(make_pipeline, benchmarks, tmp_path, passes):
    make_pipeline(HEAD, flat_threshold=None)
    given = ("--benchmarks", benchmarks, "--cache", tmp_path / "cache", "--limit", 2)
    _, first, report = evaluate(tmp_path, *given)
    computed = len(passes)
    _, again, _ = evaluate(tmp_path, *given)
    assert len(passes) == computed and first == again
    (scored,) = first["pipelines"].values()
    assert scored["kinds"]["NAME"]["sets"]["wikineural"]["nested"]["gold"] == 4
    assert "Only the first 2 texts" in report
    # Without a flat threshold there is no greedy decoding.
    assert set(scored["kinds"]["TERM"]["means"]) == {"nested", "precision_at_recall"}
    assert " |  |  |  | " in report


@pytest.mark.parametrize(
    "kinds, missing",
    [("MENTION", "NAME and TERM"), (["NAME", "QUANTITY"], "TERM")],
)
def test_kinds_that_a_head_does_not_tell(
    kinds, missing, make_pipeline, benchmarks, tmp_path
):
    make_pipeline(kinds)
    result, written, report = evaluate(tmp_path, "--benchmarks", benchmarks / "ai")
    told = kinds if isinstance(kinds, str) else ", ".join(kinds)
    line = f"Left out: {missing} of {tmp_path / 'nlp'}. Its head tells only {told}."
    assert line in result.stderr and line in report
    found = [list(one["kinds"]) for one in written["pipelines"].values()]
    assert found == ([] if kinds == "MENTION" else [["NAME"]])


def test_sets_without_known_types_are_an_error(make_pipeline, benchmarks, tmp_path):
    make_pipeline(HEAD)
    given = (tmp_path / "nlp", "--benchmarks", benchmarks / "mine")
    error = error_of("evaluate", "kinds", *given, "--output", tmp_path / "out")
    assert "has no set whose types are known" in error and "wikineural" in error
    assert not (tmp_path / "out").exists()
