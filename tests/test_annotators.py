"""People who judge the same spans as a language model."""

import csv
import json
import re
import sys

import pytest
import spacy
from run_verb import error_of, run_verb
from spacy.tokens import DocBin

from reproduction.annotators.answers import read_answers
from reproduction.annotators.measures import (
    compare_answers,
    majority,
    measure_annotators,
)
from reproduction.annotators.tasks import (
    FORMULA,
    Task,
    draw_tasks,
    plain,
    read_tasks,
    write_csv,
    write_prodigy,
)
from reproduction.corpora.gold import gold_doc
from reproduction.judge.judged import judged_doc

pytest.importorskip("sklearn")
WORDS = ["=SUM(A1)", "met", "@Ann", "in", '"Rome"', ",", "\n", "then", "+1", "left"]


@pytest.fixture
def judged(tmp_path):
    """Two sets, with six judged spans of each."""
    vocab = spacy.blank("en").vocab
    for name in ("one", "two"):
        doc = gold_doc(vocab, WORDS, [(2, 3, "X")])
        places = [(doc[i].idx, doc[i].idx + len(doc[i])) for i in range(6)]
        groups = ["judged", "rejected"] * 3
        places = [(*place, group) for place, group in zip(places, groups)]
        folder = tmp_path / "judged" / name
        folder.mkdir(parents=True)
        DocBin(docs=[judged_doc(doc, places)]).to_disk(folder / "0.spacy")
    return tmp_path / "judged"


@pytest.fixture
def tasks(judged):
    return draw_tasks(read_tasks(judged), 600, 0)


def test_the_sample_is_random_and_takes_as_many_of_each_set(judged):
    tasks = read_tasks(judged)
    assert len(tasks) == 12 and tasks[0].id == "one-0-0-8"
    drawn = draw_tasks(tasks, 4, 0)
    assert [task.set for task in sorted(drawn, key=lambda one: one.id)] == (
        ["one"] * 4 + ["two"] * 4
    )
    assert drawn == draw_tasks(tasks, 4, 0) != draw_tasks(tasks, 4, 1)
    whole = draw_tasks(tasks, 600, 0)
    assert whole != tasks and set(whole) == set(tasks)


def fill(path, answers, delimiter=",", encoding="utf-8-sig"):
    """Fill in a spreadsheet, and save it as another program would."""
    with path.open(encoding="utf-8-sig", newline="") as file_:
        rows = list(csv.DictReader(file_))
    with path.open("w", encoding=encoding, newline="") as file_:
        writer = csv.DictWriter(file_, rows[0], delimiter=delimiter)
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "verdict": answers.get(row["id"], "")})


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-8")]
)
def test_spreadsheets_come_back(tasks, tmp_path, delimiter, encoding):
    path = tmp_path / "ann.csv"
    tasks = [Task("=1-0-0-8", "=1", "a;b\t[x]", 0, 3, "yes"), *tasks]
    write_csv(path, tasks)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file_:
        rows = list(csv.DictReader(file_))
    for row, task in zip(rows, tasks, strict=True):
        assert set(row) == {"id", "text", "verdict"} and row["verdict"] == ""
        assert not row["text"].startswith(("=", "+", "-", "@"))
        assert not row["id"].startswith("=")
        start, end = task.start, task.end
        shown = f"{task.text[:start]}[[{task.text[start:end]}]]{task.text[end:]}"
        assert row["text"].lstrip("'") == shown
    wanted = {task.id: answer for task, answer in zip(tasks, ["yes", "no", "yes", "no"])}
    shown = {id_: answer.upper() + " " for id_, answer in wanted.items()}
    shown["'=1-0-0-8"] = shown.pop("=1-0-0-8")
    fill(path, shown, delimiter, encoding)
    ids = {task.id for task in tasks}
    assert read_answers([path], ids) == {"ann": wanted}


