"""What the benchmarks share: one core, the best of some repeats, and a record of it all."""

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import torch

from grokode.files import replace_file

RESULTS = Path(__file__).parent / "results"
_PACKAGES: tuple[str, ...] = ("grokode", "numpy", "scipy", "numba", "numba-cuda", "torch")
_PACKAGES += ("torchdiffeq", "diffrax", "jax", "numbalsoda")


def row(
    name: str,
    ours: float,
    unit: str,
    *,
    error: float | None = None,
    peer: str | None = None,
    theirs: float | str | None = None,
    their_error: float | None = None,
) -> dict[str, Any]:
    """One measurement; smaller is better, so the ratio says how many times better we are.

    Errors are the largest relative ones achieved. For a peer that could not be timed, ``theirs`` is
    the reason.
    """
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "theirs": theirs,
        "ratio": theirs / ours if isinstance(theirs, float) else None,
        "unit": unit,
        "error": error,
        "their_error": their_error,
    }


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, libraries and all, on one core."""
    threads = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    pinned = hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if pinned else set()
    if pinned:
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        numba.set_num_threads(threads[0])
        torch.set_num_threads(threads[1])
        if pinned:
            os.sched_setaffinity(0, cores)


Clock = Callable[[], float]


def best_of(
    function: Callable[[], Any], repeats: int = 5, clock: Clock = time.process_time
) -> tuple[float, Any]:
    """Least of some times in seconds, after one call to compile, and the last result.

    Of the processor unless another clock is given: what runs on a card takes none.
    """
    result = function()
    times = []
    for _ in range(repeats):
        start = clock()
        result = function()
        times.append(clock() - start)
    return min(times), result


def time_peer(
    prepare: Callable[[], Callable[[], Any]], repeats: int = 3, clock: Clock = time.process_time
) -> tuple[float | str, Any]:
    """`best_of` what ``prepare`` imports and makes, or the reason why it could not be timed."""
    try:
        return best_of(prepare(), repeats, clock)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed; pip install 'grokode[bench]'", None
    except Exception as error:
        # Whatever goes wrong in a peer, our own number still stands.
        return f"{type(error).__name__}: {error}".splitlines()[0], None


def write(
    name: str,
    rows: list[dict[str, Any]],
    folder: Path,
    *,
    machine: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Write rows with machine, versions and date, and more if there is; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    record = {
        "name": name,
        "date": now.isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores_used": 1,
            "system": f"{platform.system()} {platform.machine()}",
        }
        | (dict(machine) if machine else {}),
        "versions": {"python": platform.python_version()} | _versions(),
        "rows": rows,
    } | dict(more or {})
    path = folder / f"{name}-{now:%Y-%m-%d}.json"
    text = json.dumps(record, indent=1) + "\n"
    replace_file(path, lambda file: file.write(text.encode()))
    return path


def read(folder: Path) -> list[dict[str, Any]]:
    """The latest record of each benchmark, in the order of their names."""
    records = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    latest = {record["name"]: record for record in sorted(records, key=lambda r: r["date"])}
    return [latest[name] for name in sorted(latest)]


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
