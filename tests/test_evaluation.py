"""A whole evaluation, from DocBins to reports, and the choice of thresholds."""

import json
import sys

import pytest
import spacy
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import DocBin
from spacy.training import Example

from reproduction.corpora.gold import gold_doc
from reproduction.evaluation.protocol_files import write_protocol
from spacy_tommer.evaluation.calibration import set_thresholds
from spacy_tommer.evaluation.run import evaluate_pipeline
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.evaluation.tables import to_markdown
from spacy_tommer.files import write_aside


@pytest.fixture
def benchmarks(tmp_path):
    """Two sets with one text and two, in two files."""
    nlp = spacy.blank("en")
    docs = []
    for text in TEXTS:
        words = [token.text for token in nlp.make_doc(text)]
        docs.append(gold_doc(nlp.vocab, words, [(0, 2, "A"), (0, 1, "B"), (3, 4, "")]))
    places = ("one/0.spacy", "two/0.spacy", "two/1.spacy")
    for doc, place in zip(docs, places):
        path = tmp_path / "sets" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        DocBin(docs=[doc]).to_disk(path)
    return tmp_path / "sets"


@pytest.fixture
def nlp(make_nlp, benchmarks):
    nlp = make_nlp("bert", threshold=0.01, flat_threshold=0.02)
    docs = read_docs(benchmarks / "two", nlp.vocab)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in docs])
    return nlp


def test_sets_of_a_folder(benchmarks, tmp_path):
    vocab = spacy.blank("en").vocab
    (benchmarks / "notes").mkdir()
    assert list(find_sets(benchmarks)) == ["one", "two"]
    assert find_sets(benchmarks / "two") == {"two": benchmarks / "two"}
    docs = list(read_docs(benchmarks / "two", vocab))
    assert len(docs) == 2 and len(list(read_docs(benchmarks / "two", vocab, 1))) == 1
    assert docs[0].spans["mentions"][0].label_ == "B"
    with pytest.raises(FileNotFoundError, match=r"python -m reproduction convert"):
        find_sets(benchmarks / "notes")
    (benchmarks / "0.spacy").touch()
    assert find_sets(benchmarks) == {"sets": benchmarks}


def test_texts_that_are_not_annotated_are_left_out(nlp, benchmarks, tmp_path):
    folder = benchmarks / "two"
    expected = evaluate_pipeline(nlp, find_sets(folder))
    DocBin(docs=[nlp.make_doc("Nobody marked Paris.")]).to_disk(folder / "2.spacy")
    left_out = r"two: 1 of 3 texts without doc\.spans\['mentions'\]"
    with pytest.warns(UserWarning, match=left_out):
        found = evaluate_pipeline(nlp, find_sets(folder))
    assert found["means"] == expected["means"] and found["sets"]["two"]["texts"] == 2
    with pytest.warns(UserWarning, match=left_out):
        chosen = set_thresholds(nlp, folder)["points"]["balanced"]["threshold"]
    gold = expected["sets"]["two"]["nested"]["gold"]
    assert chosen["two"]["gold"] == gold
    doc = nlp.make_doc("Paris is big.")
    doc.ents = [doc[:1]]
    DocBin(docs=[doc]).to_disk(tmp_path / "ner.spacy")
    told = r"ner\.spacy has doc\.spans.* list\(doc\.ents\)"
    with pytest.raises(ValueError, match=told):
        evaluate_pipeline(nlp, find_sets(tmp_path / "ner.spacy"))
    with pytest.raises(ValueError, match=told):
        set_thresholds(nlp, tmp_path / "ner.spacy")


def test_evaluation_of_a_pipeline(nlp, benchmarks):
    result = evaluate_pipeline(nlp, find_sets(benchmarks))
    assert result["settings"] == {"threshold": 0.01, "flat_threshold": 0.02}
    assert [one["texts"] for one in result["sets"].values()] == [1, 2]
    for name in ("one", "two"):
        gold = read_docs(benchmarks / name, nlp.vocab)
        part = list(nlp.pipe([doc.text for doc in gold]))
        entry = result["sets"][name]
        assert entry["nested"]["found"] == sum(len(doc.spans["mentions"]) for doc in part)
        assert entry["flat"]["found"] == sum(len(doc.ents) for doc in part)
        assert entry["nested"]["inner"]["gold"] == len(part)
        assert entry["nested"]["types"]["MENTION"]["gold"] == len(part)
        assert entry["words_per_second"] > 0
    means = result["means"]["nested"]
    one, two = (entry["nested"]["p"] for entry in result["sets"].values())
    assert one != two
    assert means["plain"]["p"] == pytest.approx((one + two) / 2)
    assert means["weighted"]["p"] == pytest.approx((one + 2 * two) / 3)
    assert means["micro"]["gold"] == 9
    assert set(result["precision_at_recall"]) == {"0.94", "0.956"}
    assert json.loads(json.dumps(result)) == result


def test_limit_takes_the_first_texts(nlp, benchmarks):
    result = evaluate_pipeline(nlp, find_sets(benchmarks), limit=1)
    assert [one["texts"] for one in result["sets"].values()] == [1, 1]


def test_without_a_flat_threshold_there_is_no_greedy_decoding(nlp, benchmarks):
    nlp.get_pipe("tommer").flat_threshold = None
    result = evaluate_pipeline(nlp, find_sets(benchmarks))
    assert list(result["means"]) == ["nested"]
    assert "Greedy" not in to_markdown({"x": result}, {}).partition("## x")[2]


