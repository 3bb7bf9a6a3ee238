"""Types that the training texts lack, and the confusion of classes."""

import json

import numpy as np
import pytest
import spacy
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import DocBin, Span
from spacy.training import Example

from reproduction.commands import evaluate
from reproduction.corpora.fine_types import FineTypes, read_fine_types
from reproduction.corpora.gold import labels_in
from reproduction.evaluation import new_types
from reproduction.evaluation.class_confusion import (
    confusion_table,
    count_confusion,
    plot_confusion,
)
from spacy_tommer.entities.definitions import TrainingType
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.model import set_type_head
from spacy_tommer.entities.relations import Relations

MENTIONS = [
    [("Barack Obama", "politician", "person"), ("Hawaii", "island", "place")],
    [("2024", "year", "time"), ("John", "boxer", "person")],
    [("mayor", "politician", "person"), ("Paris", "city", "place")],
]
CLASSES = {name: {"definitions": [f"a {name}", "other"]} for name in ("person", "place")}
FINE = {
    "politician": {"definition": "one who rules", "broader": "leader", "class": "person"},
    "city": {"definition": "a large town", "broader": "place", "class": "place"},
}


@pytest.fixture
def openmentions(tmp_path):
    """Give a folder as that of OpenMentions, whose last passage is not learnt from."""
    folder = tmp_path / "assets/openmentions"
    folder.mkdir(parents=True)
    described = {"classes": {**CLASSES, "time": {"definitions": ["when"]}}, "fine": FINE}
    (folder / "types.json").write_text(json.dumps(described), "utf-8")
    nlp = spacy.blank("en")
    docs, lines = [], []
    for text, mentions in zip(TEXTS, MENTIONS, strict=True):
        found = [(text.index(words), words, *types) for words, *types in mentions]
        places = [(at, at + len(words), "name", *types) for at, words, *types in found]
        lines.append(json.dumps({"text": text, "part": "x", "mentions": places}))
        doc = nlp.make_doc(text)
        doc.spans["entities"] = [doc.char_span(p[0], p[1], label=p[3]) for p in places]
        doc.spans["mentions"] = doc.spans["entities"]
        docs.append(doc)
    (folder / "openmentions.jsonl").write_text("\n".join(lines), "utf-8")
    for name, some in (("train", docs[:2]), ("dev", docs[2:])):
        (tmp_path / name).mkdir()
        DocBin(docs=some).to_disk(tmp_path / name / "0.spacy")
    return folder


@pytest.fixture
def nlp(make_nlp):
    nlp = make_nlp("bert")
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    nlp.get_pipe("tommer").model.initialize(X=[doc])
    pipe = nlp.add_pipe("tommer_zeroshot", config={"labels": ["thing"], "threshold": 0.1})
    set_type_head(pipe.model, TypeHead(32))
    return nlp


def test_fine_types_have_definitions_broader_types_and_classes(openmentions, tmp_path):
    types = read_fine_types(openmentions)
    assert types.classes == ["person", "place", "time"]
    assert types.broader == {
        "politician": ["leader", "person"],
        "island": ["place"],
        "boxer": ["person"],
        "year": ["time"],
        "city": ["place"],
    }
    assert TrainingType("politician", [], ["leader", "person"]) in types.training_types()
    assert types.texts(["place", "boxer"]) == [
        ["place", "place: a place", "a place"],
        ["boxer"],
    ]
    assert labels_in(tmp_path / "train") == {"politician", "island", "boxer", "year"}
    doc = spacy.blank("en").make_doc(TEXTS[2])
    start = TEXTS[2].index("Paris")
    assert types.class_of(doc.char_span(start, start + 5)) == "place"
    with pytest.raises(ValueError, match=r"no mention 'The' at \(0, 3\).*convert training"):
        types.class_of(doc[0:1])


NLP = spacy.blank("en")
ORDER = ["poet", "bard", "city", "river", "person", "place"]


