"""A wheel, built and installed where nothing of the checkout can be found."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("grokode", "theory", "nets", "compare", "benchmarks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy, so that no build folder of the checkout gets into it."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, copy], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment of its own: dependencies are borrowed from this one, grokode is not."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # Of a path added so, the .pth files are not read: an editable install in it is not seen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", "--no-compile", wheel], check=True)
    return folder


def run(environment, *arguments):
    done = subprocess.run(
        [environment / "bin" / arguments[0], *arguments[1:]],
        cwd=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_source_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as held:
        names = {name for name in held.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for name in SOURCES
        for path in (ROOT / name).rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }
    inside = {name if name.startswith("grokode/") else f"grokode/{name}" for name in expected}
    assert names == inside


def test_an_installed_wheel_imports_and_answers(environment):
    code = "import grokode; from grokode import compare, nets, theory; print(grokode.__file__)"
    assert run(environment, "python", "-c", code).startswith(str(environment))
    version = run(environment, "grokode", "--version").strip()
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    proved = json.loads(run(environment, "grokode", "prove", "folded_fourier_sum", "--json"))
    assert [identity["holds"] for identity in proved["identities"]] == [True]
    assert "--preset" in run(environment, "grokode", "train", "--help")
