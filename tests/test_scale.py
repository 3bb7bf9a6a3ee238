"""Mentions of many texts on one machine: shards, bad rows, and runs that go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import spacy
from conftest import needs_minilm
from spacy.tokens import DocBin

import spacy_tommer
from spacy_tommer.backbone.model import spec_of
from spacy_tommer.files import write_aside
from spacy_tommer.scale import MentionActor, ShardsFailed, annotate
from spacy_tommer.scale.extras import need
from spacy_tommer.scale.job import Job, Shard
from spacy_tommer.scale.parquet import cut_groups
from spacy_tommer.scale.pipeline import describe, pack, unpack
from spacy_tommer.scale.shards import find_inputs, find_shards, read_rows

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

TEXTS = [f"Angela Merkel met {i} people from Paris, and Ada Lovelace." for i in range(10)]


@pytest.fixture(scope="module")
def nlp():
    return spacy_tommer.load("minilm")


def write(path: Path, texts=TEXTS, group: int = 4, **columns) -> Path:
    """Write texts as parquet."""
    table = pa.table({"id": [f"r{i}" for i in range(len(texts))], "text": texts, **columns})
    pq.write_table(table, path, row_group_size=group)
    return path


def read(folder: Path) -> list[dict]:
    """Read the rows of all shards of parquet, in the order of their names."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in read_one(path)]


def read_one(path: Path) -> list[dict]:
    return pq.ParquetFile(path).read().to_pylist()


def places(mentions: list[dict]) -> list[tuple]:
    return [(one["start"], one["end"], one["label"], one["flat"]) for one in mentions]


@needs_minilm
def test_the_mentions_of_a_table(nlp, tmp_path):
    write(tmp_path / "a.parquet")
    done = annotate(tmp_path / "a.parquet", tmp_path / "out", model=nlp, shard_rows=4)
    assert (done.rows, done.shards, done.skipped, done.errors) == (10, 3, 0, 0)
    assert done.words == sum(len(nlp.make_doc(text)) for text in TEXTS)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["_run.json", *(f"a-0000{i}.parquet" for i in range(3))]
    rows = read(tmp_path / "out")
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(10)]
    for row, text in zip(rows, TEXTS):
        doc = nlp(text)
        spans = doc.spans["mentions"]
        ents = {(ent.start_char, ent.end_char) for ent in doc.ents}
        assert places(row["mentions"]) == [
            (s.start_char, s.end_char, s.label_, (s.start_char, s.end_char) in ents)
            for s in spans
        ]
        scores = [one["score"] for one in row["mentions"]]
        assert scores == pytest.approx(spans.attrs["scores"], abs=1e-3)
        assert row["error"] is None
    assert any(one["flat"] for one in rows[0]["mentions"])
    schema = pq.read_schema(tmp_path / "out" / "a-00000.parquet")
    assert str(schema.field("mentions").type) == (
        "list<element: struct<start: int32, end: int32, label: string, score: float, "
        "flat: bool>>"
    )
    about = json.loads(schema.metadata[b"spacy_tommer"])
    assert about["version"] == spacy_tommer.__version__
    assert about["threshold"] == nlp.get_pipe("tommer").threshold
    assert about["kinds"] == ["NAME", "TERM", "QUANTITY"]
    assert len(about["sha256"]) == 64
    # Readers of whole folders pass over the record of the run.
    dataset = pytest.importorskip("pyarrow.dataset")
    assert dataset.dataset(tmp_path / "out").count_rows() == 10


@needs_minilm
def test_a_run_goes_on_with_the_shards_that_are_missing(nlp, tmp_path):
    source, out = write(tmp_path / "a.parquet"), tmp_path / "out"
    settings = {"model": nlp, "shard_rows": 4, "keep_text": True}
    annotate(source, out, **settings)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    (out / "a-00001.parquet").unlink()
    (out / ".a-00001.parquet.host.1.part").write_bytes(b"half")
    done = annotate(source, out, **settings)
    assert (done.shards, done.skipped, done.rows) == (1, 2, 4)
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert {name for name in after if after[name] != before[name]} == {"a-00001.parquet"}
    assert [row["text"] for row in read(out)] == TEXTS
    assert not list(out.glob(".*"))
    assert annotate(source, out, **settings).shards == 0
    # More inputs join, and what is there stays.
    write(tmp_path / "b.parquet", TEXTS[:2])
    done = annotate(str(tmp_path / "*.parquet"), out, **settings)
    assert (done.shards, done.skipped) == (1, 3)
    assert len(read_one(out / "b.parquet")) == 2


