"""The notebook runs from its first cell to its last, in a kernel of its own."""

import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "three_short_examples.ipynb"

nbformat = pytest.importorskip("nbformat", reason="the group test is not installed")
nbclient = pytest.importorskip("nbclient", reason="the group test is not installed")


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a notebook shows its figures itself
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code), "outputs are not kept: they would grow old"
    for cell in code:
        small = re.sub(r"steps=\d+", "steps=600", cell.source)
        cell.source = re.sub(r"neurons=\d+", "neurons=64", small)
    nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": tmp_path}}
    ).execute()
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
    printed = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert re.search(r"R2 [\d.]+\nscale", printed)
