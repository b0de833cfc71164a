"""The published corollary under test: how far misalignment alone names the winner.

With equal initial magnitudes the blow-up time of the four-variable flow grows with |D|, so least
misalignment and least blow-up time name the same winner. Here the magnitudes are spread, which the
corollary leaves out.

Source: arXiv:2602.16849, section 4 (corollary), against the exact blow-up time of its flow.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from grokode.compare.common.estimates import wilson
from grokode.compare.lottery.winners import winners
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.predictors import get_predictor
from grokode.theory.rule import TrainingRule

__all__ = ["GAUSSIAN_SPREAD", "SPREADS", "corollary", "corollary_of_runs", "spread_start"]

SPREADS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5)

GAUSSIAN_SPREAD = float(np.pi / np.sqrt(24))
"""Standard deviation of log alpha under Gaussian weights, where alpha^2 is exponential: 0.641."""

_SIMPLE = ("misalignment", "largest_magnitude")


def spread_start(p: int, neurons: int, kappa: float, spread: float, seed: int) -> xr.Dataset:
    """A start with uniform phases and log-normal magnitudes, alpha and beta drawn alike.

    Parameters
    ----------
    p : int
        Odd modulus.
    neurons : int
    kappa : float
        Median of alpha and of beta.
    spread : float
        Standard deviation of log alpha and of log beta; 0 is the corollary's assumption.
    seed : int
        The same seed gives the same phases, and the same draws of the magnitudes up to spread.

    Returns
    -------
    Dataset
        Spectrum (neuron, frequency), means zero.

    Raises
    ------
    ValueError
        For a kappa that is not positive, a negative spread, fewer than one neuron or an even p.

    Examples
    --------
    >>> start = spread_start(7, 4, 0.02, 0.0, seed=0)
    >>> bool(np.allclose(fourier.alpha(start), 0.02) and np.allclose(fourier.beta(start), 0.02))
    True
    """
    p = fourier.check_modulus(p)
    if neurons < 1:
        raise ValueError(f"neurons must be at least 1, got {neurons}")
    if not 0 < kappa < np.inf:
        raise ValueError(f"kappa must be positive and finite, got {kappa}")
    if not 0 <= spread < np.inf:
        raise ValueError(f"spread must be at least 0 and finite, got {spread}")
    rng = np.random.default_rng(seed)
    shape = (2, neurons, (p - 1) // 2)
    phases, sizes = rng.uniform(0, 2 * np.pi, shape), rng.normal(size=shape)
    waves = kappa * np.exp(spread * sizes + 1j * phases)
    theta, xi = fourier.from_waves(np.zeros((2, neurons)), waves)
    return fourier.spectrum(theta, xi)


def corollary(
    p: int,
    neurons: int = 4096,
    kappa: float = 0.02,
    spreads: Sequence[float] = SPREADS,
    seed: int = 0,
) -> xr.Dataset:
    """How often misalignment alone names the winner by blow-up time, as magnitudes spread.

    Blow-up times scale with 1/kappa, all alike: the answer is the same for every kappa.

    Parameters
    ----------
    p : int
        Odd modulus, at least 5 (p = 3 has one ticket a neuron).
    neurons : int
    kappa : float
        Median of the initial magnitudes.
    spreads : sequence of float
        Standard deviations of the logarithm of the magnitudes.
    seed : int

    Returns
    -------
    Dataset
        ``accuracy (predictor, spread)`` of the predictors ``misalignment`` and
        ``largest_magnitude``, and its 95% ``interval (predictor, spread, bound)`` (Wilson's);
        attributes ``p, neurons, kappa, seed, chance = 1/K`` and ``gaussian_spread``, the spread of
        Gaussian weights.

    Raises
    ------
    ValueError
        For a p that is even or below 5, or as `spread_start`.

    Examples
    --------
    >>> sweep = corollary(11, neurons=200, spreads=[0.0, 0.64])
    >>> agree = sweep.accuracy.sel(predictor="misalignment")
    >>> float(agree[0]), bool(agree[1] < 0.7)
    (1.0, True)
    """
    if fourier.check_modulus(p) < 5:
        raise ValueError(f"p must be at least 5 for a lottery of more than one ticket, got {p}")
    rule = TrainingRule(p=p)
    hits = np.empty((len(_SIMPLE), len(spreads)), dtype=int)
    for column, spread in enumerate(spreads):
        start = spread_start(p, neurons, kappa, spread, seed)
        winner = get_predictor("blowup_time").winners(start, rule)
        for row, name in enumerate(_SIMPLE):
            hits[row, column] = int((get_predictor(name).winners(start, rule) == winner).sum())
    interval = [[wilson(count, neurons) for count in row] for row in hits]
    return xr.Dataset(
        {
            "accuracy": (("predictor", "spread"), hits / neurons),
            "interval": (("predictor", "spread", "bound"), np.array(interval)),
        },
        coords={
            "predictor": list(_SIMPLE),
            "spread": (
                "spread",
                np.asarray(spreads, dtype=float),
                {"long_name": "standard deviation of the logarithm of initial magnitudes"},
            ),
            "bound": ["low", "high"],
        },
        attrs={
            "p": p,
            "neurons": neurons,
            "kappa": kappa,
            "seed": seed,
            "chance": 2 / (p - 1),
            "gaussian_spread": GAUSSIAN_SPREAD,
        },
    )


def corollary_of_runs(
    runs: Mapping[float, Run], predictors: Sequence[str] = ("misalignment", "blowup_time")
) -> xr.Dataset:
    """How often predictors name the winners of trained networks, as initial magnitudes spread.

    Parameters
    ----------
    runs : dict
        Runs trained from `spread_start`, by spread.
    predictors : sequence of str
        Names of predictors.

    Returns
    -------
    Dataset
        ``accuracy (predictor, spread)`` against the frequency of largest beta in the last
        checkpoint, and its 95% ``interval (predictor, spread, bound)``.

    Raises
    ------
    ValueError
        As `grokode.compare.winners`, or if there is no run.
    """
    if not runs:
        raise ValueError("runs must hold at least one run by its spread, got none")
    of_each = [winners(run, predictors)[["accuracy", "interval"]] for run in runs.values()]
    together = xr.concat(of_each, "spread", combine_attrs="drop")
    return together.assign_coords(spread=[float(spread) for spread in runs])
