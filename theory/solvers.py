"""Ensembles of small ODEs, one per ticket, integrated in parallel with numba.

Each ticket has its own adaptive steps: Dormand and Prince's 5(4) pair with PI step control, and the
pair's quartic dense output at the asked times. The tableau is SciPy's.

Sources: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, sections II.4-II.6.
"""

from enum import IntEnum
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import RK45

from grokode.theory.fourier import check_modulus

__all__ = ["Status", "simulate"]

Array = NDArray[Any]


class Status(IntEnum):
    """How the integration of a ticket ended."""

    REACHED = 0
    """The last asked time was reached."""
    BLEW_UP = 1
    """The state grew without bound, or the step shrank to rounding, before the last asked time."""
    TOO_MANY_STEPS = 2
    """The limit on steps was met."""


def simulate(
    spectrum: xr.Dataset,
    times: ArrayLike,
    *,
    rtol: float = 1e-9,
    max_steps: int = 100_000,
    check: bool = True,
) -> xr.Dataset:
    """Trajectory of every ticket of a spectrum under the four-variable flow.

    Parameters
    ----------
    spectrum : Dataset
        Initial state, see `grokode.theory.fourier.spectrum`; any leading dimensions.
    times : array (n,)
        Increasing, not negative; gradient-flow time of the summed loss.
    rtol : float
        Error of a step relative to the size of the ticket's state. Halving the tolerance about
        halves the error of the result.
    max_steps : int
        Steps per ticket at most.
    check : bool
        Raise if a ticket does not reach the last time. Otherwise its later values are NaN and its
        status says why.

    Returns
    -------
    Dataset
        A spectrum with dimension ``time`` in front of ``theta_hat`` and ``xi_hat``; means do not
        move. Per ticket ``status`` (see `Status`), ``steps`` (accepted) and ``rejected``.

    Raises
    ------
    ValueError
        If times are not increasing, a value is not finite, or the tolerance is out of range.
    RuntimeError
        If a ticket failed and `check` is true.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> x = np.arange(5)
    >>> wave = 0.1 * np.cos(2 * np.pi * x / 5)[None]
    >>> path = simulate(fourier.spectrum(2**0.5 * wave, wave), [0.0, 0.5])
    >>> beta = fourier.beta(path).sel(frequency=1).squeeze().values
    >>> bool(np.allclose(beta, [0.1, 0.1 / (1 - 2 * 5 * 0.1 * 0.5)], rtol=1e-8))
    True
    """
    p = check_modulus(spectrum.attrs["p"])
    asked = np.ascontiguousarray(times, dtype=np.float64)
    if asked.ndim != 1 or not asked.size or not np.isfinite(asked).all():
        raise ValueError(f"times must be a finite, non-empty list, got shape {asked.shape}")
    if asked[0] < 0 or (np.diff(asked) <= 0).any():
        raise ValueError("times must be increasing and not negative; sort them and drop repeats")
    if not 1e-14 <= rtol < 1:
        raise ValueError(f"rtol must be in [1e-14, 1), got {rtol}")
    hats = spectrum.theta_hat
    state = np.stack(
        [
            part.ravel()
            for hat in (hats.values, spectrum.xi_hat.transpose(*hats.dims).values)
            for part in (hat.real, hat.imag)
        ],
        axis=-1,
    ).astype(np.float64)
    if not np.isfinite(state).all():
        raise ValueError("spectrum must be finite, got NaN or infinity")
    path = np.full((len(state), asked.size, 4), np.nan)
    report = np.zeros((len(state), 3), dtype=np.int64)
    _integrate_all(state, asked, float(p), rtol, max_steps, path, report)
    failed = report[:, 0] != Status.REACHED
    if check and failed.any():
        raise RuntimeError(
            f"{failed.sum()} of {failed.size} tickets blow up or need more than {max_steps} steps "
            f"before time {asked[-1]:g}; ask for times before blowup_time, or pass check=False"
        )
    shape = (asked.size, *hats.shape)
    waves = np.moveaxis(path, 1, 0)
    dims = ("time", *hats.dims)
    counts = report.reshape(*hats.shape, 3)
    return spectrum.assign(
        theta_hat=(dims, (waves[..., 0] + 1j * waves[..., 1]).reshape(shape), hats.attrs),
        xi_hat=(dims, (waves[..., 2] + 1j * waves[..., 3]).reshape(shape), spectrum.xi_hat.attrs),
        status=(hats.dims, counts[..., 0]),
        steps=(hats.dims, counts[..., 1]),
        rejected=(hats.dims, counts[..., 2]),
    ).assign_coords(time=("time", asked, {"units": "gradient-flow time of the summed loss"}))


