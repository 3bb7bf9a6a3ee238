"""OpenMentions by groups of genres: the groups, what is found in each, and heads that learn
without one of them."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import spacy
from conftest import GOLD, TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import DocBin

from reproduction.analyses import left_out_genres
from reproduction.analyses.genres import sentence_borders, wrong_borders
from reproduction.analyses.left_out_genres import describe, measure_head, plot_groups
from reproduction.corpora import sets
from reproduction.corpora.genres import by_group, read_part
from reproduction.corpora.kinds import MARKS, set_kinds
from reproduction.corpora.sets import read_set
from spacy_tommer.decoding.decode import logit
from spacy_tommer.evaluation.calibration import CANDIDATES
from spacy_tommer.evaluation.counts import Scored, bin_edges

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "assets" / "openmentions"
GROUPS = json.loads((FOLDER / "genres.json").read_text("utf-8"))
RECORDS = [
    json.loads(line)
    for line in (FOLDER / "openmentions.jsonl").read_text("utf-8").splitlines()
]
# Genres of the small corpus, and of three groups.
SMALL = {"talk": ["chat", "e-mail"], "art": ["poem"], "law": ["contract"]}


def test_each_genre_is_in_one_group():
    grouped = Counter(genre for genres in GROUPS.values() for genre in genres)
    assert set(grouped.values()) == {1}
    assert set(grouped) == {record["genre"] for record in RECORDS}
    assert f"one of {len(GROUPS)} broad groups" in (FOLDER / "DATASHEET.md").read_text(
        "utf-8"
    )


def test_each_group_can_be_left_out():
    group_of = {genre: name for name, genres in GROUPS.items() for genre in genres}
    sizes = Counter((group_of[r["genre"]], r["part"] == "train") for r in RECORDS)
    for name in GROUPS:
        assert sizes[name, True] >= 10 and sizes[name, False] >= 3, name
        # Names of groups stand in lists with commas, and in names of folders.
        assert re.fullmatch(r"[\w ]+", name)


def test_the_group_of_each_held_out_passage_is_found():
    for part in ("validation", "test"):
        found = by_group(read_part(part))
        expected = Counter(r["genre"] for r in RECORDS if r["part"] == part)
        assert list(found) == [name for name in GROUPS if name in found]
        for name, genres in GROUPS.items():
            count = sum(expected[genre] for genre in genres)
            assert len(found.get(name, [])) == count, name


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Give a folder with a small OpenMentions, and its training part as a DocBin."""
    folder = tmp_path / "assets" / "openmentions"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sets, "ASSETS", tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    genres = ["chat", "e-mail", "poem", "contract"]
    rows = []
    for i, part in enumerate(["train"] * 12 + ["validation"] * 8 + ["test"] * 4):
        text = f"{TEXTS[i % 3]} {i}"
        mentions = []
        for mention in GOLD[i % 3][:2]:
            start = text.index(mention)
            mentions.append([start, start + len(mention), "name", "thing", "thing"])
        about = {"id": str(i), "part": part, "genre": genres[i % 4]}
        rows.append({**about, "text": text, "mentions": mentions})
    write_rows(folder, rows)
    (folder / "genres.json").write_text(json.dumps(SMALL), "utf-8")
    docs = read_set(Path(), "openmentions", spacy.blank("en"))
    marked = [set_kinds(doc, MARKS["openmentions"], "openmentions") for doc in docs]
    (tmp_path / "train").mkdir()
    DocBin(docs=marked).to_disk(tmp_path / "train" / "000000.spacy")
    return folder


def write_rows(folder, rows):
    lines = "\n".join(map(json.dumps, rows))
    (folder / "openmentions.jsonl").write_text(lines, "utf-8")


def test_what_has_no_group(corpus):
    other = spacy.blank("en")("Nobody wrote this")
    with pytest.raises(ValueError, match="'Nobody wrote this' is no passage"):
        by_group([other])
    (corpus / "genres.json").write_text(json.dumps({"talk": ["chat"]}), "utf-8")
    with pytest.raises(ValueError, match=r"genre 'e-mail' in a group of genres\.json"):
        by_group(read_part("validation"))


def test_borders_that_no_reader_would_mark():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    text = "We met Ann. Bo left (early)\nfor “Rome” 🙂"
    borders = sentence_borders(text, nlp)
    assert borders == [0, 12, 27]
    mentions = {
        "Ann": [],
        "Ann. Bo": ["crossing"],
        "Bo": [],
        "left (early)": ["edges"],
        "(early": ["edges"],
        "(early)\nfor": ["crossing", "edges"],
        "“Rome": ["edges"],
        "Rome” 🙂": ["edges"],
        "Rome": [],
    }
    for mention, expected in mentions.items():
        start = text.index(mention)
        found = list(wrong_borders(text, [(start, start + len(mention))], borders))
        assert found == [(fault, mention) for fault in expected]


