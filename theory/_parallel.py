"""Kernels on all threads, and calls side by side that have a thread each.

What has one thread runs code without a parallel loop: it is compiled in less than half of the time.

GNU OpenMP, numba's usual threading layer on Linux, ends a process that was forked after its first
parallel loop, and a pool would wait for it for ever. A child of a process whose threads run is
given the same loop on one thread.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import Empty, SimpleQueue
from types import FunctionType
from typing import Any, TypeVar

import numba as nb
from numba.np.ufunc.parallel import threading_layer
from threadpoolctl import threadpool_limits

__all__ = ["one_thread_below", "one_thread_of_blas", "parallel", "renamed", "side_by_side"]

Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")

_FEW_THREADS = 3

_SMALL = 10**6
"""Numbers in the largest array of a step below which one thread is as fast as several."""

_alone = False  # whether this process was forked from one whose threads run


class _Crew:
    """Threads of Python's that make calls side by side, and how many still do."""

    def __init__(self, working: int) -> None:
        self.working = working
        self._lock = threading.Lock()

    def leave(self) -> None:
        with self._lock:
            self.working -= 1


class _Here(threading.local):
    """What is so in one thread of Python's."""

    alone = False  # whether its loops have one thread
    crew: _Crew | None = None  # whose member it is: its loops have one thread while others work


_here = _Here()


def _one_thread() -> bool:
    """Whether a loop that begins now, in this thread of Python's, is not to be shared."""
    if _alone or _here.alone or (_here.crew is not None and _here.crew.working > 1):
        return True
    return bool(nb.get_num_threads() == 1)


def parallel(function: Function, *, cache: bool = True, fastmath: Any = False) -> Function:
    """Compile a loop over `numba.prange` for all threads, and for one thread in a forked child.

    Parameters
    ----------
    function : function
    cache : bool
        Whether numba keeps the compiled code on disk.
    fastmath : bool or set of str
        What the compiler may do to the order of operations, see `numba.njit`.

    Examples
    --------
    >>> import numpy as np
    >>> def fill(out):
    ...     for i in nb.prange(len(out)):
    ...         out[i] = 2 * i
    >>> out = np.zeros(3)
    >>> parallel(fill, cache=False)(out)
    >>> out.tolist()
    [0.0, 2.0, 4.0]
    """
    options: dict[str, Any] = {"cache": cache, "error_model": "numpy", "fastmath": fastmath}
    threads: Any = nb.njit(parallel=True, **options)(function)
    # numba's cache tells code apart by the names of functions alone.
    serial: Any = nb.njit(nogil=True, **options)(renamed(function, "one_thread"))

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return (serial if _one_thread() else threads)(*arguments)

    return call  # type: ignore[return-value]


def one_thread_of_blas() -> AbstractContextManager[Any]:
    """A context in which matrix products have one thread.

    The limit is one for the whole process: where calls are side by side, whoever made them has set
    it, and they set none, as one that outlives an error of another would lift it to a wrong value.

    Examples
    --------
    >>> with one_thread_of_blas():
    ...     pass
    """
    return nullcontext() if _here.crew else threadpool_limits(1, user_api="blas")


@contextmanager
def one_thread_below(work: int) -> Iterator[None]:
    """A context in which loops, and matrix products, have one thread if there is little to do.

    Threads that meet after every loop wait for the slowest: 3,000 steps of harmonic flow at p = 23
    with 512 neurons take 4 s on one thread and 16 s on two, where other jobs run beside.

    Parameters
    ----------
    work : int
        Numbers in the largest array of a step.

    Examples
    --------
    >>> with one_thread_below(1000):
    ...     pass
    """
    with one_thread_of_blas():
        if _here.alone or work >= _SMALL:
            yield
            return
        _here.alone = True
        try:
            yield
        finally:
            _here.alone = False


def side_by_side(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """What each call returns, in their order; the first error of theirs is raised.

    Where threads are few, each call has one and loops in it do not share until it is the last:
    threads that meet at the end of every loop wait for the slowest, which on a busy machine takes
    far longer than the loop. Where they are many, calls are made one after the other, each on all
    threads.

    Parameters
    ----------
    calls : sequence of functions
        That do not touch each other's state.

    Examples
    --------
    >>> side_by_side([lambda: 1, lambda: 2, lambda: 3])
    [1, 2, 3]
    """
    threads = nb.get_num_threads()
    if not 1 < threads <= _FEW_THREADS or _alone or _here.alone or _here.crew:
        return [call() for call in calls]
    futures: list[Future[Result]] = [Future() for _ in calls]
    waiting: SimpleQueue[tuple[Future[Result], Callable[[], Result]]] = SimpleQueue()
    for pair in zip(futures, calls, strict=True):
        waiting.put(pair)
    with one_thread_of_blas():
        # Not a pool: Python waits for its threads when it ends, also after Ctrl-C.
        crew = _Crew(min(threads, len(calls)))
        for _ in range(crew.working):
            threading.Thread(target=_answer, args=(waiting, crew), daemon=True).start()
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _answer(waiting: "SimpleQueue[tuple[Future[Any], Callable[[], Any]]]", crew: _Crew) -> None:
    """Make the calls that nobody else has begun, until there are none."""
    _here.crew = crew
    while True:
        try:
            future, call = waiting.get_nowait()
        except Empty:
            return crew.leave()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


def renamed(function: Callable[..., Any], key: str, **bound: Any) -> Callable[..., Any]:
    """A copy of a function under a name that ends in key, with some globals bound."""
    name = f"{function.__name__}_{key}"
    scope = {**function.__globals__, **bound} if bound else function.__globals__
    copy = FunctionType(function.__code__, scope, name, function.__defaults__, function.__closure__)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return copy


def _after_fork() -> None:
    global _alone
    try:
        threading_layer()
    except ValueError:
        return  # no thread has been started yet, so the child may start its own
    _alone = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
