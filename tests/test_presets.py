"""The published configurations at small size, against the numbers that the docs expect."""

import importlib.util
import re
from pathlib import Path

import pytest

from grokode import nets

ROOT = Path(__file__).parent.parent


def example():
    """examples/published_configurations.py as a module."""
    path = ROOT / "examples" / "published_configurations.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected():
    """Mean and spread over seeds by preset and quantity, from the table of p = 11 in the docs."""
    text = (ROOT / "docs" / "results.md").read_text().replace("\\|", "¦")
    header, _, *lines = text[text.index("| p = 11 |") :].split("\n\n")[0].splitlines()
    table = {name.strip(): {} for name in header.strip("| ").split("|")[1:]}
    for line in lines:
        label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for name, cell in zip(table, cells, strict=True):
            mean, spread = re.fullmatch(r"([\d.]+) ± ([\d.]+)", cell).groups()
            table[name][label.replace("¦", "|")] = float(mean), float(spread)
    return table


@pytest.mark.parametrize("name", [name for name in nets.PRESETS if name.startswith("he2026/")])
def test_a_new_seed_ends_where_the_docs_say(tmp_path, name):
    script, table = example(), expected()[name.partition("/")[2]]
    assert set(table) == set(script.QUANTITIES.values())
    # The docs have the seeds 0 to 11.
    config = nets.preset(name, 11, neurons=64, steps=5_000, checkpoint_every=5_000, seed=12)
    numbers = script.numbers(nets.train(config, tmp_path / "run"))
    for key, label in script.QUANTITIES.items():
        mean, spread = table[label]
        # One more draw from twelve leaves six standard deviations once in ten thousand times; a
        # hundredth for shares of 64 neurons and for the digits printed.
        assert numbers[key] == pytest.approx(mean, abs=6 * spread + 0.01), key