def outcome_of(monkeypatch, scores, name="poet", others=9, seed=0):
    """Type one mention, a person, whose logits are given by type."""
    doc = NLP.make_doc("Homer")
    span = Span(doc, 0, 1, label=name)
    fine = FineTypes({}, {}, ["person", "place"], {"Homer": {(0, 5): "person"}})
    broader = {"poet": ["person"], "bard": ["poet"], "city": ["place"], "river": ["place"]}
    types = [TrainingType(one, [], above) for one, above in broader.items()]
    logits = np.array([scores.get(one, -1.0) for one in ORDER])
    monkeypatch.setattr(new_types, "embed_types", lambda pipe, fine, names: list(names))
    monkeypatch.setattr(new_types, "OTHERS", others)

    def gold_logits(pipe, examples, definitions):
        assert definitions == ORDER
        yield span, logits

    monkeypatch.setattr(new_types, "gold_logits", gold_logits)
    given = (None, [], ORDER[:4], fine, Relations(types), seed)
    (outcome,) = new_types.type_mentions(*given)
    assert (outcome.fine, outcome.coarse) == (name, "person")
    return outcome.right, outcome.beside_class, outcome.found


def test_a_type_wins_over_others_and_none(monkeypatch):
    assert outcome_of(monkeypatch, {"poet": 1.0}) == (True, True, "none")
    assert outcome_of(monkeypatch, {"poet": 1.0, "city": 2.0}, others=0)[0]
    assert outcome_of(monkeypatch, {"poet": 0.0}) == (False, False, "none")
    assert outcome_of(monkeypatch, {"poet": 1.0, "city": 2.0}) == (False, False, "none")


def test_narrower_types_do_not_compete_and_the_class_only_beside(monkeypatch):
    assert outcome_of(monkeypatch, {"poet": 1.0, "bard": 2.0})[:2] == (True, True)
    scores = {"poet": 1.0, "person": 2.0, "place": 1.5}
    assert outcome_of(monkeypatch, scores) == (True, False, "person")
    scores = {"poet": 1.0, "person": 0.5, "place": 1.5}
    assert outcome_of(monkeypatch, scores) == (True, True, "place")
    assert outcome_of(monkeypatch, {"person": 1.0}, "person")[:2] == (True, True)


def test_others_are_drawn_by_seed(monkeypatch):
    scores = {"poet": 1.0, "city": 2.0}
    rights = [outcome_of(monkeypatch, scores, others=1, seed=s)[0] for s in range(20)]
    assert rights == [
        outcome_of(monkeypatch, scores, others=1, seed=s)[0] for s in range(20)
    ]
    assert 0 < sum(rights) < 20


def test_logits_are_those_of_the_component(nlp, monkeypatch):
    monkeypatch.setattr(new_types, "BATCH_DOCS", 2)
    pipe = nlp.get_pipe("tommer_zeroshot")
    examples = []
    for text, mentions in zip(TEXTS, MENTIONS):
        doc, gold = nlp.get_pipe("transformer")(nlp.make_doc(text)), nlp.make_doc(text)
        gold.spans["entities"] = [
            gold.char_span(text.index(words), text.index(words) + len(words), label=label)
            for words, label, _ in mentions
        ]
        doc.spans["mentions"] = [doc[s.start : s.end] for s in gold.spans["entities"]]
        examples.append(Example(doc, gold))
    fine = FineTypes({"city": "a large town"}, {}, [], {})
    vectors = new_types.embed_types(pipe, fine, ["city", "boxer"])
    found = list(new_types.gold_logits(pipe, examples, vectors))
    assert pipe.labels == ("thing",)
    assert [span.text for span, _ in found] == [m[0] for one in MENTIONS for m in one]
    for label, definition, column in (("city", "a large town", 0), ("boxer", None, 1)):
        pipe.set_labels({label: definition} if definition else [label])
        # Mentions without scores have the logit 0.
        _, logits = pipe.predict([example.predicted for example in examples])
        own = [row[column] for _, row in found]
        assert own == pytest.approx(logits[:, 0].tolist(), rel=1e-4, abs=1e-5)


