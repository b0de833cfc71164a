"""The four-variable flow in closed form: when a ticket blows up, where it turns, where it is.

With v = beta^2 the flow conserves C1 = alpha^2 - 2 beta^2 and C2 = alpha^2 beta sin D, and
(dv/dt)^2 = 4 p^2 [v (C1 + 2 v)^2 - C2^2]: v is a Weierstrass function of time.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.theory import _elliptic
from grokode.theory.fourier import check_modulus

Array = NDArray[Any]

__all__ = ["blowup_time"]


def blowup_time(theta_hat: Any, xi_hat: Any, p: int) -> Any:
    """Time at which each ticket blows up.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays or DataArrays of one broadcastable shape
        Initial A = alpha e^{i phi} and B = beta e^{i psi}.
    p : int
        Odd modulus.

    Returns
    -------
    float array or DataArray
        Gradient-flow time of the summed loss.

    Examples
    --------
    >>> float(blowup_time(1.0, 0.5**0.5, 3).round(12))
    0.235702260396
    """
    p = check_modulus(p)

    def compute(A: Array, B: Array) -> Array:
        A, B = np.broadcast_arrays(A, B)
        out = np.empty(A.shape)
        _elliptic.blowup_loop(_flat(A), _flat(B), float(p), out.reshape(-1))
        return out

    if isinstance(theta_hat, xr.DataArray) or isinstance(xi_hat, xr.DataArray):
        return xr.apply_ufunc(compute, theta_hat, xi_hat).rename("blowup_time")
    return compute(np.asarray(theta_hat), np.asarray(xi_hat))[()]


def _flat(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.complex128).reshape(-1)
