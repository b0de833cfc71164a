"""210 kills over the whole of six commands; a small share of them runs in `tests/test_kills.py`."""

import pytest

from tests.attack.kills import attack

pytestmark = pytest.mark.attack

KILLS = {"train": 50, "import": 40, "stream": 50, "export": 40, "report": 15, "demo": 15}


@pytest.mark.parametrize("name", KILLS)
def test_killed_anywhere_it_ends_as_if_never_killed(name, tmp_path):
    # Most kills must have met the command at work, or they showed nothing.
    assert attack(name, KILLS[name], tmp_path) > KILLS[name] / 3
