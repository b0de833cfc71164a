"""Every example runs, small, and writes a figure that is not blank and can be read."""

import importlib.util
import inspect
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from grokode.compare.common.style import LEAST, PRINTED

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
SMALL = {"p": 5, "neurons": 8, "steps": 60, "size": 30, "seeds": 2, "length": 4}


@pytest.fixture
def on_paper(monkeypatch):
    """Points that the smallest letters of each figure written have at the width of a page."""
    smallest = []
    write = Figure.savefig

    def savefig(figure, *arguments, **options):
        write(figure, *arguments, **options)
        letters = [
            float(text.get_fontsize())
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text()
        ]
        smallest.append(min(letters) / max(1, figure.get_figwidth() / PRINTED))

    monkeypatch.setattr(Figure, "savefig", savefig)
    return smallest


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_makes_its_figure(path, tmp_path, on_paper):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = inspect.signature(module.main).parameters
    out = tmp_path / "figure.png"
    module.main(out=out, **{name: value for name, value in SMALL.items() if name in known})
    assert matplotlib.image.imread(out).std() > 0.01
    assert len(on_paper) == 1
    assert on_paper[0] >= LEAST * (1 - 1e-9)
