"""Tickets on a card: fixed and adaptive steps, blow-up times, and a streamed lottery.

Times are to the wall, from arrays in the host's memory to arrays there; those of the kernel alone,
by the card's own clock, stand beside them, as others publish these. Operations are additions,
multiplications, divisions and roots, counted by running the same scalar functions on numbers that
count; the peak has one multiplication and addition a cycle in every lane, and fractions of it are
those of the kernel alone where that is timed.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.theory import _elliptic, _stepper, exact
from grokode.theory.solvers import simulate
from grokode.theory.streaming import stream_winners
from grokode.theory.systems import TicketFlow
from grokode.theory.tableaus import get_method

from . import ensemble, record
from .card import card
from .record import row

__all__ = ["ensemble_rows", "kernel_seconds", "lottery_rows", "peak", "peer_rows"]

Array = NDArray[Any]

# A card's work is none of this processor's.
best_of = partial(record.best_of, clock=time.perf_counter)
time_peer = partial(record.time_peer, clock=time.perf_counter)

# Lanes of a multiprocessor for float32 and float64, by compute capability.
_LANES = {
    (7, 0): (64, 32),
    (7, 5): (64, 2),
    (8, 0): (64, 32),
    (8, 6): (128, 2),
    (8, 9): (128, 2),
    (9, 0): (128, 64),
    (10, 0): (128, 64),
    (12, 0): (128, 2),
}


def ensemble_rows(
    n: int = 2**20, steps: int = 20_000, device: Any = "cuda"
) -> Iterator[dict[str, Any]]:
    """Steps of rk4 and solves of Tsit5, in both formats."""
    start = ensemble.tickets(n)
    for dtype, rtol in (("float32", 1e-5), ("float64", 1e-8)):
        own = {} if device == "cpu" else {"dtype": dtype}
        fixed = {"method": "rk4", "step_size": ensemble.END / steps} | own
        yield _solved(f"rk4, {steps:,} fixed steps", start, device, dtype, fixed)
        adaptive = {"method": "tsit5", "rtol": rtol} | own
        yield _solved(f"Tsit5 at rtol {rtol:g}", start, device, dtype, adaptive)


def _solved(
    name: str, start: tuple[Array, Array], device: Any, dtype: str, options: dict[str, Any]
) -> dict[str, Any]:
    solve = partial(
        simulate, TicketFlow(ensemble.P), start, [ensemble.END], device=device, **options
    )
    seconds, path = best_of(solve, repeats=2)
    steps = int(path.accepted.sum() + path.rejected.sum())
    tickets = len(start[0])
    end = path.theta_hat.values[0], path.xi_hat.values[0]
    result = row(
        f"ensemble, {name}, {dtype}",
        seconds / tickets * 1e9,
        "ns/ticket",
        error=ensemble._error(start, end),
    ) | {"steps_per_second": steps / seconds, "solves_per_second": tickets / seconds}
    if device == "cuda":
        seconds = kernel_seconds(start, options)
        result |= {
            "kernel_steps_per_second": steps / seconds,
            "kernel_solves_per_second": tickets / seconds,
        }
    rate = steps / seconds * _operations_of_step(options["method"])
    return result | {"of_peak": _of_peak(rate, dtype)}


def kernel_seconds(start: tuple[Array, Array], options: Mapping[str, Any]) -> float:
    """Seconds that the card itself takes for the tickets, arrays being there, the least of some."""
    from grokode.theory import cuda_solvers

    tableau = get_method(options["method"])
    y = np.stack([part for wave in start for part in (wave.real, wave.imag)], axis=-1)
    rtol = options.get("rtol", 1e-8)
    return _least(
        lambda: cuda_solvers.integrate(
            TicketFlow(ensemble.P),
            tableau,
            y,
            np.array([ensemble.END]),
            np.empty((len(y), 4)),
            np.empty((1, *y.shape)),
            options.get("step_size", rtol ** (1 / tableau.order)),
            (rtol**2, 0.0),
            np.inf,
            100_000,
            single=options.get("dtype") == "float32",
        )
    )


def _least(run: Callable[[], tuple[Any, Any]]) -> float:
    """Seconds between the two events of a kernel, the least of some after one to compile."""
    run()
    return min(begin.elapsed_time(end) / 1e3 for begin, end in (run() for _ in range(3)))


def lottery_rows(
    n: int = 10_000_000, p: int = 997, tickets: float = 5e9, device: Any = "cuda"
) -> Iterator[dict[str, Any]]:
    """Blow-up times of n tickets, and a lottery of so many streamed to the disk."""
    A, B = np.random.default_rng(0).normal(size=(2, n, 2)) @ np.array([1, 1j])
    blowup_time, in_kernel = exact.blowup_time, None
    if device == "cuda":
        from grokode.theory import cuda_lottery, cuda_solvers

        blowup_time = cuda_lottery.blowup_time
        launch = partial(cuda_solvers.launch, cuda_lottery._blowup_kernel(), n, [A, B])
        in_kernel = _least(lambda: launch([np.empty(n)], 23.0))
    seconds, times = best_of(lambda: blowup_time(A, B, 23), repeats=3)
    few = slice(0, 100_000)
    here, expected = best_of(lambda: exact.blowup_time(A[few], B[few], 23), repeats=3)
    rate = n / (in_kernel or seconds)
    yield row(
        "blow-up times",
        seconds / n * 1e9,
        "ns/ticket",
        error=float(abs(times[few] / expected - 1).max()),
        peer="ours, all cores of this machine",
        theirs=here / len(expected) * 1e9,
    ) | {
        "kernel_tickets_per_second": rate if in_kernel else None,
        "of_peak": _of_peak(rate * _operations_of_blowup(), "float64"),
    }
    neurons = math.ceil(tickets / ((p - 1) // 2))
    chunk = 2**18 if device == "cuda" else 256
    stream = partial(stream_winners, p, scale=0.1, seed=0, chunk=chunk, generator="philox")
    with tempfile.TemporaryDirectory() as folder:
        stream(256, out=Path(folder) / "warm-up", device=device)
        began = time.perf_counter()
        stream(neurons, out=Path(folder) / "stream", device=device)
        seconds = time.perf_counter() - began
    decided = neurons * ((p - 1) // 2)
    yield row(f"stream of {decided:.2g} tickets at p = {p}", seconds, "s") | {
        "tickets_per_second": decided / seconds,
        # Drawing is not counted.
        "of_peak": _of_peak(decided / seconds * _operations_of_blowup(), "float64"),
    }


def peer_rows(n: int = 2**18) -> Iterator[dict[str, Any]]:
    """Tsit5 beside diffrax on the same card, if jax sees it."""
    start = ensemble.tickets(n)
    seconds, path = best_of(
        partial(simulate, TicketFlow(ensemble.P), start, [ensemble.END], device="cuda"), repeats=2
    )

    def prepare() -> Callable[[], Any]:
        import jax

        if jax.default_backend() != "gpu":
            raise RuntimeError(f"jax has no card here, its backend is {jax.default_backend()}")
        return ensemble._diffrax(*start)

    theirs, end = time_peer(prepare, repeats=2)
    yield row(
        "ensemble, Tsit5 at rtol 1e-08, float64",
        seconds / n * 1e9,
        "ns/ticket",
        error=ensemble._error(start, (path.theta_hat.values[0], path.xi_hat.values[0])),
        peer="diffrax Tsit5, jit and vmap, the same card",
        theirs=theirs if isinstance(theirs, str) else theirs / n * 1e9,
        their_error=None if end is None else ensemble._error(start, end),
    )


def peak(machine: dict[str, Any], dtype: str) -> float | None:
    """Operations a second of all lanes; None for a card whose lanes or clock are not known."""
    lanes, clock = _LANES.get(tuple(machine["capability"])), machine["clock"]
    if lanes is None or clock is None:
        return None
    return float(2 * machine["processors"] * lanes[dtype == "float64"] * clock * 1e6)


def _of_peak(rate: float, dtype: str) -> float | None:
    try:
        most = peak(card(), dtype)
    except RuntimeError:  # no card: the CPU's tests of these rows
        return None
    return None if most is None else rate / most


class _Counted:
    """A number that counts what is done with it."""

    done = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def _count(self, value: float) -> "_Counted":
        _Counted.done += 1
        return _Counted(value)

    def __add__(self, other: Any) -> "_Counted":
        return self._count(self.value + _plain(other))

    def __sub__(self, other: Any) -> "_Counted":
        return self._count(self.value - _plain(other))

    def __rsub__(self, other: Any) -> "_Counted":
        return self._count(_plain(other) - self.value)

    def __mul__(self, other: Any) -> "_Counted":
        return self._count(self.value * _plain(other))

    def __truediv__(self, other: Any) -> "_Counted":
        return self._count(self.value / _plain(other))

    def __neg__(self) -> "_Counted":
        return _Counted(-self.value)

    def __abs__(self) -> "_Counted":
        return _Counted(abs(self.value))

    def __lt__(self, other: Any) -> bool:
        return self.value < _plain(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= _plain(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > _plain(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= _plain(other)

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> "_Counted":
        return self._count(math.sqrt(self.value))


def _plain(value: Any) -> float:
    return value.value if isinstance(value, _Counted) else value


def _counted(function: Callable[..., Any], *arguments: Any) -> int:
    _Counted.done = 0
    function(*arguments)
    return _Counted.done


def _operations_of_step(method: str) -> int:
    """Of one step of a ticket, its control left out."""
    flow = TicketFlow(23)
    stepper = _stepper.build(get_method(method), (2, 2), flow.rhs, lambda function: function)
    y = tuple(_Counted(value) for value in (0.1, 0.2, 0.3, 0.4))
    k = stepper.velocity(0.0, y, flow.parameters)
    arguments = (0.0, y, k, _Counted(1e-3), (1e-16, 0.0), flow.parameters)
    return _counted(stepper.step, *arguments)


def _operations_of_blowup() -> int:
    """Of one blow-up time that a fixed number of steps settles, as most do."""
    scope = dict(vars(_elliptic)) | {
        "math": SimpleNamespace(sqrt=_Counted.sqrt, isnan=math.isnan, nan=math.nan)
    }
    for name, value in vars(_elliptic).items():
        if hasattr(value, "py_func"):
            scope[name] = FunctionType(value.py_func.__code__, scope)
    waves = [_Counted(value) for value in (0.3, -0.4, 0.5, 0.2)]
    return _counted(scope["_blowup_straight"], *waves, 23.0)