@needs_minilm
def test_another_run_is_refused(nlp, tmp_path):
    source, out = write(tmp_path / "a.parquet"), tmp_path / "out"
    annotate(source, out, model=nlp)
    with pytest.raises(ValueError, match=r"begun with shard_rows = 10000.* has 5"):
        annotate(source, out, model=nlp, shard_rows=5)
    tommer = nlp.get_pipe("tommer")
    threshold = tommer.threshold
    tommer.threshold = 0.9
    with pytest.raises(ValueError, match="begun with threshold"):
        annotate(source, out, model=nlp)
    tommer.threshold = threshold
    write(source, TEXTS[:3])
    with pytest.raises(ValueError, match=r"a\.parquet of .* bytes, and the input"):
        annotate(source, out, model=nlp)
    (out / "_run.json").unlink()
    with pytest.raises(FileExistsError, match="already holds"):
        annotate(source, out, model=nlp)
    assert len(read(out)) == 10


@needs_minilm
def test_all_formats_of_inputs_hold_the_same(nlp, tmp_path):
    texts = [*TEXTS[:3], 'Ada, of "Paris",\nand Bonn.']
    write(tmp_path / "a.parquet", texts)
    lines = [json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)]
    (tmp_path / "b.jsonl").write_text("\ufeff" + "\n\n".join(lines) + "\n", "utf-8")
    cells = [text.replace('"', '""') for text in texts]
    rows = [f'{i},"{cell}"\r\n' for i, cell in enumerate(cells)]
    (tmp_path / "c.csv").write_bytes("".join(["id,text\r\n", *rows]).encode())
    (tmp_path / "d.txt").write_bytes("\r\n".join(TEXTS[:3]).encode())
    for format in ("parquet", "jsonl"):
        out = tmp_path / format
        done = annotate(
            [tmp_path / name for name in ("a.parquet", "b.jsonl", "c.csv", "d.txt")],
            out,
            model=nlp,
            shard_rows=2,
            keep_text=True,
            format=format,
        )
        assert (done.shards, done.rows, done.errors) == (8, 15, 0)
    found = {
        name: [
            row
            for i in range(2)
            for row in read_one(tmp_path / f"parquet/{name}-0000{i}.parquet")
        ]
        for name in "abcd"
    }
    assert [row["text"] for row in found["a"]] == texts
    assert [row["id"] for row in found["b"]] == [row["id"] for row in found["c"]]
    assert [row["id"] for row in found["b"]] == ["0", "1", "2", "3"]
    assert [row["id"] for row in found["d"]] == [0, 1, 2]
    for name in "bcd":
        for row, expected in zip(found[name], found["a"]):
            assert row["text"] == expected["text"]
            assert places(row["mentions"]) == places(expected["mentions"])
    paths = sorted((tmp_path / "jsonl").glob("a-*.jsonl"))
    lines = [json.loads(line) for path in paths for line in path.open("rb")]
    for line, row in zip(lines, found["a"]):
        assert (line["id"], line["text"], line["error"]) == (row["id"], row["text"], None)
        assert [one["start_char"] for one in line["mentions"]] == [
            one["start"] for one in row["mentions"]
        ]


@needs_minilm
def test_bad_rows_have_an_error_and_stop_nothing(nlp, tmp_path):
    lines = [
        {"id": "good", "text": TEXTS[0]},
        {"id": "null", "text": None},
        {"id": "number", "text": 3},
        {"id": "missing"},
        {"id": "long", "text": "x" * 101},
        {"id": "surrogate", "text": "a \ud800 b"},
        {"id": "empty", "text": ""},
        [1],
    ]
    data = "\n".join([*map(json.dumps, lines), '{"id": "cut', ""]).encode()
    data += b'{"id": "bytes", "text": "caf\xe9"}\n{"text": "no id"}\n'
    (tmp_path / "a.jsonl").write_bytes(data)
    done = annotate(tmp_path / "a.jsonl", tmp_path / "out", model=nlp, max_chars=100)
    assert (done.rows, done.errors) == (11, 8)
    rows = read(tmp_path / "out")
    assert {row["id"]: row["error"] for row in rows[:7]} == {
        "good": None,
        "null": "null",
        "number": "not a string: int",
        "missing": "null",
        "long": "longer than 100 characters: 101",
        "surrogate": "not valid Unicode: character 2",
        "empty": None,
    }
    assert rows[7]["error"] == "row 7 is not a JSON object: list"
    assert rows[8]["error"].startswith("row 8 is not JSON: ")
    assert rows[9] == {
        "id": "bytes",
        "mentions": [],
        "error": "not valid Unicode: character 3",
    }
    assert rows[10]["id"] is None and rows[10]["error"] is None
    assert rows[0]["mentions"] and not any(row["mentions"] for row in rows[1:7])


