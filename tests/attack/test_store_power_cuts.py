"""The power is cut after every single call of a training and its resume."""

import pytest

from tests.nets import test_power_cuts
from tests.nets.test_power_cuts import recorded  # noqa: F401

pytestmark = pytest.mark.attack


@pytest.mark.parametrize("kind", ["nothing", "names", "some"])
def test_every_call(recorded, tmp_path, monkeypatch, kind):  # noqa: F811
    monkeypatch.setattr(test_power_cuts, "SHARE", 1.0)
    test_power_cuts.test_every_power_cut_leaves_a_whole_run_or_none(recorded, tmp_path, kind)
