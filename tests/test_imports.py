"""What is imported with the package, in a new process."""

import subprocess
import sys

IMPORTED = """
import sys, spacy_tommer
print({"fastapi", "ray", "transformers"} & sys.modules.keys())
import spacy_tommer.scale
print({"fastapi", "ray"} & sys.modules.keys())
"""


def test_libraries_are_imported_only_when_they_are_used():
    shown = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert shown.stdout.splitlines() == ["set()"] * 2, shown.stderr