@needs_minilm
def test_bad_rows_of_parquet(nlp, tmp_path):
    texts = pa.array([b"Ada met Merkel.", None, b"caf\xe9"], pa.binary())
    pq.write_table(pa.table({"body": texts.view(pa.string())}), tmp_path / "a.parquet")
    annotate(tmp_path / "a.parquet", tmp_path / "out", model=nlp, text="body")
    rows = read(tmp_path / "out")
    assert [row["id"] for row in rows] == [0, 1, 2]  # without a column, row numbers
    assert [row["error"] for row in rows] == [
        None,
        "null",
        "not valid Unicode: character 3",
    ]


@needs_minilm
def test_docbins(nlp, tmp_path):
    write(tmp_path / "a.parquet", [TEXTS[0], None, TEXTS[1]])
    annotate(tmp_path / "a.parquet", tmp_path / "out", model=nlp, format="spacy")
    vocab = spacy.blank("en").vocab
    docs = list(DocBin().from_disk(tmp_path / "out/a.spacy").get_docs(vocab))
    assert [doc.user_data for doc in docs] == [
        {"id": "r0", "error": None},
        {"id": "r1", "error": "null"},
        {"id": "r2", "error": None},
    ]
    assert [doc.text for doc in docs] == [TEXTS[0], "", TEXTS[1]]
    expected = nlp(TEXTS[1])
    assert [ent.text for ent in docs[2].ents] == [ent.text for ent in expected.ents]
    assert docs[2].spans["mentions"].attrs["scores"] == pytest.approx(
        expected.spans["mentions"].attrs["scores"], abs=1e-3
    )


@needs_minilm
@pytest.mark.skipif(os.name == "nt", reason="kills a process as POSIX does")
def test_processes(nlp, tmp_path, monkeypatch):
    source = write(tmp_path / "a.parquet", TEXTS * 2, big=["x"] * 20)
    settings = {"model": nlp, "shard_rows": 4}
    annotate(source, tmp_path / "one", **settings)
    done = annotate(source, tmp_path / "two", workers=2, **settings)
    assert (done.shards, done.rows) == (5, 20)
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert [row["id"] for row in two] == [row["id"] for row in one]
    assert [places(row["mentions"]) for row in two] == [
        places(row["mentions"]) for row in one
    ]
    # A process that dies ends the run with an error, and the next run ends the work.
    out = tmp_path / "killed"

    def die(path, write):
        if path.name.startswith("a-00003"):
            os.kill(os.getpid(), signal.SIGKILL)
        write_aside(path, write)

    monkeypatch.setattr("spacy_tommer.scale.worker.write_aside", die)
    with pytest.raises(ChildProcessError, match="a-00003"):
        annotate(source, out, workers=2, **settings)
    monkeypatch.undo()
    assert not (out / "a-00003.parquet").exists()
    written = len(list(out.glob("*.parquet")))
    done = annotate(source, out, **settings)
    assert done.skipped == written and done.shards == 5 - written
    assert [row["id"] for row in read(out)] == [row["id"] for row in one]


RUN = """
import sys, time
from spacy_tommer.scale import annotate, worker

def slow(rows, done, counted=worker.counted):
    print("begun", flush=True)
    time.sleep(600)
    yield from counted(rows, done)

worker.counted = slow
annotate(sys.argv[1], sys.argv[2], workers=2, shard_rows=5)
"""