def test_scores_of_groups(corpus):
    """A pipeline that finds some names, and one thing that goes on in the next sentence."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "mentions"})
    found = ["Barack Obama", "New York City", "U.S.", "Paris", "City. 12"]
    ruler.add_patterns([{"label": "MENTION", "pattern": text} for text in found])
    nlp.to_disk("ruler")
    output = run_verb("genres", "score", "ruler", "--output", "out").output
    (result,) = json.loads(Path("out/genres.json").read_text("utf-8")).values()
    # Validation passages are numbers 12 to 19, two gold mentions each; chat and e-mail are
    # 12, 13, 16, 17, which are texts 0, 1, 1, 2.
    counts = {
        name: [one[key] for key in ("passages", "right", "found", "gold")]
        for name, one in result["groups"].items()
    }
    assert counts == {"talk": [4, 4, 6, 8], "art": [2, 2, 3, 4], "law": [2, 2, 3, 4]}
    assert result["groups"]["talk"]["f"] == pytest.approx(2 * 4 / (6 + 8))
    assert result["all"]["r"] == pytest.approx(8 / 16)
    assert result["all"]["p"] == pytest.approx(8 / 12)
    assert result["found"] == {"mentions": 12, "crossing": ["City. 12"], "edges": []}
    assert result["gold"] == {"mentions": 16, "crossing": [], "edges": []}
    assert "| talk | 4 | 8 | 6 | 50.0 | 66.7 | 57.1 |" in output
    assert "12, 1 (8.33 %) cross" in output
    assert Path("out/genres.md").read_text("utf-8") in output + "\n"


@pytest.fixture
def config(write_config):
    """Give a config on a tiny backbone, and the settings of heads of kinds."""
    write_config()
    settings = ["--recipe.sources", "null", "--recipe.steps", 2]
    settings += ["--recipe.kinds", '["NAME","TERM","QUANTITY"]']
    return [*settings, "--training.eval_frequency", 2]


def learnt(folder):
    vocab = spacy.blank("en").vocab
    paths = Path("out", folder, "texts").glob("*.spacy")
    docs = (doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab))
    return sorted(int(doc.text.rpartition(" ")[2]) for doc in docs)


def test_leaving_groups_out(corpus, config, passes):
    given = ("genres", "leave-out", "config.cfg", "train", "out")
    assert "no passages of the group news. It has talk, art, law." in error_of(
        *given, "--groups", "art,news", *config
    )
    output = run_verb(*given, "--groups", "art", *config).output
    art = json.loads(Path("out/left_out.json").read_text("utf-8"))
    assert [row["group"] for row in art] == ["art"]
    assert learnt("all") == list(range(12))
    assert learnt("without art") == [i for i in range(12) if i % 4 != 2]
    head = Path("out/without art/model-last/tommer/model")
    made, computed = head.stat().st_mtime_ns, sum(passes)

    run_verb(*given, *config)
    # It goes on: heads are kept, and no training text is computed a second time.
    assert head.stat().st_mtime_ns == made
    held_out = sum(passes) - computed
    assert learnt("without talk") == [2, 3, 6, 7, 10, 11]
    computed = sum(passes)
    run_verb(*given, *config)
    assert sum(passes) == computed and held_out < computed / 2
    rows = json.loads(Path("out/left_out.json").read_text("utf-8"))
    assert rows[1] == art[0]
    assert [(row["group"], row["learnt"], row["passages"]) for row in rows] == [
        ("talk", 6, 6),
        ("art", 3, 3),
        ("law", 3, 3),
    ]
    assert len({row["with"]["threshold"] for row in rows}) == 1
    assert "| art | 3 | 3 |" in output
    assert Path("out/left_out.png").stat().st_size > 1000
    assert not list(Path("out").glob(".*"))


def scored(right, wrong):
    """Count spans at some probabilities."""
    one = Scored(bin_edges(CANDIDATES))
    gold = np.array([logit(score) for score in right])
    one.add(np.array([*gold, *(logit(score) for score in wrong)]), gold)
    return one


def test_the_threshold_is_that_of_groups_which_were_learnt_from(monkeypatch):
    """The best one is 0.6 there, where the group that is scored has an F1 of 2/3."""
    known = scored([0.9, 0.7], [0.6, 0.2])
    other = scored([0.8, 0.5], [0.3])
    scores = {"known": (known, known), "other": (other, other)}
    monkeypatch.setattr(
        left_out_genres,
        "score_sets",
        lambda pipeline, groups, cache: {name: scores[name] for name in groups},
    )
    result = measure_head(Path(), {"known": []}, {"other": []}, Path())
    assert result == {
        "other": {"threshold": 0.6, "f1": pytest.approx(2 / 3), "precision": 1.0}
    }


def test_the_table_of_left_out_groups():
    rows = [
        {
            "group": name,
            "learnt": 9,
            "passages": 4,
            "with": {"f1": f1, "precision": 0.5},
            "without": {"f1": f1 - 0.1, "precision": 0.25},
        }
        for name, f1 in (("one", 0.8), ("two", 0.6))
    ]
    one, two, mean = describe(rows)[2:]
    assert one == "| one | 9 | 4 | 80.0 | 70.0 | -10.0 | 50.0 | 25.0 | -25.0 |"
    assert two == "| two | 9 | 4 | 60.0 | 50.0 | -10.0 | 50.0 | 25.0 | -25.0 |"
    assert mean == "| mean |  |  | 70.0 | 60.0 | -10.0 | 50.0 | 25.0 | -25.0 |"
    pytest.importorskip("matplotlib")
    (axes,) = plot_groups(rows).axes
    drawn = [line.get_xdata() for line in axes.get_lines()]
    assert np.allclose(drawn, [[80, 60], [70, 50]])
