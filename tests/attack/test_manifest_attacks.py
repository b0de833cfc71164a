"""Many manifests, in a file of its own: its runs have chunks of another size while it lasts."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.nets.test_altered import altered, check_altered_manifest  # noqa: F401

pytestmark = pytest.mark.attack


@settings(
    max_examples=1500,
    deadline=None,
    database=None,
    suppress_health_check=[*HealthCheck],
)
@given(st.data())
def test_many_manifests(altered, data):  # noqa: F811
    check_altered_manifest(altered[0], data.draw)
