"""Ensembles on a CUDA device: the scalar stepper of the CPU, one thread a ticket.

Reached through ``grokode.theory.simulate(..., device="cuda")``. The same functions run under
numba's CUDA simulator (``NUMBA_ENABLE_CUDASIM=1``), which is how they are tested without a device.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda
from numba.core.errors import NumbaPerformanceWarning
from numpy.typing import NDArray

from grokode.theory import _stepper
from grokode.theory._stepper import BLEW_UP, REACHED, STOPPED
from grokode.theory.systems import System
from grokode.theory.tableaus import Tableau, get_method

__all__ = ["available", "check_available", "integrate", "launch"]

Array = NDArray[Any]

_THREADS = 128


def available() -> bool:
    """Whether there is a CUDA device (or its simulator) and what it takes to use it.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    try:
        return bool(cuda.is_available())
    except RuntimeError:  # a driver, and no compiler for it
        return False


def check_available() -> None:
    """Raise RuntimeError if there is no CUDA device.

    Examples
    --------
    >>> if available():
    ...     check_available()
    """
    if not available():
        raise RuntimeError('no CUDA device found; use device="cpu", or install grokode[cuda]')


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
    *,
    single: bool = False,
) -> tuple[Any, Any]:
    """Integrate the tickets y (n, components) on the device.

    Parameters
    ----------
    system : System
    tableau : Tableau
    y : float64 array (n, components)
    times : float64 array (m,)
        Increasing, not negative.
    report : float64 array (n, 4)
        Receives status, accepted steps, rejected steps, stop time.
    path : float64 array (m, n, components)
        Receives the values as far as a ticket goes, and NaN after that.
    shrink : float
        The step of a method with fixed steps; otherwise the first step in units of the shortest
        time scale of a variable.
    tolerances : (float, float)
        rtol^2 and atol^2.
    threshold2 : float
        Squared norm at which a ticket stops.
    max_steps : int
    single : bool
        Whether to compute in float32.

    Returns
    -------
    pair of CUDA events
        See `launch`.

    Raises
    ------
    RuntimeError
        If there is no CUDA device.

    Examples
    --------
    >>> import numpy as np
    >>> from grokode.theory import simulate, systems
    >>> if available():
    ...     path = simulate(systems.TicketFlow(5), (0.1 * 2**0.5, 0.1), [0.5], device="cuda")
    """
    groups = tuple(2 if kind is complex else 1 for kind in system.variables.values())
    run = _kernel(tableau.name, groups, type(system).rhs, single)
    number = np.float32 if single else np.float64
    moved = np.empty(path.shape, number)
    events = launch(
        run,
        len(y),
        [y.astype(number), times.astype(number)],
        [report, moved],
        number(shrink),
        tuple(number(value) for value in tolerances),
        number(threshold2),
        int(max_steps),
        tuple(number(value) for value in system.parameters),
    )
    path[...] = moved
    return events


def launch(
    kernel: Any, threads: int, given: Sequence[Array], filled: Sequence[Array], *numbers: Any
) -> tuple[Any, Any]:
    """Run a kernel of (given, filled, numbers) with a thread for each of so many.

    Parameters
    ----------
    kernel : compiled by `numba.cuda.jit`
    threads : int
    given : sequence of array
        Copied there.
    filled : sequence of array
        Copied back; the kernel writes every number of them.
    *numbers
        Passed on.

    Returns
    -------
    pair of CUDA events
        Before and after the kernel: the time between them is its own, without copies.

    Raises
    ------
    RuntimeError
        If there is no CUDA device.
    """
    check_available()
    begin, end = cuda.event(), cuda.event()
    if not threads:
        return begin, end
    there = [cuda.to_device(array) for array in given]
    made = [cuda.device_array(array.shape, array.dtype) for array in filled]
    with warnings.catch_warnings():
        # A small ensemble leaves most of the device idle; that is no news to who asked for it.
        warnings.simplefilter("ignore", NumbaPerformanceWarning)
        run = kernel[-(-threads // _THREADS), _THREADS]
        begin.record()
        run(*there, *made, *numbers)
        end.record()
    for array, values in zip(filled, made, strict=True):
        values.copy_to_host(array)
    return begin, end


@cache
def _kernel(method: str, groups: tuple[int, ...], rhs: Callable[..., Any], single: bool) -> Any:
    tableau = get_method(method)
    number: Any = np.float32 if single else np.float64
    stepper = _stepper.build(tableau, groups, rhs, cuda.jit(device=True), number)
    velocity, row, step, first_step, control, record, outcome = stepper
    adaptive = tableau.adaptive
    never = number(math.inf)
    n = sum(groups)

    def run(
        start: Any,
        times: Any,
        report: Any,
        path: Any,
        shrink: Any,
        tolerances: Any,
        threshold2: Any,
        max_steps: Any,
        parameters: Any,
    ) -> None:
        ticket = cuda.grid(1)  # type: ignore[attr-defined]
        if ticket >= len(start):
            return
        t_end = times[len(times) - 1]
        t = 0.0
        y = row(start, ticket)
        k = velocity(t, y, parameters)
        h = first_step(y, k, shrink, t_end) if adaptive else shrink
        memory = 1.0
        steps = 0
        rejected = 0
        asked = 0
        norm2 = 0.0
        for c in range(n):
            norm2 += y[c] * y[c]
            if times[0] == 0.0:
                path[0, ticket, c] = y[c]
                asked = 1
        status = -1
        stop = number(0.0)
        due = times[asked] if asked < len(times) else never
        if asked == len(times):
            status = REACHED
        elif norm2 >= threshold2:  # where no norm is to stop at, the square overflows
            status = STOPPED if threshold2 < never else BLEW_UP
        while status < 0:
            stop = never
            last = t + h >= t_end
            if last:
                h = t_end - t
            y_new, k_new, error2, norm2 = step(t, y, k, h, tolerances, parameters)
            up, down, new_memory = control(error2, memory)
            steps += 1
            if error2 <= 1.0 and norm2 < never:
                t_new = t_end if last else t + h
                if t_new >= due or norm2 >= threshold2:
                    asked, stop = record(
                        t,
                        y,
                        h,
                        t_new,
                        y_new,
                        norm2,
                        threshold2,
                        parameters,
                        times,
                        asked,
                        path,
                        ticket,
                    )
                    due = times[asked] if asked < len(times) else never
                t, y, k, memory = t_new, y_new, k_new, new_memory
                h *= up
            else:
                rejected += 1
                h *= down
            status = outcome(asked, len(times), stop, t, h, steps, max_steps)
            stop = stop if stop < t else t
        for later in range(asked, len(times)):
            for c in range(n):
                path[later, ticket, c] = math.nan
        report[ticket, 0] = status
        report[ticket, 1] = steps - rejected
        report[ticket, 2] = rejected
        report[ticket, 3] = stop

    return cuda.jit(_stepper.with_constants(run, number))
