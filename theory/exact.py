"""The four-variable flow in closed form: when a ticket blows up, where it turns, where it is.

The flow dA/dt = 2 p conj(A) B, dB/dt = p A^2 conserves C1 = alpha^2 - 2 beta^2 and
C2 = alpha^2 beta sin D, so v = beta^2 obeys

    (dv/dt)^2 = 4 p^2 [v (C1 + 2 v)^2 - C2^2]

and is a Weierstrass function of time, v(t) = wp(2 p (T - t); g2, g3) - C1/3 with g2 = C1^2/3,
g3 = C1^3/27 + C2^2. T is Carlson's R_F; the phases are Carlson's R_J. Every ticket blows up in
finite time, except where it runs into a fixed point (see `blowup_time`).

Results are accurate to about 1e-12 relative, however close D is to 0, pi/2 or pi, and however large
or small alpha0 and beta0 are, alone or beside one another. Below alpha0/beta0 = 2^-266, where
(alpha0/beta0)^2 would underflow, B stands still to rounding and A moves linearly at the rates
+-2 p beta0 until the closed form can take over. Times are gradient-flow times of the *summed* loss:
SGD with learning rate eta on the mean loss over n pairs advances them by eta / n a step.

Source: derived from the flow of arXiv:2602.16849, section 4; B. C. Carlson, Numerical Algorithms
10 (1995) 13, for R_F and R_J.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import _elliptic
from grokode.theory._checks import any_array, real_array
from grokode.theory._labels import check_tickets
from grokode.theory.fourier import check_modulus

Array = NDArray[Any]
Values = ArrayLike | xr.DataArray  # as came in, so they go out

__all__ = ["TurningPoint", "blowup_time", "evolve", "output_magnitude", "turning_point"]


class TurningPoint(NamedTuple):
    """Where cos D = 0, both magnitudes are least and growth begins."""

    alpha: Any
    beta: Any
    time: Any


def blowup_time(theta_hat: Values, xi_hat: Values, p: int) -> Any:
    """Time at which each ticket blows up under the four-variable flow.

    The ticket of a neuron with the least blow-up time wins the neuron's lottery.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays or DataArrays of one broadcastable shape
        Initial A = alpha e^{i phi} and B = beta e^{i psi}.
    p : int
        Odd modulus.

    Returns
    -------
    float array or DataArray
        Gradient-flow time of the summed loss, ``R_F(v0-e1, v0-e2, v0-e3) / (2p)`` and its
        continuation for cos D < 0. Infinite where the ticket never grows without bound: alpha0 = 0
        (a fixed point), and C2 = 0 with D = pi and C1 <= 0 (it runs into one).

    Raises
    ------
    TypeError
        If p is not an integer or a ticket not numeric.
    ValueError
        If p is even or below 3 or not that of the tickets, shapes do not broadcast, a ticket is not
        finite, or they are weights.

    Examples
    --------
    An aligned ticket on the separatrix C1 = 0 has T = 1 / (2 p beta0):

    >>> float(blowup_time(1.0, 0.5**0.5, 3).round(12))
    0.235702260396
    >>> float(blowup_time(0.0, 1.0, 3))
    inf
    """
    p = check_modulus(p)
    theta_hat, xi_hat = _checked(theta_hat, xi_hat, p)

    (times,) = _elementwise(
        lambda A, B: _blowup_times(A, B, p), theta_hat, xi_hat, names=["blowup_time"]
    )
    return times


def evolve(
    theta_hat: Values,
    xi_hat: Values,
    p: int,
    time: Values,
    *,
    past_blowup: Literal["raise", "nan"] = "raise",
) -> tuple[Any, Any]:
    """Tickets after the given times, in closed form.

    alpha, beta, phi, psi and D are the modulus and argument of the result and of
    ``theta_hat**2 * conj(xi_hat)``.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays or DataArrays
        Tickets at time 0.
    p : int
        Odd modulus.
    time : non-negative array, or DataArray
        Gradient-flow time of the summed loss; broadcasts with the tickets. Beside DataArrays, a
        plain 1-d array becomes a dimension ``time``.
    past_blowup : {"raise", "nan"}
        What to do with a ticket that has blown up at or before its time.

    Returns
    -------
    theta_hat, xi_hat : complex arrays or DataArrays

    Raises
    ------
    TypeError, ValueError
        As `blowup_time`; also if a time is negative or NaN, or (unless ``past_blowup="nan"``) not
        before the blow-up of its ticket.

    Examples
    --------
    >>> A, B = evolve(1.0, 0.5**0.5, 3, 0.1)
    >>> bool(np.isclose(B, 0.5**0.5 / (1 - 6 * 0.5**0.5 * 0.1), rtol=1e-14))
    True
    """
    p = check_modulus(p)
    if past_blowup not in ("raise", "nan"):
        raise ValueError(f'past_blowup must be "raise" or "nan", got {past_blowup!r}')
    theta_hat, xi_hat = _checked(theta_hat, xi_hat, p)
    time = _check_time(time, theta_hat, xi_hat)

    def compute(A: Array, B: Array, t: Array) -> tuple[Array, Array]:
        A_out, B_out = np.empty(A.shape, np.complex128), np.empty(A.shape, np.complex128)
        _elliptic.evolve_loop(
            _flat(A), _flat(B), _flat(t, np.float64), float(p), A_out.reshape(-1), B_out.reshape(-1)
        )
        late = (t >= _blowup_times(A, B, p)) | np.isnan(A_out.real)
        A_out[late] = B_out[late] = complex(np.nan, np.nan)
        if past_blowup == "raise" and late.any():
            raise ValueError(
                f"time must be before the blow-up time, but {late.sum()} of {late.size} tickets "
                f'blow up by t = {t[late].min():.6g}; see blowup_time, or pass past_blowup="nan"'
            )
        return A_out, B_out

    A, B = _elementwise(compute, theta_hat, xi_hat, time, names=["theta_hat", "xi_hat"])
    return A, B


def output_magnitude(theta_hat: Values, xi_hat: Values, p: int, time: Values) -> Any:
    """Output magnitude beta after the given times, without the phases: `evolve`, but faster.

    Parameters
    ----------
    theta_hat, xi_hat, p, time
        As for `evolve`.

    Returns
    -------
    float array or DataArray
        beta; infinite at and past the blow-up.

    Raises
    ------
    TypeError, ValueError
        As `evolve`, but never for a late time.

    Examples
    --------
    >>> output_magnitude(1.0, 1.0, 3, [0.0, 1.0]).tolist()
    [1.0, inf]
    """
    p = check_modulus(p)
    theta_hat, xi_hat = _checked(theta_hat, xi_hat, p)
    time = _check_time(time, theta_hat, xi_hat)

    def compute(A: Array, B: Array, t: Array) -> Array:
        out = np.empty(A.shape)
        _elliptic.output_magnitude_loop(
            _flat(A), _flat(B), _flat(t, np.float64), float(p), out.reshape(-1)
        )
        out[t >= _blowup_times(A, B, p)] = np.inf
        return out

    (beta,) = _elementwise(compute, theta_hat, xi_hat, time, names=["beta"])
    return beta


def turning_point(theta_hat: Values, xi_hat: Values, p: int) -> TurningPoint:
    """Where a shrinking ticket turns: alpha and beta at cos D = 0, and the time of it.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays or DataArrays of one broadcastable shape
    p : int
        Odd modulus.

    Returns
    -------
    TurningPoint
        ``alpha, beta, time`` as float arrays or DataArrays. NaN where cos D0 >= 0 or alpha0 or
        beta0 is 0: such a ticket grows from the start. Where C2 = 0, D = pi and C1 <= 0 the time is
        infinite and alpha, beta are the fixed point approached, (0, sqrt(-C1/2)).

    Raises
    ------
    TypeError, ValueError
        As `blowup_time`.

    Examples
    --------
    >>> turn = turning_point(2.0, -1.0, 3)
    >>> float(np.round(turn.alpha, 12)), float(turn.beta)
    (1.414213562373, 0.0)
    """
    p = check_modulus(p)
    theta_hat, xi_hat = _checked(theta_hat, xi_hat, p)

    def compute(A: Array, B: Array) -> tuple[Array, ...]:
        out = np.empty((A.size, 3))
        _elliptic.turning_loop(_flat(A), _flat(B), float(p), out)
        return tuple(column.reshape(A.shape) for column in out.T)

    return TurningPoint(
        *_elementwise(compute, theta_hat, xi_hat, names=["alpha", "beta", "turning_time"])
    )


_LONG_NAMES = {
    "blowup_time": "blow-up time T",
    "theta_hat": "input wave, alpha e^(i phi)",
    "xi_hat": "output wave, beta e^(i psi)",
    "alpha": "input magnitude",
    "beta": "output magnitude",
    "turning_time": "time of the turning point",
}


def _blowup_times(A: Array, B: Array, p: int) -> Array:
    out = np.empty(A.shape)
    _elliptic.blowup_loop(_flat(A), _flat(B), float(p), out.reshape(-1))
    return out


def _elementwise(
    compute: Callable[..., Array | tuple[Array, ...]], *arguments: Any, names: list[str]
) -> tuple[Any, ...]:
    """Broadcast arguments, compute on equal shapes, give back arrays or DataArrays as came in."""

    def broadcast(*values: Array) -> Array | tuple[Array, ...]:
        try:
            equal = np.broadcast_arrays(*values)
        except ValueError:
            shapes = ", ".join(str(np.shape(v)) for v in values)
            raise ValueError(
                f"tickets and times must broadcast, got shapes {shapes}; add axes of length 1"
            ) from None
        return compute(*equal)

    if not any(isinstance(argument, xr.DataArray) for argument in arguments):
        result = broadcast(*(np.asarray(argument) for argument in arguments))
        return tuple(part[()] for part in (result if isinstance(result, tuple) else (result,)))
    try:
        xr.align(*(a for a in arguments if isinstance(a, xr.DataArray)), join="exact", copy=False)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"tickets and times must have the same coordinates: {reason}") from None
    labelled = xr.apply_ufunc(
        broadcast, *arguments, output_core_dims=[[]] * len(names), join="exact", keep_attrs=False
    )
    results = labelled if isinstance(labelled, tuple) else (labelled,)
    return tuple(
        r.rename(n).assign_attrs(long_name=_LONG_NAMES[n])
        for r, n in zip(results, names, strict=True)
    )


def _checked(theta_hat: Values, xi_hat: Values, p: int) -> tuple[Any, Any]:
    """Tickets as arrays, or DataArrays as they came."""
    tickets = []
    for name, values in (("theta_hat", theta_hat), ("xi_hat", xi_hat)):
        check_tickets(name, values, p)
        tickets.append(values if isinstance(values, xr.DataArray) else any_array(name, values))
    return tickets[0], tickets[1]


def _check_time(time: Values, *tickets: Values) -> Values:
    values = real_array("time", time)
    if not (values >= 0).all():
        raise ValueError(f"time must be non-negative and not NaN, got {values.min()}")
    if isinstance(time, xr.DataArray):
        return time
    if values.ndim == 1 and any(isinstance(ticket, xr.DataArray) for ticket in tickets):
        return xr.DataArray(values, dims="time", coords={"time": values})
    return values


def _flat(values: ArrayLike, dtype: Any = np.complex128) -> Array:
    """The one place where input becomes contiguous float64 or complex128, in a copy: broadcast
    views that are contiguous already are not what kernels may take for arrays to write to.
    """
    return np.array(values, dtype=dtype, order="C").reshape(-1)
