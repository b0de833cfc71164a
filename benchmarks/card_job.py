"""One job of `grokode.benchmarks.card`: its rows, as lines of JSON on standard output."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["main"]

_MODULES = {
    "training": ("card_training", "two_layer_rows"),
    "transformers": ("card_training", "transformer_rows"),
    "ensembles": ("card_theory", "ensemble_rows"),
    "lotteries": ("card_theory", "lottery_rows"),
    "profile": ("card_profile", "profile_rows"),
    "peers": ("card_theory", "peer_rows"),
}


class _Outcomes:
    """A pytest plugin that tells the outcome of every test when it has one."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._tell({"test": report.nodeid, "outcome": "failed"})

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._tell({"test": report.nodeid, "outcome": report.outcome})


def _run_tests(tell: Callable[[dict[str, Any]], None]) -> None:
    import pytest

    root = Path(__file__).parent.parent
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", "--rootdir", str(root)]
    options.append("--continue-on-collection-errors")
    status = pytest.main([*options, str(root / "tests")], plugins=[_Outcomes(tell)])
    if status:
        raise SystemExit(int(status))


def _rows(name: str) -> Iterator[dict[str, Any]]:
    module, function = _MODULES[name]
    yield from getattr(import_module(f".{module}", __package__), function)()


def main(name: str) -> None:
    """Run a job."""
    # Standard output is for rows alone, whatever else writes there.
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)

        def tell(row: dict[str, Any]) -> None:
            print(json.dumps(row), file=out, flush=True)

        if name == "tests":
            _run_tests(tell)
        else:
            for row in _rows(name):
                tell(row)


if __name__ == "__main__":
    main(sys.argv[1])
