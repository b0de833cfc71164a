"""Training the points of a sweep, several at once, on whatever runs tasks.

Processes of this machine train them, or those of a dask cluster, see `grokode.executors`. A point
is idempotent: trained twice, at once or later, it is the same run, as the run's own lock and
checkpoints see to.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokode.executors import WorkerDiedError, run_tasks
from grokode.files import create_file, replace_file
from grokode.nets.records import check_path
from grokode.nets.sweeps.sweep import Point, Sweep

__all__ = ["PointFailed", "Progress", "run_sweep"]

FORMAT = 1
_LARGE = 10_000
"""Points above which a sweep is probably a slip."""
_LOOK_AGAIN = 0.5
"""Seconds until a run that another process writes is tried again."""


@dataclass(frozen=True)
class PointFailed:
    """A point that has no result.

    Parameters
    ----------
    point : int
    reason : str
    """

    point: int
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    points, done, running : int
    failed : tuple of PointFailed
    seconds : float
        Since the call.
    """

    points: int
    done: int
    running: int
    failed: tuple[PointFailed, ...]
    seconds: float


def run_sweep(
    sweep: Sweep,
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    large: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train all points, each into a run of its own; go on where an earlier call stopped.

    Parameters
    ----------
    sweep : Sweep
    out : path
        Directory of the sweep: ``sweep.json``, and ``points/N`` with the run of point N. Points
        that are finished stay as they are, those half done go on from their checkpoints.
    workers : int, optional
        Processes; as many as there are cores if not given.
    scheduler : str, optional
        Address of a dask scheduler, whose workers see the same file system.
    large : bool
        Allow a sweep of more than ten thousand points.
    on_progress : function (Progress)
        Called whenever a point starts or ends.

    Returns
    -------
    Progress
        With every point that failed, and why; a failed point costs the others nothing.

    Raises
    ------
    ValueError
        If a point is no configuration, the sweep is too large, or `out` holds another sweep.
    OSError
        If the scheduler does not answer, or the directory cannot be written.
    """
    path = check_path("out", out)
    if not isinstance(sweep, Sweep):
        raise TypeError(f"sweep must be a Sweep, as from grokode.nets.read_sweep, got {sweep!r}")
    if not 0 < sweep.size <= (_LARGE if not large else sweep.size):
        raise ValueError(
            f"the sweep has {sweep.size} points; more than 0 and at most {_LARGE} are trained "
            "unless a large one is asked for (--yes)"
        )
    points = list(sweep.points())
    _take(path, sweep)
    began, failed, done = time.monotonic(), {}, 0
    waiting = []
    for point in points:
        state = _state(path, point, sweep)
        if isinstance(state, PointFailed):
            failed[point.number] = state
        elif state == "done":
            done += 1
        else:
            waiting.append(point)

    def report(running: int) -> Progress:
        in_order = tuple(failed[number] for number in sorted(failed))
        progress = Progress(len(points), done, running, in_order, time.monotonic() - began)
        on_progress(progress)
        return progress

    report(0)
    for point, reason, running in _trained(waiting, sweep, path, workers, scheduler):
        if reason is None:
            done += 1
        else:
            failed[point.number] = PointFailed(point.number, reason)
        report(running)
    return report(0)


def run_of(path: Path, number: int) -> Path:
    """Where the run of a point lies."""
    return path / "points" / f"{number:05d}"


def train_point(path: str, number: int, sweep: Sweep, threads: int = 1) -> str | None:
    """Train one point, or what is left of it; returns why it has no result, None if it has one."""
    import torch

    from grokode.nets.runs import BusyError
    from grokode.nets.training.loop import DivergedError, train

    torch.set_num_threads(threads)
    point = next(point for point in sweep.points() if point.number == number)
    folder = run_of(Path(path), number)
    while True:
        try:
            train(point.config, folder, seeds=sweep.seeds, resume=True)
        except BusyError:
            # Another sweep is at it, or a cluster gave it to two workers: go on where that one
            # stops, which is at the end unless it dies.
            time.sleep(_LOOK_AGAIN)
        except DivergedError as error:
            # Deterministic, so that another try would end the same way.
            return _note_failure(folder, str(error))
        except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
            return f"{type(error).__name__}: {error}"
        else:
            return None


def _note_failure(folder: Path, reason: str) -> str:
    text = json.dumps({"reason": reason}).encode()
    replace_file(folder.with_suffix(".failed"), lambda file: file.write(text))
    return reason


def _take(path: Path, sweep: Sweep) -> None:
    """Make the directory this sweep's own, or see that it is."""
    file = path / "sweep.json"
    mine = {"format": FORMAT} | sweep.to_dict()
    if not file.exists():
        if path.exists() and any(path.iterdir()):
            raise FileExistsError(
                f"{path} exists and holds no sweep; it is left alone, choose another directory"
            )
        (path / "points").mkdir(parents=True, exist_ok=True)
        text = json.dumps(mine, indent=1).encode()
        with suppress(FileExistsError):  # of another sweep that began just now
            create_file(file, lambda opened: opened.write(text))
            return
    stored = read_record(path)
    for name, value in json.loads(json.dumps(mine)).items():
        if stored.get(name) != value:
            raise ValueError(
                f"{name} is {stored.get(name)} in {file}, got {value}; choose another directory "
                "for the changed sweep"
            )


def read_record(path: Path) -> dict[str, Any]:
    """What ``sweep.json`` says.

    Raises
    ------
    ValueError
        If there is none, or it is damaged.
    """
    file = path / "sweep.json"
    try:
        stored: dict[str, Any] = json.loads(file.read_text())
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
    except FileNotFoundError:
        raise ValueError(f"{path} is no sweep (it has no sweep.json)") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is damaged ({error}); restore it from a copy") from error
    return stored


def _state(path: Path, point: Point, sweep: Sweep) -> PointFailed | str:
    """``done``, ``waiting``, or why it failed for good."""
    from grokode.nets.runs import open_run

    folder = run_of(path, point.number)
    note = folder.with_suffix(".failed")
    if note.exists():
        return PointFailed(point.number, json.loads(note.read_text())["reason"])
    if not (folder / "run.json").exists():
        return "waiting"
    try:
        run = open_run(folder)
        finished = int(run.metrics.step[-1]) >= point.config.steps or len(run.ended) == len(
            sweep.seeds
        )
    except ValueError:
        return "waiting"
    return "done" if finished else "waiting"


def _trained(
    waiting: list[Point], sweep: Sweep, path: Path, workers: int | None, scheduler: str | None
) -> Iterator[tuple[Point, str | None, int]]:
    """Points as they end, each with why it has no result, and how many are being trained."""
    tasks = [(str(path.absolute()), point.number, sweep) for point in waiting]
    for ended in run_tasks(train_point, tasks, workers=workers, scheduler=scheduler):
        reason, error = ended.result, ended.error
        if isinstance(error, WorkerDiedError):
            reason = str(error)
        elif error is not None:  # whatever a scheduler makes of a task it lost
            reason = f"{type(error).__name__}: {error}"
        yield waiting[ended.task], reason, ended.running
