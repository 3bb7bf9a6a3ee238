"""Mentions of many texts with Ray: actors do what one process does, also when they die."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from test_scale import pa, places, read, write

from spacy_tommer.scale import MentionActor, annotate, ray_pool
from spacy_tommer.scale.ray_pool import ShardActor, connected, run_actors, start_actors

ray = pytest.importorskip("ray", reason="ray is not installed")

TEXTS = [f"Angela Merkel met {i} people in Paris, or John in the U.S." for i in range(17)]
BAD = {6: None, 13: "x" * 101}
ROWS = [BAD.get(i, text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give the home of the user while Ray runs on this machine."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_worker_niceness", "0")  # 15 by default
        with connected("local", 2):
            yield home


@pytest.fixture
def nlp(make_nlp):
    nlp = make_nlp("bert", threshold=0.4)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    nlp.get_pipe("tommer").model.initialize(X=[doc])
    return nlp


def assert_same(rows: list[dict], others: list[dict]) -> None:
    """Check that rows are the same, but for the rounding of scores."""
    assert len(rows) == len(others)
    for row, other in zip(rows, others):
        assert {**row, "mentions": places(row["mentions"])} == {
            **other,
            "mentions": places(other["mentions"]),
        }
        scores = [one["score"] for one in other["mentions"]]
        assert [one["score"] for one in row["mentions"]] == pytest.approx(scores, abs=1e-5)


def test_an_address_of_nothing():
    with (
        pytest.raises(ConnectionError, match=r"Ray \(nonsense\) cannot be used: Invalid"),
        connected("nonsense", 1),
    ):
        pass
    assert not ray.is_initialized()


def make_mortal(shard: str, mark: Path) -> type:
    """Make an actor that dies once, in the middle of a shard."""

    class Mortal(ShardActor):
        def annotate(self, place, given):
            from spacy_tommer.scale import worker

            counted = worker.counted

            def dying(pairs, done):
                for i, pair in enumerate(counted(pairs, done)):
                    if i == 2:
                        mark.touch()
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield pair

            if given.name == shard and not mark.exists():
                worker.counted = dying
            return super().annotate(place, given)

    return Mortal


def test_an_actor_does_what_is_missing_and_dies_once(home, nlp, tmp_path, monkeypatch):
    source = write(tmp_path / "a.parquet", ROWS)
    alone, out, mark = (tmp_path / name for name in ("alone", "out", "mark"))
    settings = {"model": nlp, "shard_rows": 4, "max_chars": 100, "keep_text": True}
    done = annotate(source, alone, **settings)
    assert (done.rows, done.shards, done.errors) == (17, 5, 2)
    assert all(row["mentions"] for row in read(alone) if row["error"] is None)
    shutil.copytree(alone, out)
    for i in (1, 3, 4):
        (out / f"a-0000{i}.parquet").unlink()
    kept = {path: path.stat() for path in out.glob("*.parquet")}

    monkeypatch.setattr(ray_pool, "ShardActor", make_mortal("a-00003", mark))
    monkeypatch.chdir(tmp_path)  # relative paths are those of this process
    done = annotate("a.parquet", "out", address="local", **settings)
    assert (done.rows, done.shards, done.skipped, done.errors) == (9, 3, 2, 2)
    assert mark.exists()
    assert {path: path.stat() for path in kept} == kept
    assert_same(read(out), read(alone))
    assert [row["id"] for row in read(out)] == [f"r{i}" for i in range(17)]
    errors = {row["id"]: row["error"] for row in read(out) if row["error"]}
    assert errors == {"r6": "null", "r13": "longer than 100 characters: 101"}
    assert not list(out.glob(".*"))


def make_light(log: Path, dies: dict[str, int]) -> type:
    """Make actors without a pipeline, which die in some shards, some number of times, and
    fail with an error in the shard "wrong"."""

    class Light:
        def __init__(self):
            self.place = None

        def prepare(self, place):
            if place == "none":
                raise FileNotFoundError("no weights")
            self.place = place

        def annotate(self, place, shard):
            with log.open("a") as stream:
                stream.write(f"{shard}\n")
            if log.read_text().split().count(shard) <= dies.get(shard, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            if shard == "wrong":
                raise ValueError("damaged")
            return place + shard

    return Light


def test_shards_of_actors_that_die_are_done_again(home, tmp_path):
    log = tmp_path / "log"
    shards = ["a", "once", "always", "wrong", "b", "c"]
    light = make_light(log, {"once": 1, "always": 99})
    done = dict(run_actors(start_actors(light, 2, 0), "the ", shards))
    assert sorted(done) == sorted(shards)
    for shard in ("a", "once", "b", "c"):
        assert done[shard] == f"the {shard}"
    assert str(done["wrong"]) == "damaged"
    assert isinstance(done["always"], ChildProcessError)
    assert "its process died" in str(done["always"])
    counts = {shard: log.read_text().split().count(shard) for shard in shards}
    assert counts == {"a": 1, "once": 2, "always": 4, "wrong": 1, "b": 1, "c": 1}


def test_an_actor_that_died_takes_the_place_of_one_that_is_done(home, tmp_path):
    light = make_light(tmp_path / "log", {"once": 1})
    actors = start_actors(light, 3, 0)  # one more than there are CPUs
    shards = ["a", "once", "b"]
    assert dict(run_actors(actors, "", shards)) == dict(zip(shards, shards))


def test_actors_that_cannot_load_end_the_run(home, tmp_path):
    actors = start_actors(make_light(tmp_path / "log", {}), 1, 0)
    with pytest.raises(ChildProcessError, match=r"cannot load the pipeline: .*no weights"):
        list(run_actors(actors, "none", ["a"]))
    assert not (tmp_path / "log").exists()


def test_mentions_in_ray_data(home, nlp, tmp_path):
    data = pytest.importorskip("ray.data", reason="Ray Data is not installed")
    nlp.to_disk(tmp_path / "model")
    table = pa.table({"n": list(range(17)), "text": ROWS})
    data.DataContext.get_current().enable_progress_bars = False
    given = {"model": str(tmp_path / "model"), "max_chars": 100}
    found = data.from_arrow(table).map_batches(
        MentionActor,
        fn_constructor_kwargs=given,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(size=1),
    )
    rows = sorted(found.take_all(), key=lambda row: row["n"])
    assert_same(rows, MentionActor(**given)(table).to_pylist())
    assert any(row["mentions"] for row in rows)


def test_nothing_is_written_to_the_home(home):
    assert ray.is_initialized()
    assert not list(home.iterdir())
