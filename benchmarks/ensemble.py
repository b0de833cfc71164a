"""Ensembles of tickets to a common time, beside SciPy, numbalsoda, torchdiffeq and diffrax.

Gaussian tickets are scaled to one blow-up time, 1, and followed to t = 0.9: the step sizes of a
batch then agree, which is kind to solvers that share them. Tolerances are 1e-8; the errors achieved
stand beside the times.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from grokode.theory import exact
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

from .record import best_of, row, time_peer

Array = NDArray[Any]

P = 23
END = 0.9
RTOL = 1e-8
ATOL = 1e-12  # of the peers; states are of size 1/(2p) and above


def tickets(n: int) -> tuple[Array, Array]:
    """n random tickets that blow up at time 1."""
    A, B = np.random.default_rng(0).normal(size=(2, n, 2)) @ np.array([1, 1j])
    # Magnitudes times c are times over c.
    T = exact.blowup_time(A, B, P)
    return A * T, B * T


def rows(n: int = 100_000) -> list[dict[str, Any]]:
    """Nanoseconds a ticket and core, ours and theirs."""
    start = tickets(n)
    ours, results = {}, []
    for method in ("tsit5", "dopri853"):
        seconds, path = best_of(partial(simulate, TicketFlow(P), start, [END], method=method))
        end = path.theta_hat.values[0], path.xi_hat.values[0]
        ours[method] = seconds / n * 1e9, _error(start, end)
        steps = int(path.accepted.sum() + path.rejected.sum())
        results.append(
            row(f"one step, {method}", seconds / steps * 1e9, "ns", error=ours[method][1])
        )
    peers: list[tuple[str, str, int, Callable[[Array, Array], Callable[[], Any]]]] = [
        ("dopri853", "scipy.integrate.solve_ivp DOP853", min(n, 200), _scipy),
        ("dopri853", "numbalsoda lsoda, compiled loop", min(n, 10_000), _numbalsoda),
        ("tsit5", "torchdiffeq dopri5, batched", min(n, 10_000), _torchdiffeq),
        ("tsit5", "diffrax Tsit5, jit and vmap", min(n, 10_000), _diffrax),
    ]
    for method, peer, count, prepare in peers:
        ns, error = ours[method]
        part = start[0][:count], start[1][:count]
        theirs, end = time_peer(partial(prepare, *part))
        results.append(
            row(
                f"ensemble at rtol {RTOL:g}, {method}",
                ns,
                "ns/ticket",
                error=error,
                peer=peer,
                theirs=theirs if isinstance(theirs, str) else theirs / count * 1e9,
                their_error=None if end is None else _error(part, end),
            )
        )
    return results


def _error(start: tuple[Array, Array], end: tuple[Array, Array]) -> float:
    """Largest error of a ticket's state relative to its norm, against the closed form."""
    truth = exact.evolve(*start, P, np.full(len(start[0]), END))
    wrong = np.hypot(*(np.abs(e - t) for e, t in zip(end, truth, strict=True)))
    return float((wrong / np.hypot(*(np.abs(t) for t in truth))).max())


def _scipy(A: Array, B: Array) -> Callable[[], Any]:
    def velocity(_: float, y: Array) -> Array:
        return np.array([2 * P * y[0].conjugate() * y[1], P * y[0] * y[0]])

    def solve() -> Any:
        ends = [
            solve_ivp(velocity, (0, END), y, method="DOP853", rtol=RTOL, atol=ATOL).y[:, -1]
            for y in np.stack([A, B], axis=1)
        ]
        return np.array(ends).T

    return solve


def _numbalsoda(A: Array, B: Array) -> Callable[[], Any]:
    import numba as nb
    from numbalsoda import lsoda, lsoda_sig

    @nb.cfunc(lsoda_sig)
    def velocity(t: Any, y: Any, out: Any, data: Any) -> None:
        out[0] = 2 * P * (y[0] * y[2] + y[1] * y[3])
        out[1] = 2 * P * (y[0] * y[3] - y[1] * y[2])
        out[2] = P * (y[0] * y[0] - y[1] * y[1])
        out[3] = 2 * P * y[0] * y[1]

    address, times = velocity.address, np.array([0.0, END])
    start = np.stack([A.real, A.imag, B.real, B.imag], axis=1)

    @nb.njit
    def solve_all(start: Any) -> Any:
        ends = np.empty_like(start)
        for i in range(len(start)):
            path, _ = lsoda(address, start[i], times, rtol=RTOL, atol=ATOL)
            ends[i] = path[-1]
        return ends

    def solve() -> Any:
        y = solve_all(start).T
        return y[0] + 1j * y[1], y[2] + 1j * y[3]

    return solve


def _torchdiffeq(A: Array, B: Array) -> Callable[[], Any]:
    import torch
    from torchdiffeq import odeint

    y0 = torch.tensor(np.stack([A.real, A.imag, B.real, B.imag]))
    times = torch.tensor([0.0, END], dtype=torch.float64)

    def velocity(_: Any, y: Any) -> Any:
        ar, ai, br, bi = y
        return torch.stack(
            [
                2 * P * (ar * br + ai * bi),
                2 * P * (ar * bi - ai * br),
                P * (ar * ar - ai * ai),
                2 * P * ar * ai,
            ]
        )

    def solve() -> Any:
        with torch.no_grad():
            y = odeint(velocity, y0, times, rtol=RTOL, atol=ATOL, method="dopri5")[-1].numpy()
        return y[0] + 1j * y[1], y[2] + 1j * y[3]

    return solve


def _diffrax(A: Array, B: Array) -> Callable[[], Any]:
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def velocity(t: Any, y: Any, args: Any) -> Any:
        ar, ai, br, bi = y
        return jnp.stack(
            [
                2 * P * (ar * br + ai * bi),
                2 * P * (ar * bi - ai * br),
                P * (ar * ar - ai * ai),
                2 * P * ar * ai,
            ]
        )

    def one(y: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(velocity),
            diffrax.Tsit5(),
            t0=0.0,
            t1=END,
            dt0=None,
            y0=y,
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL),
            saveat=diffrax.SaveAt(t1=True),
            adjoint=diffrax.DirectAdjoint(),
        )
        return solution.ys[-1]

    solve_all = jax.jit(jax.vmap(one))
    y0 = jnp.asarray(np.stack([A.real, A.imag, B.real, B.imag], axis=1))

    def solve() -> Any:
        y = np.asarray(solve_all(y0).block_until_ready()).T
        return y[0] + 1j * y[1], y[2] + 1j * y[3]

    return solve