def test_reports(nlp, benchmarks, tmp_path):
    pytest.importorskip("matplotlib")
    results = {"tiny": evaluate_pipeline(nlp, find_sets(benchmarks))}
    write_protocol(tmp_path / "out", results, {"spaCy NER": "Install it."}, limit=5)
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(files) == {"protocol.json", "protocol.md", "curves.png"}
    assert json.loads(files["protocol.json"].read_text("utf-8"))["pipelines"] == results
    assert files["curves.png"].read_bytes().startswith(b"\x89PNG")
    report = files["protocol.md"].read_text("utf-8")
    assert "Only the first 5 texts" in report and "spaCy NER. Install it." in report
    mean = results["tiny"]["means"]["nested"]["plain"]
    shown = " | ".join(f"{100 * mean[key]:.1f}" for key in "rpf")
    assert f"| tiny | {shown} |" in report and f"| mean | {shown} |" in report
    for line in report.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_plot_shows_curve_points_and_the_paper(nlp, benchmarks):
    pytest.importorskip("matplotlib")
    from reproduction.evaluation.plots import F1_LINES, plot_curves

    result = evaluate_pipeline(nlp, find_sets(benchmarks))
    points = {"means": {"nested": {"plain": {"r": 0.5, "p": 0.25}}}}
    axes = plot_curves({"tiny": result, "points": points}).axes[0]
    lines = [tuple(map(tuple, line.get_data())) for line in axes.lines]
    assert ((50.0,), (25.0,)) in lines
    assert any(line[0] == pytest.approx((95.6,)) for line in lines)
    curve = tuple(100 * point["r"] for point in result["curve"])
    assert curve in [line[0] for line in lines]
    for f, (recall, precision) in zip(F1_LINES, lines):
        r, p = recall[50] / 100, precision[50] / 100
        assert 2 * r * p / (r + p) == pytest.approx(f)


def test_without_matplotlib_tables_are_written(nlp, benchmarks, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    results = {"tiny": evaluate_pipeline(nlp, find_sets(benchmarks))}
    with pytest.raises(ImportError, match=r'pip install "spacy-tommer\[plots\]"'):
        write_protocol(tmp_path, results, {})
    assert {"protocol.json", "protocol.md"} <= {path.name for path in tmp_path.iterdir()}


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(aside):
        aside.write_text("ha")
        raise OSError

    with pytest.raises(OSError):
        write_aside(path, fail)
    assert path.read_text() == "old"
    write_aside(path, lambda aside: aside.write_text("new"))
    assert path.read_text() == "new"


def test_the_evaluate_command(nlp, benchmarks, tmp_path):
    pytest.importorskip("matplotlib")
    nlp.to_disk(tmp_path / "nlp")
    arguments = [tmp_path / "nlp", "--benchmarks", benchmarks, "--output", tmp_path / "out"]
    run_verb("evaluate", "mentions", *arguments)
    written = json.loads((tmp_path / "out" / "protocol.json").read_text("utf-8"))
    assert list(written["pipelines"]) == [str(tmp_path / "nlp")]


def test_missing_baselines_are_named(nlp, benchmarks, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("reproduction.evaluation.baselines.PACKAGES", ())
    nlp.to_disk(tmp_path / "nlp")
    arguments = ["--baselines", "--benchmarks", benchmarks, "--output", tmp_path / "out"]
    result = run_verb("evaluate", "mentions", tmp_path / "nlp", *arguments)
    line = "Left out: spaCy NER. en_core_web_sm is not installed: pip install"
    assert line in result.stderr
    assert line in (tmp_path / "out" / "protocol.md").read_text("utf-8")
    assert "no pipeline to score" in error_of("evaluate", "mentions", *arguments)


def test_the_thresholds_command(nlp, benchmarks, tmp_path):
    nlp.to_disk(tmp_path / "nlp")
    arguments = [tmp_path / "nlp", benchmarks, tmp_path / "new"]
    result = run_verb("thresholds", "mentions", *arguments, "--mean-recall", 0.5)
    new = spacy.load(tmp_path / "new")
    tommer = new.get_pipe("tommer")
    points = tommer.operating_points
    assert list(points) == ["balanced", "recall"]
    for key in ("threshold", "flat_threshold"):
        assert getattr(tommer, key) == pytest.approx(points["balanced"][key])
    calibration = new.meta["performance"]["calibration"]
    assert calibration["points"]["recall"]["threshold"]["mean"]["r"] >= 0.5
    assert set(calibration["reliability"]["scales"]) == {"MENTION"}
    assert "Expected calibration error" in result.output
    for name, point in points.items():
        tommer.use_thresholds(name)
        scores = calibration["points"][name]
        for key, value in point.items():
            assert set(scores[key]) == {"one", "two", "mean"}
            assert f"{name}: {key} = {value:.3g}" in result.output
        # What is written is what the pipeline finds.
        gold = read_docs(benchmarks / "two", new.vocab)
        docs = list(new.pipe([doc.text for doc in gold]))
        found = sum(len(doc.spans["mentions"]) for doc in docs)
        assert found == scores["threshold"]["two"]["found"]
        flat = sum(len(doc.ents) for doc in docs)
        assert flat == scores["flat_threshold"]["two"]["found"]
