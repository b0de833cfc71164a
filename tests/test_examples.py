"""Every example runs, small, and writes a figure that is not blank."""

import importlib.util
import inspect
from pathlib import Path

import matplotlib.image
import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
SMALL = {"p": 5, "neurons": 8, "steps": 60, "size": 30, "seeds": 2, "length": 4}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_makes_its_figure(path, tmp_path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = inspect.signature(module.main).parameters
    out = tmp_path / "figure.png"
    module.main(out=out, **{name: value for name, value in SMALL.items() if name in known})
    assert matplotlib.image.imread(out).std() > 0.01