def test_long_texts_are_cut(tmp_path):
    task = Task("s-0-500-503", "s", "=" * 500 + "Ann" + "=" * 500, 500, 503, "no")
    write_csv(tmp_path / "a.csv", [task])
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file_:
        (row,) = csv.DictReader(file_)
    assert row["text"] == "..." + "=" * 300 + "[[Ann]]" + "=" * 300 + "..."
    write_prodigy(tmp_path / "a.jsonl", [task])
    line = json.loads((tmp_path / "a.jsonl").read_text("utf8"))
    (span,) = line["spans"]
    assert line["text"][span["start"] : span["end"]] == "Ann" and len(line["text"]) == 603


def test_prodigy_tasks_come_back(tasks, tmp_path):
    path = tmp_path / "ben.jsonl"
    write_prodigy(path, tasks)
    lines = [json.loads(line) for line in path.read_text("utf8").splitlines()]
    for line, task in zip(lines, tasks, strict=True):
        assert set(line) == {"text", "spans", "meta"} and set(line["meta"]) == {"id"}
        (span,) = line["spans"]
        assert line["text"][span["start"] : span["end"]] == task.text[task.start : task.end]
    for line, answer in zip(lines, ["accept", "reject", "ignore"]):
        line.update(answer=answer, _input_hash=1, _session_id="x")
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", "utf8")
    wanted = {tasks[0].id: "yes", tasks[1].id: "no"}
    assert read_answers([path], {task.id for task in tasks}) == {"ben": wanted}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text,verdict\nx,t,yes\nz,t,no\n", r"line 3: no judged span .*'z'"),
        ("a.csv", "id,verdict\nx,yes\ny,\nx,yes\n", r"line 4: the id 'x' stands in line 2"),
        ("a.csv", "id,verdict\nx,maybe\n", r"line 2: 'maybe' is none of 'yes', 'no'"),
        ("a.csv", "name,verdict\nx,yes\n", "no columns 'id' and 'verdict'"),
        ("a.csv", "", "no columns 'id' and 'verdict'"),
        ("a.csv", b"id,verdict\nx,yes\n\xe9,no\n", "CSV UTF-8"),
        ("a.xlsx", b"PK", "neither a .csv"),
        ("a.jsonl", '{"meta": {"id": "x"}, "answer": "yes"}', r"line 1: 'yes' is none of"),
        ("a.jsonl", '{"meta": {"id": "q"}, "answer": "accept"}', "'q'"),
        ("a.jsonl", '{"meta": {}}', "db-out"),
        ("a.jsonl", '{"meta": {"id": "x"}}\n{"meta": {"id": "x"}}', "stands in line 1"),
        ("a.jsonl", "[]", "db-out"),
        ("a.jsonl", "{", "db-out"),
    ],
)
def test_errors_name_the_line(name, content, message, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_answers([tmp_path / name], {"x", "y"})


def test_each_annotator_has_a_name(tmp_path):
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / name).write_text("id,verdict\n" if name == "a.csv" else "")
    with pytest.raises(ValueError, match="Two files are called 'a'"):
        read_answers([tmp_path / "a.csv", tmp_path / "a.jsonl"], set())


def answers_of(counts):
    """Make two annotators' answers from counts of pairs."""
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    return (
        {str(i): pair[0] for i, pair in enumerate(pairs)},
        {str(i): pair[1] for i, pair in enumerate(pairs)},
    )


