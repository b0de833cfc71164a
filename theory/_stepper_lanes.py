"""Ensembles on CPU threads, several tickets at a time in vector lanes; private to the solvers.

A thread keeps `LANES` tickets in one array, a row for each number of a ticket and a column for each
lane. One pass over the columns tries a step of every lane, without a branch, so that the compiler
turns it into vector instructions. Lanes for which something happens (an asked time is passed, the
ticket ends) raise a flag and are looked after one by one; a lane whose ticket has ended takes the
next one, so lanes never wait for each other.
"""

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from grokode.theory import _stepper, systems, tableaus
from grokode.theory._parallel import parallel, renamed
from grokode.theory._stepper import BLEW_UP, REACHED, STOPPED
from grokode.theory.systems import System
from grokode.theory.tableaus import Tableau, get_method

Array = NDArray[Any]

LANES = 16
CHUNK = 1024  # tickets that a thread takes at once

_run: Any = None  # in `_integrate`, the function of a method and a system: see `_kernel`

# Contracting a * b + c into one instruction rounds less, and reorders nothing.
_SCALAR: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
_INLINE: dict[str, Any] = {**_SCALAR, "forceinline": True}


def _wide_vectors(typing_context: Any) -> Any:
    """Ask LLVM for 512-bit vectors in the calling function, where the processor has them.

    By default it takes 256 bits. A step is one long chain of dependent operations, so the time is
    that of the chain, and a register of twice the lanes does twice the work in it.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite's own `add` takes only attributes without a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


_prefer_wide_vectors: Any = intrinsic(_wide_vectors)  # for code compiled by numba


def integrate(
    system: System,
    tableau: Tableau,
    y: Array,
    times: Array,
    report: Array,
    path: Array,
    shrink: float,
    tolerances: tuple[float, float],
    threshold2: float,
    max_steps: int,
) -> None:
    """Integrate the tickets y (n, components).

    Fills path (time, n, components) as far as a ticket goes, and report (n, 4) with its status,
    accepted and rejected steps, and stop time. `shrink` is the step of a method with fixed steps,
    and otherwise what the first step is of a variable's own time scale.
    """
    groups = tuple(2 if kind is complex else 1 for kind in system.variables.values())
    run = _kernel(tableau.name, groups, type(system).rhs)
    run(
        y,
        times,
        report,
        path,
        float(shrink),
        tolerances,
        float(threshold2),
        int(max_steps),
        system.parameters,
    )


@cache
def _kernel(method: str, groups: tuple[int, ...], rhs: Callable[..., Any]) -> Any:
    """`_integrate` for a method and a system, compiled."""
    # numba finds compiled code, in its cache and when it links what several processes have cached,
    # by the names of functions alone. So these have to tell everything the code depends on.
    files: tuple[str, ...] = (__file__, _stepper.__file__, systems.__file__, tableaus.__file__)
    # What stands in this package changes with its file alone; others' code is not kept on disk.
    shipped = rhs.__module__.startswith("grokode.theory.")
    if shipped:
        files += (inspect.getfile(rhs),)
    content = b"".join(Path(file).read_bytes() for file in files)
    system = f"{rhs.__module__}.{rhs.__qualname__}.{groups}.{method}".encode()
    key = f"{method}_{hashlib.sha256(content + system).hexdigest()[:16]}"
    run = _chunk_runner(method, groups, rhs, key)
    integrate = renamed(_integrate, key, _run=run)
    return parallel(integrate, cache=shipped)


def _integrate(
    y: Array,
    times: Array,
    report: Array,
    path: Array,
    shrink: float,
    tolerances: tuple[float, float],
    threshold2: float,
    max_steps: int,
    parameters: tuple[float, ...],
) -> None:
    tickets = len(y)
    for chunk in nb.prange((tickets + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        _run(
            y,
            times,
            report,
            path,
            first,
            min(first + CHUNK, tickets),
            shrink,
            tolerances,
            threshold2,
            max_steps,
            parameters,
        )


def _chunk_runner(method: str, groups: Sequence[int], rhs: Callable[..., Any], key: str) -> Any:
    """The function that integrates the tickets from `first` to `end`."""

    def inline(function: Callable[..., Any]) -> Any:
        return nb.njit(**_INLINE)(renamed(function, key))

    def scalar(function: Callable[..., Any]) -> Any:
        return nb.njit(**_SCALAR)(renamed(function, key))

    tableau = get_method(method)
    stepper = _stepper.build(tableau, groups, rhs, inline)
    velocity, row, step, first_step, control, record, outcome = stepper
    adaptive = tableau.adaptive
    n = sum(groups)
    # Rows of the lane array; Y, K and the start of the last step take n rows each.
    Y, K, START = 0, n, 2 * n
    T, H, MEMORY, NEXT, ACCEPTED, REJECTED, ACTIVE, T_START, H_TRIED, NORM2, FLAG = (
        3 * n + i for i in range(11)
    )
    rows = 3 * n + 11
    W = LANES
    gather, scatter = (inline(function) for function in _movers(n, W))

    @inline
    def advance(
        w: Array,
        t_end: float,
        tolerances: tuple[float, float],
        threshold2: float,
        max_steps: int,
        parameters: tuple[float, ...],
    ) -> int:
        """Try one step in every lane; return how many lanes raised their flag."""
        _prefer_wide_vectors()
        flags = 0
        for lane in range(W):
            t, h = w[T * W + lane], w[H * W + lane]
            y, k = gather(w, Y, lane), gather(w, K, lane)
            last = t + h >= t_end
            h = t_end - t if last else h
            y_new, k_new, error2, norm2 = step(t, y, k, h, tolerances, parameters)
            ok = (error2 <= 1.0) & (norm2 < math.inf)
            up, down, memory = control(error2, w[MEMORY * W + lane])
            t_new = (t_end if last else t + h) if ok else t
            h_new = h * (up if ok else down)
            accepted = w[ACCEPTED * W + lane] + (1.0 if ok else 0.0)
            rejected = w[REJECTED * W + lane] + (0.0 if ok else 1.0)
            scatter(w, START, lane, y, y, True)
            scatter(w, Y, lane, y_new, y, ok)
            scatter(w, K, lane, k_new, k, ok)
            w[T * W + lane] = t_new
            w[H * W + lane] = h_new
            w[MEMORY * W + lane] = memory if ok else w[MEMORY * W + lane]
            w[ACCEPTED * W + lane] = accepted
            w[REJECTED * W + lane] = rejected
            w[T_START * W + lane] = t
            w[H_TRIED * W + lane] = h
            w[NORM2 * W + lane] = norm2
            event = (
                (t_new >= w[NEXT * W + lane])
                | (ok & (norm2 >= threshold2))
                | (t_new + h_new == t_new)
                | (accepted + rejected >= max_steps)
            )
            flag = w[ACTIVE * W + lane] if event else 0.0
            w[FLAG * W + lane] = flag
            flags += 1 if flag > 0.0 else 0
        return flags

    @scalar
    def settle(
        w: Array,
        lane: int,
        asked: int,
        ticket: int,
        times: Array,
        path: Array,
        threshold2: float,
        max_steps: int,
        parameters: tuple[float, ...],
    ) -> tuple[int, int, float]:
        """Look after a flagged lane; return next asked index, status (-1: goes on), stop time."""
        t, t_start = w[T * W + lane], w[T_START * W + lane]
        stop = math.inf
        if t > t_start:
            asked, stop = record(
                t_start,
                gather(w, START, lane),
                w[H_TRIED * W + lane],
                t,
                gather(w, Y, lane),
                w[NORM2 * W + lane],
                threshold2,
                parameters,
                times,
                asked,
                path,
                ticket,
            )
        if asked < len(times):
            w[NEXT * W + lane] = times[asked]
        steps = w[ACCEPTED * W + lane] + w[REJECTED * W + lane]
        status = outcome(asked, len(times), stop, t, w[H * W + lane], steps, max_steps)
        return asked, status, min(stop, t)

    @scalar
    def load(
        w: Array,
        lane: int,
        start: Array,
        times: Array,
        path: Array,
        ticket: int,
        shrink: float,
        threshold2: float,
        parameters: tuple[float, ...],
    ) -> tuple[int, int]:
        """Put a ticket into a lane; return the next asked index and status (-1: goes on)."""
        y = row(start, ticket)
        k = velocity(0.0, y, parameters)
        scatter(w, Y, lane, y, y, True)
        scatter(w, K, lane, k, k, True)
        w[T * W + lane] = 0.0
        w[H * W + lane] = first_step(y, k, shrink, times[-1]) if adaptive else shrink
        w[MEMORY * W + lane] = 1.0
        w[ACCEPTED * W + lane] = 0.0
        w[REJECTED * W + lane] = 0.0
        w[ACTIVE * W + lane] = 1.0
        asked = 0
        norm2 = 0.0
        for c in range(n):
            norm2 += y[c] * y[c]
            if times[0] == 0.0:
                path[0, ticket, c] = y[c]
                asked = 1
        if asked == len(times):
            return asked, REACHED
        w[NEXT * W + lane] = times[asked]
        if norm2 >= threshold2:  # where no norm is to stop at, the square overflows
            return asked, (STOPPED if threshold2 < math.inf else BLEW_UP)
        return asked, -1

    @scalar
    def run(
        y: Array,
        times: Array,
        report: Array,
        path: Array,
        first: int,
        end: int,
        shrink: float,
        tolerances: tuple[float, float],
        threshold2: float,
        max_steps: int,
        parameters: tuple[float, ...],
    ) -> None:
        w = np.zeros(rows * W)
        asked = np.zeros(W, dtype=np.int64)
        ticket = np.zeros(W, dtype=np.int64)
        waiting = first
        busy = 0
        for lane in range(W):
            w[FLAG * W + lane] = 1.0
        while True:
            for lane in range(W):
                if w[FLAG * W + lane] == 0.0:
                    continue
                status, stop = REACHED, 0.0
                if w[ACTIVE * W + lane] > 0.0:
                    asked[lane], status, stop = settle(
                        w,
                        lane,
                        asked[lane],
                        ticket[lane],
                        times,
                        path,
                        threshold2,
                        max_steps,
                        parameters,
                    )
                    if status < 0:
                        continue
                    _close(report, ticket[lane], status, w, W, lane, ACCEPTED, REJECTED, stop)
                    w[ACTIVE * W + lane] = 0.0
                    busy -= 1
                while waiting < end:
                    ticket[lane] = waiting
                    asked[lane], status = load(
                        w, lane, y, times, path, waiting, shrink, threshold2, parameters
                    )
                    waiting += 1
                    if status < 0:
                        busy += 1
                        break
                    _close(report, ticket[lane], status, w, W, lane, ACCEPTED, REJECTED, 0.0)
                    w[ACTIVE * W + lane] = 0.0
            if busy == 0:
                return
            while advance(w, times[-1], tolerances, threshold2, max_steps, parameters) == 0:
                pass

    return run


@nb.njit(**_INLINE)
def _close(
    report: Array,
    ticket: int,
    status: int,
    w: Array,
    W: int,
    lane: int,
    ACCEPTED: int,
    REJECTED: int,
    stop: float,
) -> None:
    report[ticket, 0] = status
    report[ticket, 1] = w[ACCEPTED * W + lane]
    report[ticket, 2] = w[REJECTED * W + lane]
    report[ticket, 3] = stop


def _movers(n: int, W: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Scalar functions between a column of the lane array and tuples of n components."""
    loads = "".join(f"w[(row + {c}) * {W} + lane], " for c in range(n))
    stores = "".join(
        f"    w[(row + {c}) * {W} + lane] = new[{c}] if ok else old[{c}]\n" for c in range(n)
    )
    scope: dict[str, Any] = {}
    exec(f"def gather(w, row, lane):\n    return ({loads})\n", scope)
    exec(f"def scatter(w, row, lane, new, old, ok):\n{stores}", scope)
    return scope["gather"], scope["scatter"]
