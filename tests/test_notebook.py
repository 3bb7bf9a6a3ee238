"""The notebook, run from top to bottom as a user does."""

from pathlib import Path

import pytest
from conftest import needs_minilm

NOTEBOOK = Path(__file__).resolve().parents[1] / "assets" / "demo.ipynb"


@needs_minilm
def test_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    printed = "".join(o.text for o in outputs if o.output_type == "stream")
    assert "University of Bonn" in printed and "Ada Lovelace" in printed
    displayed = [o.data["text/html"] for o in outputs if o.output_type == "display_data"]
    frames = [markup for markup in displayed if "<iframe" in markup]
    assert len(frames) == 3 and len(displayed) == 5
    assert ["class=&quot;token&quot;" in frame for frame in frames] == [False, True, False]
