"""The pair flow beside a network: rates fitted once for a run, distances, who merges."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize

from grokode.theory import mergers, solvers

__all__ = ["Rates", "explained", "final_distances", "fit_rates", "losses", "paths"]

Array = NDArray[Any]

_GRID = np.arange(-2.0, 7.0, 1.5)
"""Powers of ten of the times tried first, in optimiser steps."""


class Rates(NamedTuple):
    """The two times of the pair flow for one run, in the unit of its steps."""

    hidden: float
    """tau_h"""
    output: float
    """tau_y of one continuation; a pair with N of them has N tau_y"""


def paths(variables: Mapping[str, Array], times: Array, rates: Rates) -> Array:
    """Distances (time, pair) by the pair flow from the variables at the start.

    With delta / sqrt(N), c / sqrt(N) and Y / N in place of delta, c and Y the flow is that of one
    continuation, so that pairs with any number of them are followed together.

    Parameters
    ----------
    variables : dict of array (pair,)
        ``N``, ``x``, ``P``, ``c``, ``Y`` as `grokode.compare.automata.pairs.responses` gives them.
    times : array (time,)
        Steps.
    rates : Rates

    Examples
    --------
    >>> pair = {"N": [1.0], "x": [1.0], "P": [4.0], "c": [0.0], "Y": [0.0]}
    >>> paths(pair, np.array([0.0, 100.0]), Rates(1.0, 2.0)).round(6).tolist()
    [[1.0], [0.0]]
    """
    root = np.sqrt(np.asarray(variables["N"]))
    distances: Array = abs(_path(variables, times, rates).delta.values) * root
    return distances


def losses(variables: Mapping[str, Array], times: Array, rates: Rates) -> Array:
    """Mean square error (time,) that the pair flow leaves, over pairs and both outputs.

    The mean of the two states' outputs is taken as learned; what is left is <|D d - ytilde|^2> / 4
    for each state, over two outputs. NaN where no pair could be followed.

    Parameters
    ----------
    variables, times, rates
        As `paths`.
    """
    path = _path(variables, times, rates)
    # <|D d - y|^2> = delta^2 U - 2 delta c + Y, of which the scaled variables have the N-th part
    # in the first factor of each.
    count = np.asarray(variables["N"])
    rest = count * (path.delta**2 * path.U - 2 * path.delta * path.c + path.Y).values
    known = np.isfinite(rest)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, rest, 0).sum(1) / known.sum(1)
    return mean / 8


def _path(variables: Mapping[str, Array], times: Array, rates: Rates) -> xr.Dataset:
    count, x, response, along, wanted = (np.asarray(variables[name]) for name in "NxPcY")
    root = np.sqrt(count)
    state = (np.sqrt(x) / root, response / x, along / root, wanted / count)
    flow = mergers.PairFlow(rates.hidden, rates.output)
    # Distances to four digits; more steps would only follow times far too short to fit.
    return solvers.simulate(flow, state, times, rtol=1e-5, atol=1e-9, max_steps=2000, check=False)


def fit_rates(variables: Mapping[str, Array], times: Array, observed: Array, floor: float) -> Rates:
    """Rates at which the pair flow is nearest to observed distances, in mean square of their logs.

    Parameters
    ----------
    variables, times
        As `paths`.
    observed : array (time, pair)
    floor : float
        Distances below it count as it: what is no distance at the tolerance is none here.
    """
    wanted = np.log(np.maximum(observed, floor))

    def miss(powers: Array) -> float:
        if np.abs(powers - 2).max() > 8:
            return 1e6
        hidden, output = 10.0**powers
        predicted = paths(variables, times, Rates(float(hidden), float(output)))
        gap = np.log(np.maximum(np.nan_to_num(predicted, nan=1e6), floor)) - wanted
        return float(np.mean(gap * gap))

    tried = [(miss(np.array([a, b])), a, b) for a in _GRID for b in _GRID]
    _, *start = min(tried)
    best = minimize(miss, start, method="Nelder-Mead", options={"xatol": 0.01, "fatol": 1e-4})
    hidden, output = 10.0**best.x
    return Rates(float(hidden), float(output))


def explained(observed: Array, predicted: Array, floor: float) -> float:
    """Part of the variance of the logs of distances that a prediction explains, at most 1.

    Negative where it does worse than their mean; NaN where they do not vary.

    Examples
    --------
    >>> seen = np.array([[1.0], [2.0]])
    >>> explained(seen, seen, 1e-3), explained(seen, seen[::-1], 1e-3)
    (1.0, -3.0)
    """
    seen, told = (np.log(np.maximum(values, floor)) for values in (observed, predicted))
    spread = ((seen - seen.mean()) ** 2).sum() if seen.size else 0.0
    return float(1 - ((seen - told) ** 2).sum() / spread) if spread > 0 else float("nan")


def final_distances(
    variables: Mapping[str, Array], differences: Array, gram: Array, rates: Rates
) -> dict[str, Array]:
    """Distances at the end (pair,) by the published closed form and by the exact one.

    The published form reads its invariant along the initial difference. The exact one, for pairs
    that agree, is the largest eigenvalue of the matrix invariant; for the others there is none from
    the start alone, and the published form stands in.

    Parameters
    ----------
    variables : dict of array (pair,)
    differences : array (pair, neuron)
    gram : array (pair, neuron, neuron)
    rates : Rates
    """
    ratio = np.asarray(variables["N"]) * rates.output / rates.hidden
    x, response, wanted = (np.asarray(variables[name]) for name in "xPY")
    along = x - ratio * response / x
    published = mergers.final_distance(along, ratio * wanted, 1.0)
    # The ratio is each pair's own, so it goes into its matrix.
    exact = mergers.criteria(differences, ratio[:, None, None] * gram, 1.0).final.values
    return {
        "published": np.sqrt(published),
        "exact": np.sqrt(np.where(wanted > 0, published, exact)),
    }
