"""Text that a model wrote: generating it, marking it, and comparing what is found there."""

import json
from collections import Counter

import numpy as np
import pytest
import spacy
from conftest import needs_minilm
from run_verb import error_of, run_verb
from spacy.tokens import Span

from reproduction.generated import compare, control
from reproduction.generated.counts import Passage, counts, score, with_intervals
from reproduction.generated.marks import read_marks
from reproduction.generated.passages import (
    FOLDER,
    OPENMENTIONS,
    SPARSE,
    read_passages,
    validation_passages,
)
from reproduction.generated.repeats import agreement
from reproduction.generated.texts import Writer, draw, read_lines_of, without_last_word

TEXTS = {"a": "Ada met Ada Lovelace in New York. York is old.", "b": "Salt and salt."}


@pytest.fixture
def folder(tmp_path):
    about = {"genre": "x", "prompt": "Write.", "seed": 0}
    rows = [{**about, "id": id_, "text": text} for id_, text in TEXTS.items()]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return tmp_path


def write_marks(folder, content):
    path = folder / "marks.txt"
    path.write_text(content, "utf-8")
    return path


def test_strings_stand_for_all_their_places(folder):
    lines = ["#b", "T|salt|Salt", "", "#a", "N|Ada@1|Ada Lovelace|New York|York"]
    path = write_marks(folder, "\n".join(lines))
    marks = read_marks(path, TEXTS)
    assert marks["b"] == [(0, 4, "term"), (9, 13, "term")]
    found = [TEXTS["a"][start:end] for start, end, _ in marks["a"]]
    assert found == ["Ada", "Ada Lovelace", "New York", "York", "York"]
    assert {kind for *_, kind in marks["a"]} == {"name"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#a\nN|Lace", "line 2: 'Lace' is not in the text"),
        ("#a\nN|Ada@3", "line 2: 'Ada@3' is not in the text"),
        ("#a\nN|York\nT|York@1", "line 3: 'York' is marked twice"),
        ("#a\nN|Lovelace in New|New York", "'Lovelace in New' and 'New York' cross"),
        ("#c\nN|Ada", "line 1: The id 'c'"),
        ("#a\nX|Ada", "line 2: 'X'"),
    ],
)
def test_marks_that_do_not_fit_are_errors(folder, content, message):
    write_marks(folder, content)
    assert message in error_of("generated", "annotate", folder)


def test_marked_texts_become_passages(folder):
    write_marks(folder, "#a\nN|Ada Lovelace|New York|York@1\nT|old\n")
    result = run_verb("generated", "annotate", folder)
    assert "1 passages, 4 mentions" in result.stdout
    (doc,) = read_passages(folder / "generated.jsonl")
    found = [(span.text, span.label_) for span in doc.spans["mentions"]]
    assert found == [
        ("Ada Lovelace", "NAME"),
        ("New York", "NAME"),
        ("York", "NAME"),
        ("old", "TERM"),
    ]


def test_an_annotator_is_compared_with_the_corpus(folder, monkeypatch):
    mentions = [[0, 3, "name", "x", "y"], [0, 3, "term", "x", "y"], [8, 20, "term", "", ""]]
    passage = {"id": "a", "text": TEXTS["a"], "mentions": mentions}
    (folder / "corpus.jsonl").write_text(json.dumps(passage), "utf-8")
    monkeypatch.setattr(control, "OPENMENTIONS", folder / "corpus.jsonl")
    (folder / "control.txt").write_text("#a\nN|Ada@1|Ada Lovelace|York@2", "utf-8")
    line = run_verb("generated", "control", folder).stdout
    assert "1 passages: 3 mentions, 2 in the corpus, 2 the same; recall 100.0" in line
    assert "precision 66.7, F1 80.0; the same kind: 50.0 %" in line


def test_a_seed_alone_decides_on_an_answer(tiny):
    writer = Writer(tiny("llama"), 3)
    prompts, seeds = ["Ada", "Who was born in Hawaii?", "Ada"], [3, 4, 5]
    together = writer.answer(prompts, seeds, max_tokens=8)
    assert together[0] != together[2]
    for prompt, seed, text in zip(prompts, seeds, together):
        assert writer.answer([prompt], [seed], max_tokens=8) == [text]


def test_a_last_word_that_may_not_be_whole_is_cut_off():
    assert without_last_word("It was  a lo") == "It was  a"
    assert without_last_word("lo") == without_last_word("") == ""
    assert without_last_word(f"So {'ha' * 40}") == f"So {'ha' * 40}"


