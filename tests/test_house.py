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
SHARED += ("grokode.theory.spelling",)
# Questions do not import one another.
QUESTIONS = ("lottery", "logits", "mechanism", "grokking", "circuit", "automata", "alignment")
IDENTITIES = ("base", "catalogue", "characters", "cyclotomic", "energy", "errata", "flow")
IDENTITIES += ("logits", "mergers", "moments", "pair_errata", "pair_flow", "relu", "__init__")
# A module imports only from floors below its own, or its own.
FLOORS = {
    "theory": [
        {"modulus", "optimizer", "spelling", "_checks", "_elliptic", "_parallel"},
        {"_labels", "_philox", "_winner_store"},
        {"fourier"},
        {"flow", "exact", "solvers", "systems", "tableaus", "mechanism", "rule"}
        | {"_stepper", "_stepper_lanes", "cuda_solvers"},
        {"_updates", "kept"},
        {"_projections"},
        {"_truncation", "_ordered", "_trained"},
        {"cuda_lottery"},
        {"neuron_flow", "moment_flow", "harmonic_flow", "lottery", "streaming", "mergers"},
        {"saturation"},
        {"predictors"},
        {f"identities/{name}" for name in IDENTITIES},
        {"__init__"},
    ],
    "nets": [
        {"records", "threads", "workers", "training/__init__"},
        {"tasks/base", "tasks/modular", "tasks/dihedral", "tasks/examples", "tasks/machines"},
        {"tasks/squares", "tasks/sequences"},
        {"tasks/automata", "tasks/parity", "tasks/__init__"},
        {"networks/base", "networks/activations", "networks/starts", "networks/recipes"},
        {"networks/two_layer_model", "networks/fused", "networks/autograd", "networks/prefixes"}
        | {"networks/own_pairs", "networks/scratch"},
        {
            "networks/two_layer",
            "networks/transformer",
            "networks/transformer_model",
            "networks/transformer_autograd",
            "networks/token_attention",
            "networks/token_tables",
            "networks/summed_embeddings",
            "networks/recurrent_model",
            "networks/recurrent",
            "networks/__init__",
            "training/graphs",
            "training/optimizers",
        },
        {"training/config", "training/presets", "training/ensemble", "training/memory"},
        {"training/interventions", "runs/layout", "runs/record"},
        {"runs/manifest", "runs/store"},
        {"runs/format2", "runs/source", "runs/output"},
        {"runs/begun", "runs/run", "runs/tails"},
        {"runs/writer"},
        {"runs/__init__"},
        {"training/requests", "training/loop", "readers/files", "readers/record"},
        {
            "readers/writing",
            "readers/he2026",
            "readers/nanda2023",
            "readers/state_dict",
            "readers/zhong2023",
        },
        {"readers/registry", "readers/__init__", "replay"},
        {"sweeps/sweep", "sweeps/engine", "sweeps/results", "sweeps/__init__"},
        {"__init__"},
    ],
    "compare": [
        {f"{question}/__init__" for question in QUESTIONS},
        {
            "common/missing",
            "common/arguments",
            "common/style",
            "common/cells",
            "common/kernels",
            "common/outputs",
            "common/__init__",
        },
        {"common/observe", "common/sheets", "common/claims", "common/estimates", "common/curves"},
        {"common/checkpoints"},
        {"common/events"},
        {"common/course"},
        {"question"},
        {
            "lottery/retrained",
            "lottery/ladder",
            "logits/fits",
            "logits/budget",
            "mechanism/cosines",
            "mechanism/phases",
        }
        | {"mechanism/leakage", "grokking/forces", "grokking/split", "alignment/scores"}
        | {f"circuit/{name}" for name in ("computation", "groups", "kernel_fits", "neurons")}
        | {"circuit/waves", "automata/clusters", "automata/animation", "automata/pair_paths"},
        {"automata/machines"},
        {"automata/measure", "automata/pairs"},
        {"automata/mergers"},
        {"lottery/winners", "lottery/trajectories", "mechanism/measures", "grokking/progress"}
        | {"circuit/measures", "circuit/observe", "circuit/progress"},
        {"lottery/corollary", "lottery/outcomes", "grokking/stages", "alignment/statistics"},
        {"grokking/perturbed", "grokking/delay", "logits/closing"},
        {f"{question}/tables" for question in QUESTIONS}
        | {"lottery/contour_figures", "lottery/trajectory_figures", "lottery/winner_figures"}
        | {"logits/figures", "logits/budget_figures", "mechanism/figures"}
        | {"mechanism/phase_figures", "grokking/figures", "alignment/figures"}
        | {"circuit/figures", "automata/figures"},
        {f"{question}/sheets" for question in QUESTIONS[:-2]}
        | {f"{question}/claims" for question in QUESTIONS},
        {f"{question}/question" for question in QUESTIONS},
        {"registry", "cache"},
        {"sweeps"},
        {"page/html", "page/parts", "page/__init__"},
        {"page/report"},
        {"page/comparison"},
        {"explorer/__init__", "explorer/views/__init__", "explorer/packed", "explorer/race"}
        | {"explorer/template", "explorer/trainer", "explorer/watched"},
        {"explorer/desk", "explorer/material"},
        {"explorer/look", "explorer/view"},
        {"explorer/views/machine", "explorer/views/race", "explorer/views/weights"},
        {f"explorer/views/{name}" for name in ("circuit", "configuration", "contour", "grid")}
        | {f"explorer/views/{name}" for name in ("ladder", "logits", "overview", "phases")}
        | {"explorer/views/scores", "explorer/views/states", "explorer/panel"},
        {"explorer/registry"},
        {"explorer/rooms"},
        {"explorer/page"},
        {"explorer/server"},
        {"figures", "__init__"},
    ],
    "grokode": [
        {"executors", "files", "text", "__init__", "commands/__init__"},
        {"console"},
        {"commands/options", "commands/flags"},
        {"commands/telling"},
        {f"commands/{name}" for name in ("analyse", "automaton", "circuit", "demo", "explore")}
        | {f"commands/{name}" for name in ("replay", "runs", "sweep", "theory", "training")},
        {"cli"},
        {"__main__"},
    ],
    "benchmarks": [
        {"card_operations", "record", "timings_figure"},
        {"blowup", "card", "ensemble", "pairs", "recurrent", "streaming", "training"},
        {"architectures", "card_theory", "card_training", "flows"},
        {"card_profile"},
        {"card_job"},
        {"__init__"},
        {"draw", "__main__"},
    ],
}

