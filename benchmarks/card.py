"""Everything that needs a card in one command: its tests, then its benchmarks, within a time limit.

Each job is a process of its own that prints a row as a line of JSON when it has one, and each row
is written at once, so that whatever ends a job or the whole, what was measured is kept.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import record

__all__ = ["JOBS", "NoCardError", "card", "run"]

LIMIT = 540.0
"""Seconds; nine minutes."""
_LEAST = 5.0  # seconds below which no job is begun
JOBS = ("tests", "training", "transformers", "ensembles", "lotteries", "profile", "peers")
"""By importance, should the time not do for all."""


class NoCardError(RuntimeError):
    """There is no CUDA device."""


def card() -> dict[str, Any]:
    """The card by name, with driver, clock (MHz) and memory (bytes), and what torch says of it.

    Raises
    ------
    NoCardError
        If there is none.
    """
    if not torch.cuda.is_available():
        raise NoCardError("no CUDA device found; run this where there is one")
    properties = torch.cuda.get_device_properties(0)
    described = {
        "card": properties.name,
        "capability": [properties.major, properties.minor],
        "processors": properties.multi_processor_count,
        "memory": properties.total_memory,
        "cuda": torch.version.cuda,
        "cores_used": os.cpu_count(),
    }
    query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm", "--format=csv,noheader"]
    try:
        line = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        driver, clock = line.splitlines()[0].split(", ")
        return described | {"driver": driver, "clock": float(clock.split()[0])}
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return described | {"driver": None, "clock": None}


def commands(names: Sequence[str] = JOBS) -> dict[str, list[str]]:
    """The command of each job."""
    job = [sys.executable, "-m", "grokode.benchmarks.card_job"]
    return {name: [*job, name] for name in names}


def run(
    folder: Path,
    machine: Mapping[str, Any],
    jobs: Mapping[str, Sequence[str]],
    limit: float = LIMIT,
) -> dict[str, Any]:
    """Run jobs one after the other until the time is up; none may take over half of it.

    Parameters
    ----------
    folder : Path
        Where the record is kept, ``gpu-DATE.json``.
    machine : mapping
        The card, see `card`.
    jobs : mapping of name to command
        A job that tells anything prints it as a line of JSON; a line with ``test`` is a test's
        outcome, any other a row.
    limit : float
        Seconds for all.

    Returns
    -------
    dict
        ``rows``, ``tests`` (name to outcome) and ``unfinished`` (job to reason).
    """
    results: dict[str, Any] = {"rows": [], "tests": {}, "unfinished": {}}
    until = time.monotonic() + limit
    for name, command in jobs.items():
        left = until - time.monotonic()
        if left < _LEAST:
            results["unfinished"][name] = "not begun, the time was up"
        else:
            seconds = min(left, limit / 2)
            why = _run_job(command, seconds, lambda line: _keep(results, line, folder, machine))
            if why:
                results["unfinished"][name] = why
        _write(results, folder, machine)
    return results


def _run_job(command: Sequence[str], seconds: float, take: Any) -> str:
    """Why a job did not end well; nothing if it did."""
    late = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:

        def end() -> None:
            late.set()
            job.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            for line in job.stdout or ():
                take(line)
        finally:
            timer.cancel()
    if late.is_set():
        return "ended when the time was up"
    return f"exit status {job.returncode}" if job.returncode else ""


def _keep(results: dict[str, Any], line: str, folder: Path, machine: Mapping[str, Any]) -> None:
    try:
        told = json.loads(line)
    except ValueError:  # half a line of a job that was ended
        return
    if "test" in told:
        results["tests"][told["test"]] = told["outcome"]
    else:
        results["rows"].append(told)
    _write(results, folder, machine)


def _write(results: Mapping[str, Any], folder: Path, machine: Mapping[str, Any]) -> None:
    more = {name: results[name] for name in ("tests", "unfinished")}
    record.write("gpu", results["rows"], folder, machine=machine, more=more)


def main(folder: Path, limit: float) -> int:
    """Run all jobs and say what came of it.

    1 if a job failed, or a test did, was skipped or not run at all; 2 without a card.
    """
    try:
        machine = card()
    except NoCardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    results = run(folder, machine, commands(), limit)
    outcomes = list(results["tests"].values())
    for row in results["rows"]:
        print(json.dumps(row))
    counts = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    print(f"tests: {counts}; unfinished: {results['unfinished'] or 'nothing'}; kept in {folder}")
    unfinished = results["unfinished"].items()
    failed = [name for name, why in unfinished if name == "tests" or why.startswith("exit")]
    return int(bool(failed) or counts.keys() != {"passed"})
