"""Tasks on whatever runs them: processes of this machine, or those of a dask cluster.

The engine is any executor of `concurrent.futures`. A task must be idempotent, since one whose
worker died is given to another, and a cluster may run one twice.
"""

import multiprocessing
import os
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = ["Ended", "WorkerDiedError", "cores", "run_tasks"]

_DEATHS = 3
"""Times that workers may die at a task before it is given up."""
_ANSWER_WITHIN = 10
"""Seconds for a scheduler to answer."""


class WorkerDiedError(RuntimeError):
    """A task at which worker after worker died."""


class Ended(NamedTuple):
    """A task that has ended."""

    task: int
    """Which of the tasks"""
    result: Any
    """What the function returned; None if it raised"""
    error: Exception | None
    """What it raised"""
    running: int
    """How many others are being run"""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[Ended]:
    """Call a function once for every task, several at once, and yield them as they end.

    Parameters
    ----------
    function : function (*task)
        Of a module, so that another process can import it.
    tasks : sequence of tuples
        Arguments of each call.
    workers : int, optional
        Processes; as many as there are cores if not given.
    scheduler : str, optional
        Address of a dask scheduler, whose workers run the tasks instead.

    Yields
    ------
    Ended
        In whatever order. A task whose worker dies is run again, up to three times.

    Raises
    ------
    ValueError
        For fewer than one worker.
    OSError
        If the scheduler does not answer.

    Examples
    --------
    >>> sorted((end.task, end.result) for end in run_tasks(pow, [(2, 3), (3, 2)], workers=1))
    [(0, 8), (1, 9)]
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    queue, deaths = deque(range(len(tasks))), Counter[int]()
    with _executor(workers, scheduler, len(tasks)) as (executor, at_once):
        running: dict[Future[Any], int] = {}
        while queue or running:
            _refill(executor, at_once, function, tasks, queue, running)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            ended = []
            for future in done:
                index = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    deaths[index] += 1
                    if deaths[index] < _DEATHS:
                        queue.append(index)
                        continue
                    error = WorkerDiedError(f"its worker died {_DEATHS} times")
                ended.append((index, None if error else future.result(), error))
            # Before anybody looks at what has ended, so that no worker waits for that.
            _refill(executor, at_once, function, tasks, queue, running)
            for index, result, error in ended:
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield Ended(index, result, error, len(running))


def _refill(
    executor: Executor,
    at_once: int,
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    queue: deque[int],
    running: dict[Future[Any], int],
) -> None:
    """Submit what there is room for."""
    while queue and len(running) < at_once:
        running[executor.submit(_call, function, *tasks[queue[0]])] = queue[0]
        queue.popleft()


def _call(function: Callable[..., Any], *task: Any) -> Any:
    """What the function returns; an error that cannot travel between processes as one that can."""
    try:
        return function(*task)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


class _Processes(Executor):
    """Processes that each are a pool of their own: if one dies, it is known at which task."""

    def __init__(self, count: int) -> None:
        self._pools: list[ProcessPoolExecutor | None] = [None] * count
        self._calls: list[Future[Any] | None] = [None] * count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a process that is free; there must be one."""
        place = next(i for i, call in enumerate(self._calls) if call is None or call.done())
        pool = self._pools[place]
        try:
            call = (pool or self._new(place)).submit(fn, *args, **kwargs)
        except BrokenProcessPool:  # its process has died
            call = self._new(place).submit(fn, *args, **kwargs)
        self._calls[place] = call
        return call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for pool in self._pools:
            if pool is not None:
                pool.shutdown(wait, cancel_futures=cancel_futures)

    def _new(self, place: int) -> ProcessPoolExecutor:
        # Spawned, not forked: threads of torch and numba do not survive a fork.
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pools[place] = pool
        return pool


@contextmanager
def _executor(
    workers: int | None, scheduler: str | None, tasks: int
) -> Iterator[tuple[Executor, int]]:
    """What runs tasks, and how many it is given at once."""
    if scheduler is None:
        count = min(workers or cores(), tasks)
        processes = _Processes(count)
        try:
            yield processes, count
        finally:
            processes.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("scheduler needs dask; install grokode[cluster]") from None
    try:
        client = Client(scheduler, timeout=_ANSWER_WITHIN)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no scheduler answers at {scheduler} within {_ANSWER_WITHIN} s ({error}); start one "
            "with dask scheduler, or leave --scheduler out"
        ) from error
    with client:
        yield client.get_executor(), tasks
