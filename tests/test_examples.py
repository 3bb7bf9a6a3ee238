"""The scripts of examples/, each run as a user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_minilm

EXAMPLES = Path(__file__).parents[1] / "examples"

# Lines that a script prints, in their order.
PRINTED = {
    "existing_pipeline": [
        "['sentencizer', 'entity_ruler', 'transformer', 'tommer', 'merge_entities', "
        "'tommer_cleaner']",
        "[('Ada Lovelace', 'PERSON'), ('Charles Babbage', 'MENTION')]",
        "[('London', 'MENTION')]",
        "['Ada Lovelace', 'Charles Babbage', 'London']",
    ],
    "find_mentions": [
        "  0.75  University of Bonn",
        "  0.67  Bonn",
        "  0.88  Prussia",
        "Entities, which do not overlap:",
        "  0.75  University of Bonn  MENTION",
        "  0.65  Frederick William III  MENTION",
        "  0.88  Prussia  MENTION",
    ],
    "long_documents": [
        "6400 tokens, 1600 entities",
        "[('Marie Curie', 400), ('Paris', 400), ('Warsaw', 400), ('New York City', 400)]",
        "New York City: 5050 times in 100 documents",
    ],
    "own_data": ["before: ['Mary', 'Rome']", "after:  ['black', 'light grey']"],
    "types_from_definitions": [
        "0.98  Angela Merkel  person",
        "0.98  Paris  city",
        "0.94  Paris  capital",
    ],
}


def test_each_script_is_run_and_short():
    scripts = {path.stem: path.read_text("utf-8") for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == set(PRINTED)
    for name, source in scripts.items():
        assert source.startswith('"""'), name
        assert len(source.splitlines()) < 40, name


@needs_minilm
@pytest.mark.parametrize("name", PRINTED)
def test_script_prints(name, tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert run.returncode == 0, run.stderr
    printed = run.stdout.splitlines()
    place = -1
    for line in PRINTED[name]:
        assert line in printed[place + 1 :], run.stdout
        place = printed.index(line, place + 1)
