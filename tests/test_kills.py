"""A small share of the kills of `make attack`: what is killed and given again ends the same."""

import os

import pytest

from tests.attack.kills import attack

if not hasattr(os, "fork"):
    pytest.skip("this system does not fork", allow_module_level=True)


@pytest.mark.parametrize("name", ["train", "import", "stream", "export"])
def test_killed_anywhere_it_ends_as_if_never_killed(name, tmp_path):
    attack(name, 4, tmp_path, seed=1)