def test_shares_of_new_and_seen_types():
    outcomes = [
        new_types.Outcome("poet", "person", True, False, "person"),
        new_types.Outcome("poet", "person", False, False, "person"),
        new_types.Outcome("bard", "person", False, False, "person"),
        new_types.Outcome("city", "place", True, True, "place"),
    ]
    counts = new_types.count_fine(outcomes, {"city"}, {"poet": "x", "city": "y"})
    every = {"types": 2, "mentions": 3, "right": 1 / 3, "beside_class": 0.0}
    one = {"types": 1, "mentions": 1, "right": 1.0, "beside_class": 1.0}
    assert counts == {
        "new, with a definition": {**every, "types": 1, "mentions": 2, "right": 0.5},
        "new, without": {**every, "types": 1, "mentions": 1, "right": 0.0},
        "new, all": every,
        "seen, with a definition": one,
        "seen, all": one,
    }
    assert new_types.fine_table({"a": counts})[4:6] == [
        "| a | new, all | 2 | 3 | 33.3 | 0.0 |",
        "| a | seen, with a definition | 1 | 1 | 100.0 | 100.0 |",
    ]


PAIRS = [("b", "b"), ("b", "b"), ("b", "a"), ("b", "none"), ("a", "b")]


def test_confusion_counts_each_class_in_order_of_frequency():
    confusion = count_confusion(PAIRS, ["a", "b", "c"])
    assert confusion["names"] == ["b", "a", "c"]
    assert confusion["counts"] == [[2, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert confusion_table({"p": confusion})[2:] == [
        "| p | all | 5 | 40.0 | 20.0 |  |  |",
        "| p | b | 4 | 50.0 | 25.0 | a | 25.0 |",
        "| p | a | 1 | 0.0 | 0.0 | b | 100.0 |",
    ]


def test_the_plot_shows_shares_of_rows():
    pytest.importorskip("matplotlib")
    confusion = count_confusion(PAIRS, ["a", "b"])
    figure = plot_confusion({"p": confusion, "q": confusion})
    assert [axes.get_title() for axes in figure.axes] == ["p", "q"]
    axes = figure.axes[0]
    cells = axes.images[0].get_array().ravel().tolist()
    assert np.square(cells).tolist() == pytest.approx([50, 25, 25, 100, 0, 0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b 4", "a 1"]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == ["b", "a", "none"]
    assert [text.get_text() for text in axes.texts] == ["50", "25", "25", "100"]


def test_the_command_writes_all_files(nlp, openmentions, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(evaluate, "ASSETS", tmp_path / "assets")
    nlp.to_disk(tmp_path / "nlp")
    entry = {"politician": {"name": "politician", "definitions": []}}
    (tmp_path / "types.json").write_text(json.dumps(entry), "utf-8")
    given = ["evaluate", "new-types", tmp_path / "nlp", "--types", tmp_path / "types.json"]
    given += ["--train", tmp_path / "train", "--cache", tmp_path / "cache"]
    output = tmp_path / "metrics/new"
    options = ("--corpus", tmp_path / "dev", "--output", output)
    printed = run_verb(*given, *options).output
    (result,) = json.loads(output.with_suffix(".json").read_text("utf-8")).values()
    kinds = {kind: counts["mentions"] for kind, counts in result["fine"].items()}
    assert kinds == {
        "new, with a definition": 1,
        "new, all": 1,
        "seen, with a definition": 1,
        "seen, all": 1,
    }
    assert result["classes"]["names"] == ["person", "place", "time"]
    assert np.sum(result["classes"]["counts"], axis=1).tolist() == [1, 1, 0]
    report = output.with_suffix(".md").read_text("utf-8")
    assert printed.splitlines()[0] == report.splitlines()[0]
    assert "| class | mentions |" in report and "| class |" not in printed
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    def without(results):
        raise ImportError("Plots need matplotlib.")

    monkeypatch.setattr(new_types, "plot_confusion", without)
    output.with_suffix(".png").unlink()
    again = run_verb(*given, *options)
    assert "Left out: new.png. Plots need matplotlib." in again.stderr
    assert not output.with_suffix(".png").exists()
    assert output.with_suffix(".md").read_text("utf-8") == report

    (openmentions / "openmentions.jsonl").write_text("", "utf-8")
    assert "OpenMentions has no mention" in error_of(*given, *options)