LINES_OF_A_FILE, LINES_OF_A_BODY = 420, 50
# A compiled kernel and what it calls stay in one file: numba's cache does not see another change.
LONG_FILES = {"theory/_elliptic.py"}
# Generated or compiled kernels, and a table of literals.
LONG_BODIES = {
    ("theory/_stepper.py", "_source"),
    ("theory/_stepper_lanes.py", "_chunk_runner"),
    ("theory/cuda_solvers.py", "_kernel"),
    ("theory/cuda_solvers.py", "run"),
    ("theory/tableaus.py", "_tsit5"),
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


def dotted(wing, name):
    inside = name.replace("/", ".").removesuffix(".__init__")
    return f"grokode.{inside}" if wing == "grokode" else f"grokode.{wing}.{inside}"


@pytest.mark.parametrize("wing", FLOORS)
def test_floors_of_a_wing(wing):
    floors = FLOORS[wing]
    for height, floor in enumerate(floors):
        above = {dotted(wing, name) for names in floors[height + 1 :] for name in names}
        for name in floor:
            used = set(imported_modules(ROOT / wing / f"{name}.py"))
            assert not used & above, f"{name} imports {used & above}"


@pytest.mark.parametrize("wing", FLOORS)
def test_every_file_of_a_wing_has_its_floor(wing):
    there = {path.relative_to(ROOT / wing).with_suffix("") for path in (ROOT / wing).rglob("*.py")}
    named = [Path(name) for floor in FLOORS[wing] for name in floor]
    assert len(named) == len(set(named)), "a file is on two floors"
    assert there == set(named), f"not on one floor each: {there ^ set(named)}"


def sources():
    """Every file of every wing: its name below the root, and its text."""
    for wing in FLOORS:
        for path in sorted((ROOT / wing).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def body_lines(function):
    """Lines from the first statement of a function to its last, its docstring left out."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_a_file_is_a_room():
    long = {name for name, text in sources() if text.count("\n") > LINES_OF_A_FILE}
    assert long == LONG_FILES


def test_a_function_fits_on_a_screen():
    long = {
        (name, node.name)
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > LINES_OF_A_BODY
    }
    assert long == LONG_BODIES


def test_questions_do_not_import_one_another():
    for question in QUESTIONS:
        others = tuple(f"grokode.compare.{name}." for name in QUESTIONS if name != question)
        for path in (ROOT / "compare" / question).glob("*.py"):
            for module in imported_modules(path):
                assert not f"{module}.".startswith(others), f"{path} imports {module}"


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
