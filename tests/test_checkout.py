"""Python finds the folder grokode/ first where it is run in a checkout: that has to work too."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("grokode", "theory", "nets", "compare", "benchmarks")
CODE = """
import grokode
from grokode import compare, nets, theory
import grokode.compare.lottery, grokode.theory.identities, grokode.benchmarks
print(theory.__file__, nets.__file__, compare.__file__, sep="\\n")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A checkout and, apart from it, what a plain ``pip install .`` of it gives."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("plain")
    checkout, site = folder / "checkout", folder / "site"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout / name)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    pip += ["--no-build-isolation"]
    subprocess.run([*pip, "--target", site, checkout], check=True)
    shutil.rmtree(checkout / "build", ignore_errors=True)
    return checkout, site


def test_a_plain_install_works_from_the_checkout_too(installed):
    checkout, site = installed
    # Without -S, the editable install of this environment would find the wings.
    paths = [str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wings = ("theory", "nets", "compare")
    assert done.stdout.split() == [str(checkout / wing / "__init__.py") for wing in wings]