def test_kappa():
    # Agreement 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4.
    first, second = answers_of(
        {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    )
    result = compare_answers(first, second)
    assert result["spans"] == 50 and result["agreement"] == 0.7
    assert result["kappa"] == pytest.approx(0.4)
    assert (result["yes_no"], result["no_yes"]) == (5, 10)
    assert compare_answers({**first, "x": "yes"}, {**second, "y": "no"}) == result
    same = compare_answers({"a": "yes", "b": "yes"}, {"a": "yes", "b": "yes"})
    assert same["agreement"] == 1 and same["kappa"] is None
    assert compare_answers({}, {})["agreement"] is None


def test_majority():
    first = {"a": "yes", "b": "yes", "c": "no", "d": "yes"}
    second = {"a": "yes", "b": "no", "c": "no"}
    assert majority([first, second]) == {"a": "yes", "c": "no", "d": "yes"}
    assert majority([]) == {}


def test_disagreements_of_each_set():
    verdicts = ["yes", "yes", "no", "no", "yes"]
    tasks = [
        Task(str(i), "s" if i < 3 else "t", "x", 0, 1, verdict)
        for i, verdict in enumerate(verdicts)
    ]
    every = {"0": "yes", "1": "no", "2": "yes", "3": "yes"}
    other = {**every, "2": "no"}
    result = measure_annotators(tasks, {"ann": every, "ben": every, "cleo": other})
    kinds = {
        name: (one["spans"], one["yes_no"], one["no_yes"])
        for name, one in {**result["sets"], "all": result["all"]}.items()
    }
    assert kinds == {"s": (3, 1, 1), "t": (1, 1, 0), "all": (4, 2, 1)}
    assert result["judge"]["cleo"]["yes_no"] == 1 and result["ties"] == 0
    assert [(one["first"], one["second"], one["agreement"]) for one in result["pairs"]] == [
        ("ann", "ben", 1),
        ("ann", "cleo", 0.75),
        ("ben", "cleo", 0.75),
    ]
    assert measure_annotators(tasks, {"ann": every, "cleo": other})["ties"] == 1


def test_the_annotators_command(judged, tmp_path, monkeypatch):
    output = ["--output", tmp_path / "out"]
    run_verb("annotators", "sample", judged, *output)
    files = [tmp_path / "out" / name for name in ("sample.csv", "sample.jsonl")]
    for path in files:
        shown = path.read_text("utf-8-sig")
        assert "judged" not in shown and "rejected" not in shown
    # A sheet that may be filled in is not written over.
    filled = files[0].read_bytes()
    assert "may hold verdicts" in error_of("annotators", "sample", judged, *output)
    assert files[0].read_bytes() == filled
    files[0] = files[0].rename(tmp_path / "out" / "ann.csv")
    tasks = read_tasks(judged)
    fill(files[0], {task.id: task.verdict for task in tasks[:11]})
    result = run_verb("annotators", "report", judged, *files, *output)
    assert "| all | 100.0 | 1.000 | 11 | 0 | 0 |" in result.output
    report = (tmp_path / "out" / "annotators.md").read_text("utf8")
    assert "| ann, sample | - | - | 0 | 0 | 0 |" in report
    assert "| paper, both | 87.2 | 0.359 | 1800 | 88 | 143 |" in report
    written = json.loads((tmp_path / "out" / "annotators.json").read_text("utf8"))
    assert written["judge"]["ann"]["spans"] == 11
    error = error_of("annotators", "report", judged / "one", *files, *output)
    assert "no judged span has the id" in error
    elsewhere = ("--output", tmp_path / "elsewhere")
    assert ".spacy" in error_of("annotators", "sample", tmp_path / "out", *elsewhere)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    error = error_of("annotators", "report", judged, *files, *output)
    assert 'pip install "spacy-tommer[judge]"' in error


def test_docs_without_verdicts_are_not_judged(tmp_path):
    doc = gold_doc(spacy.blank("en").vocab, WORDS, [(2, 3, "X")])
    DocBin(docs=[doc]).to_disk(tmp_path / "0.spacy")
    with pytest.raises(ValueError, match="has no judged spans"):
        read_tasks(tmp_path)


@pytest.mark.parametrize(
    "cell",
    ["=1", "\n=1", " ;=1+1", "@x", "\t=1", "'=1", "''=1", "'plain", "plain", "a=1", "\r"],
)
def test_cells_are_text_and_are_read_back(cell):
    written = plain(cell)
    assert not re.match(r"[\s;,]*[=+\-@]|[\t\r]", written)
    taken = written[1:] if written[0] == "'" and FORMULA.match(written[1:]) else written
    assert taken == cell
