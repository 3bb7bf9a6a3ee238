"""The scripts of examples/, which run as they are."""

import re
import runpy
from pathlib import Path

import pytest
from conftest import needs_minilm, needs_smollm2

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# It needs the weights of a causal model.
CAUSAL = "generated_text"
# Its test is in test_serving.
SERVER = "serve"
# Lines that a script prints, in their order.
PRINTED = {
    "existing_pipeline": [
        "['sentencizer', 'entity_ruler', 'transformer', 'tommer', 'merge_entities', "
        "'tommer_cleaner']",
        "[('Ada Lovelace', 'PERSON'), ('Charles Babbage', 'NAME')]",
        "[('London', 'NAME')]",
        "['Ada Lovelace', 'Charles Babbage', 'London']",
    ],
    "find_mentions": [
        "  0.95  University of Bonn",
        "  0.62  Bonn",
        "  0.97  Prussia",
        "Entities, which do not overlap:",
        "  0.95  University of Bonn  NAME",
        "  0.87  Frederick William III  NAME",
        "  0.97  Prussia  NAME",
    ],
    "five_kinds_of_text": [
        "News:",
        "  city: Oslo",
        "  person: Ingrid Solheim",
        "Recipe:",
        "  ingredient: olive oil",
        "Contract:",
        "  date: 3 May 2024",
        "Abstract:",
        "  disease: breast cancer",
        "Chat:",
        "  city: Lisbon",
    ],
    "generated_text": [
        "0.98  France  NAME",
        "0.97  Lyon  NAME",
        " [NAME], which is the [TERM] of [NAME], and [NAME], which is the [TERM] of "
        "[NAME]'s [QUANTITY].",
    ],
    "long_documents": [
        "1600 tokens, 400 entities",
        "[('Marie Curie', 100), ('Paris', 100), ('Warsaw', 100), ('New York City', 100)]",
        "New York City: 465 times in 30 documents",
    ],
    "own_data": ["before: ['Mary', 'Rome']", "after:  ['black', 'light grey']"],
    "stream_of_text": [
        "'Ada Love': ['Ada']",
        "'lace wrote to Charles ': ['Ada Lovelace', 'Charles']",
        "'Babbage in London. ': ['Ada Lovelace', 'Charles Babbage', 'London']",
        "[NAME] wrote to [NAME]. He answered.",
    ],
    "types_from_definitions": [
        "1.00  Angela Merkel  person",
        "1.00  Paris  city",
        "1.00  Paris  capital",
    ],
}


def test_each_script_is_run_and_short():
    scripts = {path.stem: path.read_text("utf-8") for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == {*PRINTED, SERVER}
    for name, source in scripts.items():
        assert source.startswith('"""'), name
        assert len(source.splitlines()) < 40, name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs_smollm2 if name == CAUSAL else needs_minilm)
        for name in PRINTED
    ],
)
def test_script_prints(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    shown = capsys.readouterr().out
    printed = shown.splitlines()
    place = -1
    for line in PRINTED[name]:
        assert line in printed[place + 1 :], shown
        place = printed.index(line, place + 1)


def table_rows(text, first):
    """Read the rows of Markdown tables whose first cell is one of some."""
    cells = [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if "|" in line]
    return [row[1] for row in cells if row[0] in first]


@needs_minilm
def test_the_page_on_labels_has_what_the_script_prints(capsys):
    runpy.run_path(str(EXAMPLES / "five_kinds_of_text.py"), run_name="__main__")
    printed = re.split(r"^\w+:\n", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    expected = [
        ", ".join(re.sub(r"  (.*?): (.*)", r"`\2` \1", line) for line in part.splitlines())
        for part in printed
    ]
    page = (ROOT / "docs/labels.md").read_text("utf-8")
    assert table_rows(page, ["minilm"]) == expected


def test_the_readme_has_the_rows_of_mpnet():
    readme, page = ROOT / "README.md", ROOT / "docs/labels.md"
    kinds = ["news", "recipe", "contract", "abstract", "chat"]
    rows = table_rows(readme.read_text("utf-8"), kinds)
    assert rows == table_rows(page.read_text("utf-8"), ["mpnet"])
