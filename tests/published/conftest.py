"""Where the published checkpoints are, if they are."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "he2026"


@pytest.fixture(scope="session")
def published():
    """The folder of published runs beside the checkout."""
    if not FOLDER.is_dir():
        pytest.skip("the published checkpoints (../shared/data/he2026) are not beside the checkout")
    return FOLDER
