"""Two hidden states of a recurrent network under training: do they merge, when, and if not, where.

d = h2 - h1 is the difference of two hidden states and D_i the map from it to the difference of the
outputs after the continuation i, one of N; ytilde_i = y2* - y1* is what that difference should be.
The loss, averaged over both states and all continuations, is 1/2 <|ybar_i +- D_i d / 2 - y*|^2>,
and gradient flow on it, at the rate 1/tau_h for d and 1/tau_y for D_i, is

    d' = -<D_i^T (D_i d - ytilde_i)> / (4 tau_h),    D_i' = -(D_i d - ytilde_i) d^T / (4 N tau_y).

It keeps the matrix Q = tau_h d d^T - N tau_y <D_i^T D_i>. All functions take the two times
``hidden_time`` = tau_h and ``output_time`` = N tau_y, of which results other than times need the
ratio alone; equal rates for every parameter give ``output_time = 2 N hidden_time``.

Source: van Rossem and Saxe, arXiv:2507.09897, section 4 and appendix A, whose three-variable form
holds where every D_i reads d's direction alone; the matrix invariant and what follows from it are
derived here. `grokode.theory.identities` proves each formula.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._checks import check_increasing, check_number, real_array
from grokode.theory.systems import System

__all__ = [
    "PairFlow",
    "ReducedPairFlow",
    "agreeing_distance",
    "criteria",
    "final_distance",
    "invariant",
    "pair_state",
]

Array = NDArray[Any]

_RANGE = 1e-12
"""Eigenvalues of the Gram matrix below this part of the largest are rounding, so zero."""


def _pair_flow(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    delta, u, c, disagreement = y
    hidden_time, output_time = parameters
    pull = delta * u - c
    return (
        -0.25 / hidden_time * pull,
        -0.5 / output_time * delta * pull,
        -0.25 / output_time * delta * (delta * c - disagreement),
        0.0,
    )


def _reduced_pair_flow(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    x, p, w, disagreement = y
    hidden_time, output_time = parameters
    return (
        -0.5 / hidden_time * w,
        -0.5 * (x / output_time + p / (hidden_time * x)) * w,
        -0.25 * (3.0 * w - p + disagreement) * x / output_time
        - 0.25 * w * (p + w) / (hidden_time * x),
        0.0,
    )


@dataclass(frozen=True)
class _Times(System):
    """What the flows of a pair share: its two times and their checks."""

    hidden_time: float
    output_time: float

    def __post_init__(self) -> None:
        check_number("hidden_time", self.hidden_time, above=0)
        check_number("output_time", self.output_time, above=0)


@dataclass(frozen=True)
class PairFlow(_Times):
    """A pair in polynomial form, with D_i = u_i v^T and d = delta v for a unit vector v.

    delta' = -(delta U - c) / (4 tau_h), U' = -delta (delta U - c) / (2 N tau_y),
    c' = -delta (delta c - Y) / (4 N tau_y); Y is constant, each pair's own. Regular everywhere,
    also where the two states of a disagreeing pair pass through each other.

    Variables: ``delta``, signed distance; ``U`` = <|u_i|^2>; ``c`` = <u_i . ytilde_i>; ``Y`` =
    <|ytilde_i|^2>, 0 for pairs that agree. See `pair_state`.

    Parameters
    ----------
    hidden_time, output_time : float
        tau_h and N tau_y.

    Raises
    ------
    TypeError, ValueError
        If a time is not a positive number.

    Examples
    --------
    >>> PairFlow(1.0, 2.0).rhs(0.0, (1.0, 4.0, 0.0, 0.0), (1.0, 2.0))
    (-1.0, -1.0, -0.0, 0.0)
    """

    variables: ClassVar[Mapping[str, type]] = {"delta": float, "U": float, "c": float, "Y": float}
    rhs: ClassVar[Callable[..., tuple[float, ...]]] = staticmethod(_pair_flow)


@dataclass(frozen=True)
class ReducedPairFlow(_Times):
    """A pair in the published form, singular where x = 0: use it for pairs that stay apart.

    Variables: ``x`` = |d|^2; ``P`` = <|D_i d|^2>; ``w`` = <|D_i d|^2 - (D_i d) . ytilde_i>; ``Y`` =
    <|ytilde_i|^2>, constant. In terms of `PairFlow`, x = delta^2, P = x U and w = P - delta c.

    Parameters
    ----------
    hidden_time, output_time : float
        tau_h and N tau_y.

    Raises
    ------
    TypeError, ValueError
        If a time is not a positive number.

    Examples
    --------
    >>> ReducedPairFlow(1.0, 2.0).rhs(0.0, (1.0, 4.0, 4.0, 0.0), (1.0, 2.0))
    (-2.0, -9.0, -9.0, 0.0)
    """

    variables: ClassVar[Mapping[str, type]] = {"x": float, "P": float, "w": float, "Y": float}
    rhs: ClassVar[Callable[..., tuple[float, ...]]] = staticmethod(_reduced_pair_flow)


def pair_state(difference: ArrayLike, maps: ArrayLike, disagreement: ArrayLike) -> xr.Dataset:
    """The variables of `PairFlow` and `ReducedPairFlow` of pairs, read along their present d.

    Parameters
    ----------
    difference : array (..., hidden)
        d, not zero.
    maps : array (..., continuation, output, hidden)
        D_i.
    disagreement : array (..., continuation, output)
        ytilde_i.

    Returns
    -------
    Dataset
        ``delta`` (positive), ``U``, ``c``, ``x``, ``P``, ``w``, ``Y`` with dimensions ``batch_i``.

    Raises
    ------
    TypeError, ValueError
        If an array is not real and finite, shapes do not match, or a difference is zero.

    Examples
    --------
    >>> state = pair_state([3.0, 4.0], [[[1.0, 0.0]]], [[1.0]])
    >>> float(state.delta), float(state.P), float(state.w)
    (5.0, 9.0, 6.0)
    """
    d = _finite("difference", difference)
    D, target = _finite("maps", maps), _finite("disagreement", disagreement)
    if D.ndim < 3 or D.shape[-1] != d.shape[-1] or D.shape[:-1] != target.shape:
        raise ValueError(
            "maps must be (..., continuation, output, hidden) to fit difference (..., hidden) and "
            f"disagreement (..., continuation, output), got {D.shape}, {d.shape}, {target.shape}"
        )
    x = (d * d).sum(-1)
    if not (x > 0).all():
        raise ValueError("difference must not be zero; drop pairs that have merged already")
    output = (D @ d[..., None, :, None])[..., 0]
    P = (output * output).sum(-1).mean(-1)
    along = (output * target).sum(-1).mean(-1)
    columns = {
        "delta": np.sqrt(x),
        "U": P / x,
        "c": along / np.sqrt(x),
        "x": x,
        "P": P,
        "w": P - along,
        "Y": (target * target).sum(-1).mean(-1),
    }
    dims = [f"batch_{i}" for i in range(x.ndim)]
    return xr.Dataset({name: (dims, values) for name, values in columns.items()})


def final_distance(invariant: ArrayLike, disagreement: ArrayLike, ratio: float) -> Array:
    """Squared distance at the end, A/2 + sqrt(A^2/4 + ratio Y): zero only if Y = 0 and A <= 0.

    Parameters
    ----------
    invariant : array
        A = v^T Q v / tau_h for the unit vector v along the *final* d. Where the D_i read one
        direction alone it is also x - ratio U along the initial d; elsewhere that is a guess.
    disagreement : array
        Y = <|ytilde_i|^2>.
    ratio : float
        N tau_y / tau_h.

    Returns
    -------
    array
        The broadcast shape of the two.

    Raises
    ------
    TypeError, ValueError
        If an argument is not real and finite, Y is negative or ratio is not positive.

    Examples
    --------
    >>> final_distance([-3.0, 3.0, -3.0], [0.0, 0.0, 4.0], 1.0).tolist()
    [0.0, 3.0, 1.0]
    """
    A, Y = _finite("invariant", invariant), _finite("disagreement", disagreement)
    if (Y < 0).any():
        raise ValueError(f"disagreement must not be negative, got {Y.min():g}")
    below = check_number("ratio", ratio, above=0) * Y
    root = np.sqrt(A * A / 4 + below)
    # The difference of two near numbers, where A < 0, by its conjugate.
    with np.errstate(invalid="ignore"):
        small = np.where(below > 0, below / (root - A / 2), 0.0)
    return np.where(A < 0, small, A / 2 + root)


def agreeing_distance(
    initial: ArrayLike, invariant: ArrayLike, times: ArrayLike, output_time: float
) -> Array:
    """Squared distance of agreeing pairs, x = A / (1 + (A/x0 - 1) exp(-A t / (2 N tau_y))).

    Exact where the D_i read d's direction alone; at A = 0 the decay is algebraic.

    Parameters
    ----------
    initial : array
        x0, not negative.
    invariant : array
        A, of a shape that broadcasts with `initial`; at most x0.
    times : array (time,)
        Increasing, not negative.
    output_time : float
        N tau_y.

    Returns
    -------
    array (time, ...)

    Raises
    ------
    TypeError, ValueError
        If an argument is not real and finite or out of range.

    Examples
    --------
    >>> agreeing_distance(1.0, [-1.0, 0.0, 0.5], [0.0, 100.0], 1.0)[1].round(6).tolist()
    [0.0, 0.019608, 0.5]
    """
    x, A = np.broadcast_arrays(_finite("initial", initial), _finite("invariant", invariant))
    if (x < 0).any() or (x < A).any():
        raise ValueError("initial must not be negative, nor smaller than invariant")
    t = check_increasing("times", times).reshape(-1, *(1,) * x.ndim)
    rate = t / (2 * check_number("output_time", output_time, above=0))
    # x0 / (e^-s + x0 (1 - e^-s) / A) with s = A rate; its last factor is `rate` at A = 0.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        grown = np.where(A == 0, rate, -np.expm1(-A * rate) / A)
        value = x / (np.exp(-A * rate) + x * grown)
    return np.where(np.isfinite(value), value, 0.0)


def invariant(difference: ArrayLike, gram: ArrayLike, ratio: float) -> Array:
    """The conserved matrix Q / tau_h = d d^T - ratio <D_i^T D_i>.

    Parameters
    ----------
    difference : array (..., hidden)
        d.
    gram : array (..., hidden, hidden)
        <D_i^T D_i>, the mean over continuations; ``einsum("...noh,...nok->...hk", D, D) / N``.
    ratio : float
        N tau_y / tau_h.

    Returns
    -------
    array (..., hidden, hidden)

    Raises
    ------
    TypeError, ValueError
        If an array is not real and finite, shapes do not match, or ratio is not positive.

    Examples
    --------
    >>> invariant([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], 1.0).tolist()
    [[0.0, 2.0], [2.0, 3.0]]
    """
    d, S = _finite("difference", difference), _finite("gram", gram)
    if S.ndim < 2 or S.shape[-1] != S.shape[-2] or S.shape[-1] != d.shape[-1]:
        raise ValueError(
            f"gram must be (..., hidden, hidden) and difference (..., hidden), got {S.shape} and "
            f"{d.shape}"
        )
    return d[..., :, None] * d[..., None, :] - check_number("ratio", ratio, above=0) * S


def criteria(difference: ArrayLike, gram: ArrayLike, ratio: float) -> xr.Dataset:
    """Do agreeing pairs merge? The published criterion, which is only necessary, and the exact one.

    Published: A < 0 along the initial d, that is |d|^4 / (ratio d^T S d) < 1 with S the Gram
    matrix. Exact: d^T S^-1 d / ratio < 1, infinite for d outside the range of S. The published
    number is at most the exact one, by Cauchy and Schwarz, and equal where d is an eigenvector.

    Parameters
    ----------
    difference, gram, ratio
        As for `invariant`.

    Returns
    -------
    Dataset
        ``published`` and ``exact``, the two numbers, each below 1 where it says "merge", and
        ``final``, the squared distance at the end, the largest eigenvalue of Q / tau_h if positive;
        dimensions ``batch_i``.

    Raises
    ------
    TypeError, ValueError
        As `invariant`.

    Examples
    --------
    Two directions read with strengths 4 and 1/4: the published criterion sees their mean.

    >>> both = criteria([1.0, 1.0], [[4.0, 0.0], [0.0, 0.25]], 1.0)
    >>> round(float(both.published), 4), float(both.exact), round(float(both.final), 4)
    (0.9412, 4.25, 1.0)
    """
    Q = invariant(difference, gram, ratio)
    d, S = real_array("difference", difference), real_array("gram", gram)
    strengths, axes = np.linalg.eigh(S)
    parts2 = (axes.swapaxes(-1, -2) @ d[..., None])[..., 0] ** 2
    read = strengths > _RANGE * strengths[..., -1:]
    x = (d * d).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(read, parts2 / strengths, 0.0).sum(-1) / ratio
        published = x * x / (parts2 * strengths).sum(-1) / ratio
    outside = np.where(read, 0.0, parts2).sum(-1) > _RANGE * x
    columns = {
        "published": published,
        "exact": np.where(outside, np.inf, exact),
        "final": np.maximum(np.linalg.eigvalsh(Q)[..., -1], 0.0),
    }
    dims = [f"batch_{i}" for i in range(x.ndim)]
    return xr.Dataset({name: (dims, values) for name, values in columns.items()})


def _finite(name: str, values: ArrayLike) -> Array:
    given = real_array(name, values)
    if not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return given