_A, _B, _E, _P = (np.ascontiguousarray(getattr(RK45, name)) for name in "ABEP")
_STAGES = 6


@nb.njit(cache=True, error_model="numpy", inline="always")
def _velocity(y: Array, p: float, out: Array) -> None:
    """The flow dA/dt = 2 p conj(A) B, dB/dt = p A^2 on (Re A, Im A, Re B, Im B)."""
    out[0] = 2 * p * (y[0] * y[2] + y[1] * y[3])
    out[1] = 2 * p * (y[0] * y[3] - y[1] * y[2])
    out[2] = p * (y[0] * y[0] - y[1] * y[1])
    out[3] = 2 * p * y[0] * y[1]


@nb.njit(cache=True, parallel=True, error_model="numpy")
def _integrate_all(
    state: Array, times: Array, p: float, rtol: float, max_steps: int, path: Array, report: Array
) -> None:
    for i in nb.prange(len(state)):
        _integrate(state[i], times, p, rtol, max_steps, path[i], report[i])


@nb.njit(cache=True, error_model="numpy")
def _integrate(
    start: Array, times: Array, p: float, rtol: float, max_steps: int, path: Array, report: Array
) -> None:
    """Fill `path` (time, 4) and `report` (status, accepted, rejected) of one ticket."""
    y = start.copy()
    k = np.empty((_STAGES + 1, 4))
    trial, weights = np.empty(4), np.empty(_STAGES + 1)
    t, asked, last_error = 0.0, 0, 1e-4
    size = max(np.abs(y[:2]).max(), np.abs(y[2:]).max())
    if size == 0:
        path[:] = 0
        return
    _velocity(y, p, k[0])
    # A ticket changes on the scale 1 / (2 p size).
    h = 0.05 * rtol**0.2 / (p * size)
    while asked < len(times):
        if report[1] + report[2] >= max_steps:
            report[0] = 2
            return
        for s in range(1, _STAGES):
            for c in range(4):
                total = 0.0
                for j in range(s):
                    total += _A[s, j] * k[j, c]
                trial[c] = y[c] + h * total
            _velocity(trial, p, k[s])
        for c in range(4):
            total = 0.0
            for j in range(_STAGES):
                total += _B[j] * k[j, c]
            trial[c] = y[c] + h * total
        _velocity(trial, p, k[_STAGES])
        error = size = 0.0
        for c in range(4):
            total = 0.0
            for j in range(_STAGES + 1):
                total += _E[j] * k[j, c]
            error = max(error, abs(h * total))
            size = max(size, abs(y[c]), abs(trial[c]))
        error /= rtol * size
        if not error <= 1:
            report[2] += 1
            h *= max(0.2, 0.9 * error**-0.2) if error < np.inf else 0.2
            if t + h == t:
                report[0] = 1
                return
            continue
        report[1] += 1
        while asked < len(times) and times[asked] <= t + h:
            x = (times[asked] - t) / h
            for j in range(_STAGES + 1):
                weights[j] = x * (_P[j, 0] + x * (_P[j, 1] + x * (_P[j, 2] + x * _P[j, 3])))
            for c in range(4):
                total = 0.0
                for j in range(_STAGES + 1):
                    total += weights[j] * k[j, c]
                path[asked, c] = y[c] + h * total
            asked += 1
        t += h
        y[:] = trial
        k[0] = k[_STAGES]
        # PI control: the last error damps the reaction to this one.
        error = max(error, 1e-10)
        h *= min(5.0, max(0.2, 0.9 * error**-0.14 * last_error**0.08))
        last_error = error
        if t + h == t:
            report[0] = 1
            return
