"""Blow-up times and lotteries on a CUDA device: the scalar functions of the CPU, a thread each.

The same functions run under numba's CUDA simulator, as those of `grokode.theory.cuda_solvers` do.
"""

from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import config, cuda
from numpy.typing import ArrayLike, NDArray

from grokode.theory import _elliptic, _philox
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
    functions = _elliptic_functions()
    blowup, straight = functions["_blowup"], functions["_blowup_straight"]

    @cuda.jit
    def run(A: Any, B: Any, out: Any, p: Any) -> None:
        i = cuda.grid(1)  # type: ignore[attr-defined]
        if i < len(out):
            time = straight(A[i].real, A[i].imag, B[i].real, B[i].imag, p)
            if time != time:  # NaN: not one of the many that a fixed number of steps settles
                time = blowup(A[i], B[i], p)
            out[i] = time

    return run


@cache
def _lottery_kernel() -> Any:
    of_tickets = {name: _elliptic_functions()[name] for name in ("_blowup", "_blowup_straight")}
    decide = _on_device(_philox, of_tickets)["decide"]

    @cuda.jit
    def run(winners: Any, times: Any, first: Any, p: Any, seed: Any, spread: Any) -> None:
        row = cuda.grid(1)  # type: ignore[attr-defined]
        if row < len(winners):
            winners[row], times[row] = decide(first + row, p, seed, spread)

    return run


@cache
def _elliptic_functions() -> dict[str, Any]:
    @cuda.jit(device=True)
    def two_product(a: Any, b: Any) -> Any:
        # A compiler for a device fuses products with sums, also one that is used elsewhere, and an
        # exact sum of a product is then none; this product is not its to fuse.
        product = cuda.libdevice.dmul_rn(a, b)  # type: ignore[attr-defined]
        return product, cuda.fma(a, b, -product)  # type: ignore[attr-defined]

    return _on_device(_elliptic, {"_two_product": two_product})


def _on_device(module: ModuleType, replaced: dict[str, Any]) -> dict[str, Any]:
    """A module's scalar functions, compiled for the device; the simulator takes the CPU's."""
    scope = dict(vars(module))
    if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        return scope
    for name, value in vars(module).items():
        if hasattr(value, "py_func"):
            function = FunctionType(value.py_func.__code__, scope, name)
            scope[name] = cuda.jit(device=True)(function)
    scope.update(replaced)
    return scope
