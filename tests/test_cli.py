"""The command line, run as a user does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise

import pytest
import spacy
from conftest import TEXTS, add_backbone, needs_minilm
from spacy.cli import setup_cli
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import fix_random_seed
from typer.testing import CliRunner

import spacy_tommer
from spacy_tommer.__main__ import app

SHOWN = ("mentions", "flat")


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    """A saved pipeline that has learnt to find the names in the texts."""
    nlp = spacy.blank("en", config={"nlp": {"batch_size": 16}})
    add_backbone(nlp, tiny("bert"))
    nlp.add_pipe("tommer", config={"flat_threshold": 0.5})
    examples = []
    for text in TEXTS:
        reference = nlp.make_doc(text)
        names = [token for token in reference if token.is_title]
        reference.spans["mentions"] = [reference[t.i : t.i + 1] for t in names]
        examples.append(Example(nlp.make_doc(text), reference))
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(40):
        nlp.update(
            examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"]
        )
    path = tmp_path_factory.mktemp("cli") / "nlp"
    nlp.to_disk(path)
    return str(path)


def command(*args):
    return [sys.executable, "-m", "spacy_tommer", *args]


def run(*args, stdin=b"", code=0):
    result = CliRunner().invoke(app, args, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == code, result.stderr
    return result.stdout_bytes.decode("utf-8"), result.stderr


def test_jsonl_of_all_inputs(model, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text(f"{TEXTS[1]}\r\n\n{TEXTS[2]}", "utf-8")
    out, _ = run(TEXTS[0], "--file", str(file), "--model", model, "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["text"] for record in records] == [TEXTS[0], TEXTS[1], "", TEXTS[2]]
    assert records[2] == {"text": "", "mentions": [], "flat": []}
    for record in records:
        for span in record["mentions"] + record["flat"]:
            place = slice(span["start_char"], span["end_char"])
            assert record["text"][place] == span["text"]
            assert 0.5 < span["score"] <= 1
        flat = [(s["start_char"], s["end_char"]) for s in record["flat"]]
        assert all(a[1] <= b[0] for a, b in pairwise(flat))
    out, _ = run("--model", model, "--format", "jsonl", stdin=file.read_bytes())
    piped = [json.loads(line) for line in out.splitlines()]
    assert [[span["text"] for span in record["mentions"]] for record in piped] == [
        [span["text"] for span in record["mentions"]] for record in records[1:]
    ]


def test_threshold(model):
    def scores(*args):
        out, _ = run(*TEXTS, "--model", model, "--format", "jsonl", *args)
        records = [json.loads(line) for line in out.splitlines()]
        return [span["score"] for r in records for span in r["mentions"] + r["flat"]]

    assert min(scores("--threshold", "0")) < 0.1
    assert all(score > 0.9 for score in scores("--threshold", "0.9"))
    assert scores("--threshold", "1") == []
    _, error = run("x", "--model", model, "--threshold", "1.5", code=2)
    assert "between 0 and 1" in error


def test_recall(model, tmp_path):
    nlp = spacy.load(model)
    points = {"recall": {"threshold": 0.05, "flat_threshold": 0.2}}
    nlp.get_pipe("tommer").operating_points = points
    nlp.to_disk(tmp_path / "nlp")

    def scores(*args):
        out, _ = run(*TEXTS, "--model", str(tmp_path / "nlp"), "--format", "jsonl", *args)
        records = [json.loads(line) for line in out.splitlines()]
        return [[span["score"] for r in records for span in r[key]] for key in SHOWN]

    mentions, flat = scores()
    assert min(mentions) > 0.5 and min(flat) > 0.5
    more, more_flat = scores("--recall")
    assert len(more) > len(mentions) and 0.05 < min(more) < 0.5
    assert len(more_flat) >= len(flat) and min(more_flat) > 0.2
    # A threshold of one's own wins.
    assert min(scores("--recall", "--threshold", "0.6")[0]) > 0.6
    _, error = run("x", "--model", model, "--recall", code=2)
    assert "no thresholds 'recall'" in error


def test_precision(model, tmp_path):
    args = (*TEXTS, "--model", model, "--format", "jsonl")
    out = {}
    for precision in ("float32", "bfloat16"):
        shown, _ = run(*args, "--precision", precision)
        folder = tmp_path / precision
        run(*args, "--precision", precision, "--output", f"{folder}/")
        nlp = spacy_tommer.load(model, precision=precision)
        lines = (folder / "texts-00000.jsonl").read_text("utf-8").splitlines()
        out[precision] = [json.loads(line)["mentions"] for line in shown.splitlines()]
        assert [json.loads(line)["mentions"] for line in lines] == out[precision]
        for doc, found in zip(nlp.pipe(TEXTS), out[precision], strict=True):
            scores = doc.spans["mentions"].attrs["scores"]
            assert [mention["score"] for mention in found] == pytest.approx(scores)
    assert out["float32"] != out["bfloat16"]
    assert run(*args)[0] == run(*args, "--precision", "float32")[0]
    _, error = run(*args, "--precision", "half", code=2)
    assert "'half', expected one of float32, bfloat16, int8, auto" in error
    assert len(error.splitlines()) == 1


def test_kinds(make_nlp, examples, tmp_path, model):
    kinds = ["NAME", "TERM", "PHRASE", "Gene"]
    settings = {"@architectures": "spacy_tommer.Tommer.v1", "kinds": kinds}
    nlp = make_nlp(model=settings, threshold=0.0, flat_threshold=0.0)
    nlp.initialize(lambda: examples)
    nlp.to_disk(tmp_path / "nlp")

    def labels(*args):
        out, _ = run(*TEXTS, "--model", str(tmp_path / "nlp"), "--format", "jsonl", *args)
        records = [json.loads(line) for line in out.splitlines()]
        return {span["label"] for r in records for span in r["mentions"] + r["flat"]}

    assert labels() == {"NAME", "TERM", "Gene"}
    assert labels("--kinds", "term, gene") == {"TERM", "Gene"}
    assert labels("-k", "PHRASE") == {"PHRASE"}
    _, error = run("x", "--model", str(tmp_path / "nlp"), "--kinds", "city", code=2)
    assert "NAME, TERM, PHRASE, Gene, and not ['city']" in error
    assert run("x", "--model", model, "--kinds", "mention")[0]
    _, error = run("x", "--model", model, "--kinds", "NAME", code=2)
    assert "of MENTION, and not ['NAME']" in error


def test_table(model):
    text = f"{TEXTS[1]}\x1b[31m met\tAngela"
    out, _ = run(text, "--model", model, "--threshold", "0")
    first, *rows = out.splitlines()
    assert first == rf"{TEXTS[1]}\x1b[31m met\tAngela"
    assert len(rows) > 3
    assert all("\x1b" not in row for row in rows)
    assert any(" * " in row for row in rows)


def test_spacy_shards(model, tmp_path):
    folder = tmp_path / "out"
    args = ("--model", model, "--format", "spacy", "--output", str(folder))
    texts = [f"{TEXTS[i % 3]} {i}" for i in range(101)]
    run(*args, "--shard-rows", "100", stdin="\n".join(texts).encode())
    nlp = spacy.load(model)
    paths = sorted(folder.iterdir())
    docs = [list(DocBin().from_disk(path).get_docs(nlp.vocab)) for path in paths]
    assert [len(shard) for shard in docs] == [100, 1]
    assert [doc.text for shard in docs for doc in shard] == texts
    expected = nlp(texts[-1])
    assert docs[1][0].spans["mentions"].attrs["scores"] == pytest.approx(
        expected.spans["mentions"].attrs["scores"], abs=1e-4
    )
    ents = [(ent.start, ent.end, ent.label_) for ent in expected.ents]
    assert ents == [(ent.start, ent.end, ent.label_) for ent in docs[1][0].ents]
    _, error = run(*args, stdin=b"x", code=2)
    assert "already holds" in error
    _, error = run("x", "--format", "spacy", code=2)
    assert "--output" in error


def test_a_table_is_written_to_a_folder(model, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for name in "ab":
        texts = [f"{name} {text}" for text in [*TEXTS, None]]
        table = {"key": [f"{name}{i}" for i in range(4)], "body": [*texts[:3], None]}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    out = tmp_path / "out"
    files = ("--file", str(tmp_path / "*.parquet"), "--model", model)
    columns = ("--column", "body", "--id", "key", "--keep-text")
    args = (*files, *columns, "--output", f"{out}/", "--shard-rows", "3")
    _, error = run(*args, "--threshold", "0.4")
    assert "8 rows, 2 of them bad, in 4 shards. " in error
    tables = [pq.read_table(path) for path in sorted(out.glob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["id"] for row in rows] == [f"{name}{i}" for name in "ab" for i in range(4)]
    assert rows[4]["text"] == f"b {TEXTS[0]}" and rows[3]["error"] == "null"
    spans = json.loads(
        run(rows[4]["text"], "--model", model, "--threshold", "0.4", "--format", "jsonl")[0]
    )["mentions"]
    assert [(one["start"], one["end"]) for one in rows[4]["mentions"]] == [
        (one["start_char"], one["end_char"]) for one in spans
    ]
    (out / "a-00001.parquet").unlink()
    _, error = run(*args, "--threshold", "0.4")
    assert "1 rows, 1 of them bad, in 1 shards; 3 were there already." in error
    _, error = run(*args, "--threshold", "0.5", code=2)
    assert "begun with threshold = 0.4, and this run has 0.5" in error
    _, error = run(*args[:2], "--output", str(tmp_path / "x"), "--format", "spacy", code=2)
    assert "no column 'text'" in error


def test_a_folder_of_lines(model, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("\n".join(TEXTS), "utf-8")
    out = tmp_path / "out"
    out.mkdir()
    run("--file", str(file), "--model", model, "--format", "jsonl", "--output", str(out))
    lines = (out / "a.jsonl").read_text("utf-8").splitlines()
    shown, _ = run("--file", str(file), "--model", model, "--format", "jsonl")
    for i, (line, whole) in enumerate(zip(lines, shown.splitlines())):
        whole = json.loads(whole)
        del whole["text"]
        assert json.loads(line) == {"id": i, **whole, "error": None}
    # Texts of the command line and of standard input
    out = tmp_path / "texts"
    args = ("--model", model, "--format", "jsonl", "--output", f"{out}/", "--keep-text")
    run(*TEXTS, *args, "--shard-rows", "2")
    assert sorted(path.name for path in out.iterdir()) == [
        "texts-00000.jsonl",
        "texts-00001.jsonl",
    ]
    assert json.loads((out / "texts-00001.jsonl").read_text())["text"] == TEXTS[2]


def test_wrong_use_of_a_folder(model, tmp_path):
    (tmp_path / "a.parquet").touch()
    file = ("--file", str(tmp_path / "a.parquet"))
    for args, message in (
        (("x", "--n-process", "2"), "Name it with --output"),
        (("x", "--format", "parquet"), "Name it with --output"),
        (("x", "--output", f"{tmp_path}/", "--format", "html"), "A folder takes --format"),
        (("x", "--output", f"{tmp_path}/", "--gpus", "1"), "--ray"),
        (file, "--output out/"),
        (("b.parquet", *file, "--output", f"{tmp_path}/"), "pattern in quotes"),
        ((*file, "--output", f"{tmp_path}/o/"), "is cut off"),
    ):
        _, error = run(*args, "--model", model, code=2)
        assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_html(model, tmp_path):
    page = tmp_path / "page.html"
    output = ("--format", "html", "--output", str(page))
    run(f"a<b & {TEXTS[1]}", "", "--model", model, *output)
    written = page.read_text("utf-8")
    assert "&lt;" in written and "&amp; " in written and "a<b" not in written
    assert written.count("<article") == 2
    assert 'aria-label="John, score 0.' in written
    assert 'class="token"' not in written
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    out, _ = run(f"a<b & {TEXTS[1]}", "", "--model", model, "--format", "html")
    assert out == written
    run(TEXTS[1], "", "--model", model, *output, "--matches")
    assert 'aria-label="John, value ' in page.read_text("utf-8")
    _, error = run("x", "--model", model, "--matches", code=2)
    assert "--format html" in error


def test_html_appears_whole_or_not_at_all(model, tmp_path, monkeypatch):
    def interrupted(*args):
        yield "<!doctype html>"
        raise OSError("the disk is full")

    monkeypatch.setattr("spacy_tommer.page.formats.page_parts", interrupted)
    page = tmp_path / "page.html"
    page.write_text("before")
    args = ("--format", "html", "--output", str(page))
    _, error = run("x", "--model", model, *args, code=2)
    assert "the disk is full" in error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_bytes_that_are_no_text(model, tmp_path):
    data = b"Paris \xff\xfe\nnul \x00 byte\n\xed\xa0\x80\n" + "naïve 😀 e\u0301\n".encode()
    file = tmp_path / "bytes"
    file.write_bytes(data)
    expected = [
        "Paris \ufffd\ufffd",
        "nul \x00 byte",
        "\ufffd\ufffd\ufffd",
        "naïve 😀 e\u0301",
    ]
    for args, stdin in ((("--file", str(file)), b""), ((), data)):
        out, _ = run(*args, "--model", model, "--format", "jsonl", stdin=stdin)
        assert [json.loads(line)["text"] for line in out.splitlines()] == expected


def test_empty_blank_and_endless_texts(model):
    long = "x" * 10000
    out, _ = run("", " ", "\n\n", long, "--model", model, "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [len(record["mentions"]) for record in records[:3]] == [0, 0, 0]
    assert records[3]["text"] == long
    assert run("--model", model)[0] == ""


def test_random_texts(model):
    rng = random.Random(0)
    ranges = [(0, 0x7F), (0x80, 0x2FF), (0x300, 0x36F), (0x590, 0x6FF), (0x900, 0xDFF)]
    ranges += [(0x2000, 0x206F), (0x3040, 0x9FFF), (0xFE00, 0xFFFF), (0x1F300, 0x1FAFF)]
    ranges += [(0, 0xD7FF), (0xE000, 0x10FFFF)]
    texts = []
    for _ in range(400):
        pool = [rng.randint(*rng.choice(ranges)) for _ in range(rng.randint(0, 60))]
        text = "".join(map(chr, pool))
        texts.append(text.replace("\r", " ").replace("\n", " "))
    stdin = "\n".join([*texts, ""]).encode("utf-8")
    out, _ = run("--model", model, "--format", "jsonl", stdin=stdin)
    assert [json.loads(line)["text"] for line in out.split("\n")[:-1]] == texts
    out, _ = run("--model", model, stdin=stdin)
    assert len(out.splitlines()) >= 400


def test_lines(model, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes(b"\xef\xbb\xbfa\rb\r\nc\n")
    out, _ = run("--file", str(file), "--model", model, "--format", "jsonl")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["a\rb", "c"]
    _, error = run("--file", str(file), "--model", model, "--output", str(file), code=2)
    assert "overwritten" in error
    assert file.stat().st_size == 10


def test_pipeline_without_weights(tiny, tmp_path):
    nlp = spacy.blank("en")
    add_backbone(nlp, tiny("bert"))
    nlp.add_pipe("tommer")
    nlp.to_disk(tmp_path / "nlp")
    _, error = run("x", "--model", str(tmp_path / "nlp"), code=2)
    assert "pretrained" in error


def test_wrong_use_is_explained(model, tmp_path):
    _, error = run("x", "--model", "nothing", code=2)
    assert "minilm" in error and "smollm2" in error
    run("--file", str(tmp_path / "nothing"), code=2)
    _, error = run("x", "--model", model, "--output", str(tmp_path / "no" / "x"), code=2)
    assert "No such file" in error
    spacy.blank("en").to_disk(tmp_path / "blank")
    _, error = run("x", "--model", str(tmp_path / "blank"), code=2)
    assert "no component named tommer" in error


@pytest.mark.skipif(os.name == "nt", reason="sends a signal of POSIX")
def test_interrupt_leaves_whole_lines(model, tmp_path):
    output = tmp_path / "out.jsonl"
    with subprocess.Popen(
        command("--model", model, "--format", "jsonl", "--output", str(output)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Jobs in the background of a shell ignore the signal, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        for i in range(400):
            process.stdin.write(f"{TEXTS[i % 3]}\n".encode())
        process.stdin.flush()
        give_up = time.monotonic() + 60
        while not (output.exists() and output.stat().st_size):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
        process.stdin.close()
    assert b"Traceback" not in error
    lines = output.read_text("utf-8").split("\n")
    assert lines[-1] == ""
    assert len(lines) > 10
    assert [json.loads(line)["text"] for line in lines[:-1]] == [
        TEXTS[i % 3] for i in range(len(lines) - 1)
    ]


def test_lines_come_out_as_they_come_in_until_the_reader_stops(model):
    with subprocess.Popen(
        command("--model", model, "--format", "jsonl"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(f"{TEXTS[0]}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == TEXTS[0]  # start-up
        for text in TEXTS[1:]:
            start = time.monotonic()
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
            assert time.monotonic() - start < 5  # the stream is still open
        process.stdout.close()
        process.stdin.write("\n".join(TEXTS * 100).encode())
        with suppress(BrokenPipeError):  # it may have ended by now
            process.stdin.close()
        assert b"Traceback" not in process.stderr.read()


def test_encodings(model, tmp_path):
    text = "Zoë Brülé wohnt in Köln."
    args = ("--model", model, "--format", "jsonl")
    for encoding in ("latin-1", "utf-16", "utf-8-sig"):
        path = tmp_path / encoding
        path.write_bytes(f"{text}\n{text}\n".encode(encoding))
        out, _ = run("--file", str(path), "--encoding", encoding, *args)
        assert [json.loads(line)["text"] for line in out.splitlines()] == [text, text]
    out, error = run("--file", str(tmp_path / "latin-1"), *args)
    assert "\ufffd" in out and "line 1 of" in error and "--encoding latin-1" in error
    assert error.count("Warning") == 1
    assert run("--file", str(tmp_path / "utf-8-sig"), *args)[1] == ""
    _, error = run("--file", str(tmp_path / "utf-16"), *args, code=2)
    assert "--encoding utf-16" in error
    _, error = run(
        "--file", str(tmp_path / "latin-1"), "--encoding", "ascii", *args, code=2
    )
    assert "--encoding ascii" in error
    _, error = run("--file", str(tmp_path / "latin-1"), "--encoding", "no", *args, code=2)
    assert "--encoding no" in error


def test_several_files_and_short_options(model, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"{name} {TEXTS[0]}\n", "utf-8")
    files = ("-i", str(tmp_path / "a"), "-i", str(tmp_path / "b"))
    output = tmp_path / "out"
    run(*files, "-m", model, "-t", "0.4", "-f", "jsonl", "-o", str(output))
    records = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [record["text"][0] for record in records] == ["a", "b"]
    for record in records:
        assert all(one["score"] > 0.4 for one in record["mentions"] + record["flat"])
        assert all(one["label"] == "MENTION" for one in record["mentions"])
    out, _ = run("--version")
    assert out.strip() == f"spacy_tommer {spacy_tommer.__version__}"


@pytest.mark.skipif(os.name == "nt", reason="makes links and pipes of POSIX")
@pytest.mark.parametrize("format", ["html", "jsonl"])
def test_links_and_pipes_stay_what_they_are(model, tmp_path, format):
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    target.write_text("before")
    link.symlink_to(target)
    run("Ada", "--model", model, "--format", format, "--output", str(link))
    assert link.is_symlink() and "Ada" in target.read_text("utf-8")
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.read_text, "utf-8")
        run("Ada", "--model", model, "--format", format, "--output", str(pipe))
        assert "Ada" in written.result(timeout=30)
    assert pipe.is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {"target", "link", "pipe"}


def test_types_stand_in_table_and_lines(tmp_path, model):
    nlp = spacy.load(model)
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "city", "pattern": "Paris"}])
    nlp.to_disk(tmp_path / "typed")
    out, _ = run("in Paris", "--model", str(tmp_path / "typed"))
    assert [line.split()[-2:] for line in out.splitlines() if "city" in line] == [
        ["city", "Paris"]
    ]
    out, _ = run("in Paris", "--model", str(tmp_path / "typed"), "--format", "jsonl")
    record = json.loads(out)
    assert {one["text"]: one["label"] for one in record["flat"]}["Paris"] == "city"


def spacy_tommer_command(*args, code=0):
    from spacy_tommer.cli import app as commands

    result = CliRunner().invoke(commands, args)
    assert result.exit_code == code, result.output
    return result.output


def test_commands_of_spacy(model, tmp_path, monkeypatch, capsys):
    names = ("find", "models", "evaluate", "thresholds", "cache")
    monkeypatch.setattr(sys, "argv", ["spacy", "tommer", "--help"])
    with pytest.raises(SystemExit):
        setup_cli()  # which is what python -m spacy runs
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    assert "minilm" in spacy_tommer_command("models")
    docs = DocBin()
    for text in TEXTS:
        doc = spacy.blank("en")(text)
        doc.spans["mentions"] = [doc[t.i : t.i + 1] for t in doc if t.is_title]
        docs.add(doc)
    data = tmp_path / "gold.spacy"
    docs.to_disk(data)
    results, page = tmp_path / "results.json", tmp_path / "page.html"
    args = ("evaluate", model, str(data), "--output", str(results), "--page", str(page))
    assert "Greedy decoding" in spacy_tommer_command(*args)
    scored = json.loads(results.read_text("utf-8"))["sets"]["gold"]["nested"]
    golds = list(docs.get_docs(spacy.blank("en").vocab))
    assert scored["gold"] == sum(len(gold.spans["mentions"]) for gold in golds)
    assert scored["r"] > 0.9
    assert page.read_text("utf-8").count("<article") == len(TEXTS)
    output = tmp_path / "better"
    shown = spacy_tommer_command(
        "thresholds", model, str(data), str(output), "--mean-recall", "0.9"
    )
    assert "threshold = " in shown
    assert spacy.load(output).get_pipe("tommer").threshold > 0
    assert "nothing" in spacy_tommer_command("evaluate", "nothing", str(data), code=2)


@needs_minilm
def test_thresholds_of_a_shipped_model(tmp_path):
    nlp = spacy_tommer.load("minilm")
    gold = list(nlp.pipe(TEXTS))
    for doc in gold:
        doc._.trf_data = None
        doc.ents = []
    DocBin(docs=gold).to_disk(tmp_path / "gold.spacy")
    args = ("minilm", str(tmp_path / "gold.spacy"), str(tmp_path / "mine"))
    assert "threshold = " in spacy_tommer_command("thresholds", *args)
    tommer = spacy_tommer.load(tmp_path / "mine").get_pipe("tommer")
    assert tommer.threshold != nlp.get_pipe("tommer").threshold
    shown = spacy_tommer_command("thresholds", "maxilm", *args[1:], code=2)
    assert "maxilm" in shown and "minilm" in shown


def test_cached_states_are_listed_and_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cache = tmp_path / "cache"
    for name, size in (("states/abc-token", 3_000_000), ("texts/def", 10)):
        (cache / name).mkdir(parents=True)
        (cache / name / "x.safetensors").write_bytes(bytes(size))
    shown = spacy_tommer_command("cache", str(cache))
    assert "3.0 MB  states/abc-token" in shown and "texts/def" in shown
    shown = spacy_tommer_command("cache", str(cache), "--drop", "../x", code=2)
    assert "no '../x'" in shown
    shown = spacy_tommer_command("cache", str(cache), "--drop", "states/abc-token")
    assert "dropped states/abc-token (3.0 MB)" in shown
    assert not (cache / "states" / "abc-token").exists() and (cache / "texts/def").exists()
    assert "Nothing is kept" in spacy_tommer_command("cache", str(tmp_path / "none"))