def test_the_verb_writes_texts(tiny, tmp_path):
    rows = [{"id": str(i), "genre": "x", "prompt": "Ada"} for i in range(2)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    model = ["--model", tiny("llama"), "--blocks", "3"]
    run_verb("generated", "write", tmp_path, *model)
    texts = read_lines_of(tmp_path / "texts.jsonl")
    assert [(one["id"], one["seed"]) for one in texts] == [("0", 0), ("1", 1)]
    assert texts[0]["text"] != texts[1]["text"]


def test_places_and_kinds_are_counted():
    gold = {(0, 3): "NAME", (4, 8): "TERM"}
    passages = [Passage(10, gold, {(0, 3): "TERM", (4, 8): "TERM"}, {(0, 3): "TERM"})] * 4
    assert counts(passages, "found").tolist() == [[2, 2, 2]] * 4
    result = score(passages)
    assert (result["nested"]["f"], result["flat"]["r"]) == (1, 0.5)
    assert result["kinds"]["NAME"]["f"] == 0
    assert result["kinds"]["TERM"]["p"] == 0.5 and result["kinds"]["TERM"]["r"] == 1
    assert result["gold_per_100"] == result["found_per_100"] == 20


def test_intervals_hold_the_measure_and_are_those_of_passages():
    same = with_intervals(np.array([[1, 2, 4]] * 5))
    assert same["intervals"]["r"] == [0.25, 0.25] and same["intervals"]["p"] == [0.5, 0.5]
    other = with_intervals(np.array([[0, 4, 4], [4, 4, 4]] * 10))
    low, high = other["intervals"]["f"]
    assert 0.2 < low < other["f"] == 0.5 < high < 0.8


def test_repeated_sentences_are_compared():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    sentence = "The old salt mine closed."
    doc = nlp(f"{sentence} {sentence}\n{sentence}")
    places = [(2, 3), (2, 4), (8, 9), (8, 10), (15, 16)]
    doc.spans["mentions"] = [Span(doc, *place, label="TERM") for place in places]
    result = agreement([doc], nlp)
    assert (result["texts"], result["sentences"], result["pairs"]) == (1, 1, 3)
    assert result["same"] == pytest.approx(1 / 3)
    assert result["f"] == pytest.approx(2 * (2 + 1 + 1) / (4 + 3 + 3))


@needs_minilm
def test_pipelines_are_scored(folder, tmp_path, monkeypatch):
    write_marks(folder, "#a\nN|Ada@1|Ada Lovelace|New York|York@2\n#b\nT|salt|Salt\n")
    run_verb("generated", "annotate", folder)
    gold = read_passages(folder / "generated.jsonl")
    monkeypatch.setattr(compare, "validation_passages", lambda *wanted: gold[:1])
    output = tmp_path / "out"
    run_verb("generated", "score", "minilm", "--folder", folder, "--output", output)
    result = json.loads((output / "generated.json").read_text("utf-8"))["minilm"]
    sets = result["sets"]["balanced"]
    assert sets["generated"]["passages"] == 2 and sets["people"]["passages"] == 1
    assert sets["generated"]["nested"]["gold"] == 6
    assert "| minilm | recall | generated |" in (output / "generated.md").read_text("utf-8")


def test_passages_to_compare_with_are_drawn():
    people, model = (validation_passages(written, 500) for written in (False, True))
    assert 500 <= sum(map(len, people)) < 900 and 500 <= sum(map(len, model)) < 900
    assert not {doc.text for doc in people} & {doc.text for doc in model}
    for doc in validation_passages(False, 500, SPARSE):
        assert 100 * len(doc.spans["mentions"]) < SPARSE * len(doc)


def test_what_the_repository_has():
    prompts, texts = (
        read_lines_of(FOLDER / f"{name}.jsonl") for name in ("prompts", "texts")
    )
    genres = Counter(prompt["genre"] for prompt in prompts)
    assert len(genres) == 20 and set(genres.values()) == {10}
    answered = [{key: one[key] for key in ("id", "genre", "prompt")} for one in texts]
    assert answered == prompts
    passages = read_lines_of(FOLDER / "generated.jsonl")
    assert [one["id"] for one in passages] == [one["id"] for one in draw(prompts, 3)]
    marks = read_marks(FOLDER / "marks.txt", {one["id"]: one["text"] for one in texts})
    assert {one["id"]: [tuple(m[:3]) for m in one["mentions"]] for one in passages} == marks
    read = {record["text"] for record in read_lines_of(OPENMENTIONS)}
    assert not read & {one["text"] for one in texts}
