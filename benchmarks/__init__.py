"""Side-by-side timings on one core, and their recorded results.

From the checkout: ``python -m benchmarks [NAME ...]``, which also writes ``benchmarks/results``.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

__all__ = ["NAMES", "run"]

NAMES = ("ensemble", "blowup", "streaming")


def run(names: Sequence[str] = NAMES) -> list[dict[str, Any]]:
    """Rows ``{name, ours, peer, theirs, ratio, unit, error, their_error}`` of some benchmarks.

    Raises
    ------
    ValueError
        If there is no benchmark of a name.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"benchmark must be one of {', '.join(NAMES)}, got {', '.join(unknown)}")
    record = import_module(".record", __name__)
    results = []
    with record.one_core():
        for name in names:
            results += import_module(f".{name}", __name__).rows()
    return results
