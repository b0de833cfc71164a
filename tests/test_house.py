"""The rules of the house: who may import whom, and that the papers match the package."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import grokode

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    "theory": ("torch", "grokode.nets", "grokode.compare", "grokode.cli"),
    "nets": ("grokode.compare", "grokode.cli"),
    "compare": ("grokode.cli", "grokode.console"),
}
# Of theory, nets takes coordinates and the optimiser's record.
SHARED = ("grokode.theory.fourier", "grokode.theory.modulus", "grokode.theory.optimizer")
# A module imports only from floors below its own, or its own.
FLOORS = {
    "theory": [
        {"modulus", "optimizer"},
        {"fourier"},
        {"flow", "exact", "solvers", "systems", "tableaus", "mechanism", "rule"},
        {"_updates", "kept"},
        {"_projections"},
        {"_truncation"},
        {"neuron_flow", "moment_flow", "harmonic_flow", "lottery", "streaming"},
        {"predictors"},
    ],
    "nets": [
        {"records"},
        {"tasks/base", "tasks/modular", "tasks/examples", "tasks/__init__"},
        {"networks/base", "networks/activations", "networks/starts", "networks/recipes"},
        {"networks/two_layer_model", "networks/fused", "networks/autograd"},
        {"networks/two_layer", "networks/__init__", "training/optimizers"},
        {"training/config", "training/presets", "training/ensemble"},
        {"training/interventions", "runs/layout", "runs/record"},
        {"runs/manifest", "runs/store"},
        {"runs/format2", "runs/source", "runs/output"},
        {"runs/begun", "runs/run"},
        {"runs/writer"},
        {"runs/__init__"},
        {"training/requests", "training/loop", "published"},
        {"replay"},
        {"sweeps/sweep", "sweeps/engine", "sweeps/results", "sweeps/__init__"},
    ],
    "compare": [
        {"cells", "observe", "split", "forces", "alignment", "estimates", "kernels", "page"},
        {"rungs", "retrained", "cosines", "phases", "leakage", "budget", "logits", "progress"},
        {"winners", "trajectories", "corollary", "mechanism", "stages", "statistics"},
        {"perturbed", "tables", "logit_tables", "mechanism_tables", "stage_tables"},
        {"claims"},
        {"demo_report", "run_report"},
    ],
}


def imported_modules(path):
    """Every module that a file names in an import, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("wing", FORBIDDEN)
def test_wings_import_only_what_is_below_them(wing):
    files = list((ROOT / wing).rglob("*.py"))
    assert files
    for path in files:
        for module in imported_modules(path):
            assert not module.startswith(FORBIDDEN[wing]), f"{path.name} imports {module}"
            if wing == "nets" and module.startswith("grokode.theory"):
                assert module.startswith(SHARED) or module == "grokode.theory"


@pytest.mark.parametrize("wing", FLOORS)
def test_floors_of_a_wing(wing):
    floors = FLOORS[wing]
    for height, floor in enumerate(floors):
        above = {
            f"grokode.{wing}.{name}".replace("/", ".").removesuffix(".__init__")
            for names in floors[height + 1 :]
            for name in names
        }
        for name in floor:
            used = set(imported_modules(ROOT / wing / f"{name}.py"))
            assert not used & above, f"{name} imports {used & above}"


def test_theory_loads_without_torch():
    code = "import sys, grokode.theory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_loads_nothing_heavy():
    code = (
        "import sys, grokode.cli; "
        "heavy = {'torch', 'numba', 'xarray', 'matplotlib', 'scipy', 'sympy', 'zarr'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_changelog_and_citation_name_this_version():
    version = re.escape(grokode.__version__)
    assert re.search(rf"^## {version}$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.M)