@needs_minilm
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_processes_end_with_the_first_one(tmp_path):
    source = write(tmp_path / "a.parquet")
    command = [sys.executable, "-c", RUN, str(source), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as run:
        assert run.stdout.readline() == b"begun\n"
        processes = session(run.pid)
        run.kill()
        assert len(processes) == 3
        give_up = time.monotonic() + 30
        while session(run.pid):
            assert time.monotonic() < give_up
            time.sleep(0.05)


def session(leader: int) -> list[int]:
    """List the processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(") ")
        except OSError:  # it has just ended
            continue
        state, _, _, leads, *_ = rest.split()
        if leads == str(leader) and state != "Z":
            found.append(int(name.split()[0]))
    return found


@needs_minilm
def test_a_shard_that_fails_stops_no_other(nlp, tmp_path):
    source = write(tmp_path / "a.parquet", group=5)
    data = bytearray(source.read_bytes())
    column = pq.ParquetFile(source).metadata.row_group(0).column(1)
    place = column.dictionary_page_offset
    data[place : place + 40] = bytes(40)
    source.write_bytes(data)
    with pytest.raises(ShardsFailed, match=r"(?s)1 shards failed.*a-00000 .*is damaged"):
        annotate(source, tmp_path / "out", model=nlp, shard_rows=5)
    assert [row["id"] for row in read(tmp_path / "out")] == [f"r{i}" for i in range(5, 10)]


@needs_minilm
def test_an_input_that_changes_during_a_run(nlp, tmp_path, monkeypatch):
    source = tmp_path / "a.txt"
    source.write_text("\n".join(TEXTS), "utf-8")
    change = "spacy_tommer.scale.run.open_folder"
    monkeypatch.setattr(change, lambda job, _: (job.output.mkdir(), source.write_text("x")))
    with pytest.raises(ShardsFailed, match="changed since the run began"):
        annotate(source, tmp_path / "out", model=nlp)
    assert not list((tmp_path / "out").iterdir())


def test_inputs_that_cannot_be_read(tmp_path):
    whole = write(tmp_path / "a.parquet", n=list(range(10)))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"no column 'body'.*'id', 'text', 'n'"):
        annotate(whole, out, text="body")
    with pytest.raises(ValueError, match=r"'n' of .*a\.parquet holds int64"):
        annotate(whole, out, text="n")
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cut\.parquet is cut off"):
        annotate([whole, tmp_path / "cut.parquet"], out)
    (tmp_path / "no.parquet").touch()
    with pytest.raises(ValueError, match=r"no\.parquet is cut off"):
        annotate(tmp_path / "no.parquet", out)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"a\.csv has no column 'text'.*'a', 'b'"):
        annotate(tmp_path / "a.csv", out)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl has no column 'text'.*'a'"):
        annotate(tmp_path / "a.jsonl", out)
    (tmp_path / "u.txt").write_text("Köln", "utf-16")
    with pytest.raises(ValueError, match="UTF-16"):
        annotate(tmp_path / "u.txt", out)
    (tmp_path / "a.gz").touch()
    for wrong, message in (
        ("none", "There is no file"),
        ("none/*.parquet", "There is no file"),
        ("", "is a folder"),
        ("a.gz", "packed"),
    ):
        with pytest.raises(ValueError, match=message):
            annotate(str(tmp_path / wrong), out)
    with pytest.raises(ValueError, match="No input"):
        annotate([], out)
    assert not out.exists()


def test_wrong_settings(tmp_path):
    (tmp_path / "a.txt").write_text("Ada")
    for settings, message in (
        ({"format": "xml"}, "parquet, jsonl, spacy"),
        ({"shard_rows": 0}, "`shard_rows` is a whole number from 1"),
        ({"workers": 0}, "`workers` is a whole number from 1"),
        ({"gpus": 1}, "an `address`.*--ray"),
        ({"encoding": "utf-16"}, "Convert them to UTF-8"),
        ({"encoding": "no"}, "'no' is not known"),
    ):
        with pytest.raises(ValueError, match=message):
            annotate(tmp_path / "a.txt", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_inputs_are_found_once_by_their_absolute_paths(tmp_path, monkeypatch):
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    found = find_inputs(["*.txt", Path("c.csv"), tmp_path / "b.txt"])
    assert found == [tmp_path / name for name in ("a.txt", "b.txt", "c.csv")]


def test_two_inputs_of_one_name(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.parquet")
    with pytest.raises(ValueError, match=r"x/a\.parquet and .*y/a\.parquet would both"):
        annotate(str(tmp_path / "*" / "a.parquet"), tmp_path / "out")
    (tmp_path / "a-00000.txt").write_text("Ada")
    with pytest.raises(ValueError, match=r"would both write a-00000\.parquet"):
        annotate(
            [tmp_path / "x/a.parquet", tmp_path / "a-00000.txt"],
            tmp_path / "out",
            shard_rows=5,
        )


@needs_minilm
def test_inputs_without_rows(nlp, tmp_path):
    write(tmp_path / "a.parquet", pa.array([], pa.string()))
    for name in ("b.txt", "c.jsonl", "d.csv"):
        (tmp_path / name).touch()
    (tmp_path / "e.csv").write_text("id,text\n")
    paths = sorted(tmp_path.glob("*.*"))
    out = tmp_path / "out"
    assert annotate(paths, out, model=nlp).shards == 5
    assert [pq.read_table(path).num_rows for path in sorted(out.glob("*.parquet"))] == [
        0
    ] * 5
    assert annotate(paths, out, model=nlp).skipped == 5


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        ([], [0]),
        ([0], [0]),
        ([4], [4]),
        ([5], [5]),
        ([6], [5, 1]),
        ([2, 2, 2], [4, 2]),
        ([3, 11, 3], [3, 5, 5, 4]),
    ],
)
def test_row_groups_are_cut(groups, counts):
    assert cut_groups(groups, 5) == counts


@pytest.mark.parametrize("size", [1, 3, 4, 5, 9, 10, 11])
def test_shards_hold_each_row_once(tmp_path, size):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.txt").write_text("\n".join(TEXTS), "utf-8")
    (tmp_path / "c.csv").write_text('text\n"' + '"\n"'.join(TEXTS) + '"\n', "utf-8")
    job = Job(tmp_path / "out", shard_rows=size)
    for name in ("a.parquet", "b.txt", "c.csv"):
        shards = find_shards([tmp_path / name], job)
        rows = [list(read_rows(shard, job)) for shard in shards]
        assert [len(part) for part in rows] == [shard.rows for shard in shards]
        assert max(map(len, rows)) <= size
        assert [row.text for part in rows for row in part] == TEXTS
        expected = [f"r{i}" for i in range(10)] if name == "a.parquet" else list(range(10))
        assert [row.id for part in rows for row in part] == expected


def test_other_encodings(tmp_path):
    (tmp_path / "a.txt").write_bytes("Köln\nZürich".encode("cp1252"))
    job = Job(tmp_path / "out", encoding="cp1252")
    (shard,) = find_shards([tmp_path / "a.txt"], job)
    assert [row.text for row in read_rows(shard, job)] == ["Köln", "Zürich"]
    job = Job(tmp_path / "out")
    errors = [row.error for row in read_rows(shard, job)]
    assert errors == ["not valid Unicode: character 1"] * 2


def test_a_shard_is_named_in_messages():
    shard = Shard("a-00001", 10, 10, Path("in/a.parquet"))
    assert str(shard) == f"a-00001 (rows 10 to 20 of {Path('in/a.parquet')})"


@needs_minilm
def test_the_vocabulary_does_not_grow(nlp, tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(f"zq{i} xv{i}" for i in range(300)))
    strings = len(nlp.vocab.strings)
    annotate(tmp_path / "a.txt", tmp_path / "out", model=nlp)
    assert len(nlp.vocab.strings) - strings < 50


@needs_minilm
def test_an_actor_for_the_engines_of_others(nlp, tmp_path):
    texts = pa.chunked_array([TEXTS[:2], [None], ["x" * 101]], pa.large_string())
    actor = MentionActor("minilm", "body", max_chars=100)
    table = actor(pa.table({"n": [1, 2, 3, 4], "body": texts}))
    assert table.column_names == ["n", "body", "mentions", "error"]
    rows = table.to_pylist()
    assert [row["error"] for row in rows] == [
        None,
        None,
        "null",
        "longer than 100 characters: 101",
    ]
    doc = nlp(TEXTS[1])
    found = [(one["start"], one["end"]) for one in rows[1]["mentions"]]
    assert found == [(s.start_char, s.end_char) for s in doc.spans["mentions"]]
    coded = pa.table({"body": pa.array(TEXTS[:2]).dictionary_encode()})
    assert actor(coded).column("mentions").to_pylist() == [r["mentions"] for r in rows[:2]]
    assert actor(coded.slice(0, 0)).num_rows == 0
    with pytest.raises(ValueError, match="no column 'body'"):
        actor(pa.table({"text": TEXTS}))
    with pytest.raises(ValueError, match="holds int64"):
        actor(pa.table({"body": [1]}))
    more = MentionActor("minilm", thresholds="recall")(pa.table({"text": TEXTS[:1]}))
    assert len(more.to_pylist()[0]["mentions"]) > len(rows[0]["mentions"])


def test_extras_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r'pip install "spacy-tommer\[parquet\]"'):
        annotate(tmp_path / "a.parquet", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "spacy-tommer\[ray\]"'):
        need("ray", "ray")


@needs_minilm
def test_workers_compute_in_the_precision_of_the_start(tmp_path, monkeypatch):
    chosen = "spacy_tommer.backbone.precision.has_bfloat16"
    for has, precision in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(chosen, Mock(return_value=has))
        nlp = spacy_tommer.load("minilm", precision="auto")
        packed, about = pack(nlp), describe(nlp)
        monkeypatch.setattr(chosen, Mock(return_value=not has))
        worker = unpack(packed)
        assert spec_of(worker.get_pipe("transformer").model).precision == precision
        assert describe(worker) == about
        assert about["precision"] == {"transformer": precision}
        assert nlp.config["components"]["transformer"]["model"]["precision"] == "auto"
