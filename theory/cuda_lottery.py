"""Blow-up times and lotteries on a CUDA device: the scalar functions of the CPU, a thread each.

The same functions run under numba's CUDA simulator, as those of `grokode.theory.cuda_solvers` do.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import ArrayLike, NDArray

from grokode.theory._elliptic import _blowup, _blowup_straight
from grokode.theory._philox import decide
from grokode.theory.cuda_solvers import launch
from grokode.theory.fourier import check_modulus

__all__ = ["blowup_time", "decide_neurons"]

Array = NDArray[Any]


def blowup_time(theta_hat: ArrayLike, xi_hat: ArrayLike, p: int) -> Array:
    """As `grokode.theory.exact.blowup_time` of plain arrays, computed on the device.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays (n,)
    p : int
        Odd modulus.

    Returns
    -------
    float array (n,)
        Gradient-flow time of the summed loss.

    Raises
    ------
    RuntimeError
        If there is no CUDA device.
    ValueError
        If a ticket is not finite, or shapes differ.
    """
    A, B = (np.ascontiguousarray(wave, np.complex128) for wave in (theta_hat, xi_hat))
    if A.ndim != 1 or A.shape != B.shape:
        raise ValueError(f"tickets must be two arrays (n,), got shapes {A.shape} and {B.shape}")
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("tickets must be finite, got NaN or infinity; drop those")
    times = np.empty(len(A))
    launch(_blowup_kernel(), len(A), [A, B], [times], float(check_modulus(p)))
    return times


def decide_neurons(p: int, first: int, count: int, spread: float, seed: int) -> tuple[Array, Array]:
    """Winner and blow-up time (count,) of neurons from first on, drawn and decided on the device.

    Parameters
    ----------
    p : int
        Odd modulus.
    first, count : int
    spread : float
        Standard deviation of each part of a wave.
    seed : int

    Raises
    ------
    RuntimeError
        If there is no CUDA device.
    """
    winners, times = np.empty(count, np.int32), np.empty(count)
    launch(_lottery_kernel(), count, [], [winners, times], first, p, seed, spread)
    return winners, times


@cache
def _blowup_kernel() -> Any:
    @cuda.jit
    def run(A: Any, B: Any, out: Any, p: Any) -> None:
        i = cuda.grid(1)  # type: ignore[attr-defined]
        if i < len(out):
            time = _blowup_straight(A[i].real, A[i].imag, B[i].real, B[i].imag, p)
            if time != time:  # NaN: not one of the many that a fixed number of steps settles
                time = _blowup(A[i], B[i], p)
            out[i] = time

    return run


@cache
def _lottery_kernel() -> Any:
    @cuda.jit
    def run(winners: Any, times: Any, first: Any, p: Any, seed: Any, spread: Any) -> None:
        row = cuda.grid(1)  # type: ignore[attr-defined]
        if row < len(winners):
            winners[row], times[row] = decide(first + row, p, seed, spread)

    return run
