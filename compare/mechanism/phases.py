"""Phases, frequencies and magnitudes of a network's neurons: what symmetry theory asks of them.

Each neuron is read at its winner, the frequency of its largest beta. Observation 2 says that its
phases obey psi = 2 phi; Observation 3 that the winners are spread evenly over the frequencies, and
over each frequency's neurons the phases evenly over the circle and the magnitudes alike.

Source: arXiv:2602.16849, Observations 2 and 3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
import xarray as xr
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FEWEST",
    "ORDERS",
    "RANDOM_SINE",
    "frequency_balance",
    "magnitude_homogeneity",
    "phase_doubling",
    "phase_uniformity",
    "rayleigh",
    "winning_waves",
]

Array = NDArray[Any]

ORDERS = (1, 2, 3, 4)
"""Harmonic orders of the tests of uniformity; Proposition 1 needs the second and the fourth."""

RANDOM_SINE = 2 / np.pi
"""Mean |sin D| of a network with random phases."""

FEWEST = 5
"""Fewer neurons at a frequency than this leave the tests without their distribution."""

# A wave below this part of the weights' mean is what rounding leaves of constant weights.
_ROUNDING = 1e-12
NO_NEURON = "no neuron has a wave in both layers"


def winning_waves(spectrum: xr.Dataset) -> xr.Dataset:
    """The wave of each neuron's winner, for all neurons that have one.

    Parameters
    ----------
    spectrum : Dataset
        One network, (neuron, frequency), from `grokode.theory.fourier.spectrum`.

    Returns
    -------
    Dataset
        ``frequency, alpha, beta, phi, psi, misalignment (neuron)``. Neurons without a wave in
        either layer (dead ones) are left out, their number is attribute ``dead``; attribute ``p``.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> x = np.arange(7)
    >>> wave = np.cos(2 * np.pi * 3 * x / 7 + 0.5)
    >>> waves = winning_waves(fourier.spectrum([wave, 0 * x], [wave, wave]))
    >>> waves.frequency.values.tolist(), waves.phi.values.round(9).tolist(), waves.attrs["dead"]
    ([3], [0.5], 1)
    """
    A, B = spectrum.theta_hat.values, spectrum.xi_hat.values
    alive = np.ones(len(A), dtype=bool)
    for waves, mean in ((A, spectrum.theta_mean), (B, spectrum.xi_mean)):
        alive &= np.abs(waves).max(-1) > _ROUNDING * np.abs(mean.values)
    winner = np.abs(B[alive]).argmax(-1)
    rows = np.arange(len(winner))
    A, B = A[alive][rows, winner], B[alive][rows, winner]
    phi, psi = np.angle(A), np.angle(B)
    angle, size = {"units": "rad"}, {"units": "weights"}
    return xr.Dataset(
        {
            "frequency": ("neuron", winner + 1, {"long_name": "winner of a neuron"}),
            "alpha": ("neuron", np.abs(A), {"long_name": "input magnitude"} | size),
            "beta": ("neuron", np.abs(B), {"long_name": "output magnitude"} | size),
            "phi": ("neuron", phi, {"long_name": "input phase"} | angle),
            "psi": ("neuron", psi, {"long_name": "output phase"} | angle),
            "misalignment": (
                "neuron",
                _wrapped(2 * phi - psi),
                {"long_name": "misalignment D = 2 phi - psi"} | angle,
            ),
        },
        coords={"neuron": spectrum.neuron.values[alive]},
        attrs={"p": spectrum.attrs["p"], "dead": int((~alive).sum())},
    )


def phase_doubling(spectrum: xr.Dataset) -> xr.Dataset:
    """How well each winner's output phase is twice its input phase.

    Parameters
    ----------
    spectrum : Dataset
        One network.

    Returns
    -------
    Dataset
        `winning_waves` with ``two_phi (neuron)``, 2 phi in (-pi, pi], ``mean_abs_sin``, the mean of
        |sin D| over the neurons, and ``mean_cos``, that of cos D. The sine alone does not tell
        D = 0 from D = pi. Attribute ``reason``: why there is no mean, or empty.

    Examples
    --------
    >>> from grokode.theory.fourier import spectrum
    >>> rng = np.random.default_rng(0)
    >>> doubling = phase_doubling(spectrum(*rng.normal(size=(2, 2000, 7))))
    >>> bool(abs(doubling.mean_abs_sin - RANDOM_SINE) < 0.03)
    True
    """
    waves = winning_waves(spectrum)
    some = waves.sizes["neuron"] > 0
    return waves.assign(
        two_phi=(
            "neuron",
            _wrapped(2 * waves.phi.values),
            {"long_name": "twice the input phase", "units": "rad"},
        ),
        mean_abs_sin=np.abs(np.sin(waves.misalignment)).mean() if some else np.nan,
        mean_cos=np.cos(waves.misalignment).mean() if some else np.nan,
    ).assign_attrs(reason="" if some else NO_NEURON)


def frequency_balance(spectrum: xr.Dataset) -> xr.Dataset:
    """Neurons that each frequency won, and a chi-square test against an even spread.

    Parameters
    ----------
    spectrum : Dataset
        One network.

    Returns
    -------
    Dataset
        ``neurons (frequency)``, their expectation ``expected``, ``chi_square`` (K - 1 degrees of
        freedom) and ``p_value``. A small p-value speaks against the even spread. Attribute
        ``reason``: why there is no test, or empty.

    Examples
    --------
    >>> from grokode.theory.fourier import spectrum
    >>> x, k = np.arange(7), np.repeat([1, 2, 3], 10)[:, None]
    >>> waves = np.cos(2 * np.pi * k * x / 7)
    >>> balance = frequency_balance(spectrum(waves, waves))
    >>> balance.neurons.values.tolist(), float(balance.p_value)
    ([10, 10, 10], 1.0)
    """
    winners = winning_waves(spectrum).frequency.values
    K = spectrum.sizes["frequency"]
    counts = np.bincount(winners - 1, minlength=K)
    expected = len(winners) / K
    reason, chi_square, p_value = "", np.nan, np.nan
    if K == 1:
        reason = "p = 3 has one frequency, there is nothing to balance"
    elif expected < FEWEST:
        reason = (
            f"{len(winners)} neurons on {K} frequencies are fewer than {FEWEST} expected to each, "
            "too few for a chi-square test"
        )
    else:
        chi_square, p_value = scipy.stats.chisquare(counts)
    return xr.Dataset(
        {
            "neurons": ("frequency", counts, {"long_name": "neurons that a frequency won"}),
            "expected": expected,
            "chi_square": float(chi_square),
            "p_value": float(p_value),
        },
        coords={"frequency": spectrum.frequency},
        attrs={"p": spectrum.attrs["p"], "reason": reason},
    )


def rayleigh(resultant: ArrayLike, neurons: ArrayLike) -> Array:
    """P-value of Rayleigh's test: independent uniform angles have a resultant at least this long.

    Wilkie's approximation to the distribution of the resultant; from 5 angles on within 0.006 of
    the true level, and within 0.003 where that is below 0.1. Source: Wilkie (1983), Applied
    Statistics 32, 311; Zar, Biostatistical Analysis, section 27.1.

    Parameters
    ----------
    resultant : array
        Length of the mean of e^{i angle}, in [0, 1].
    neurons : array
        Number of angles.

    Examples
    --------
    >>> rayleigh([0.0, 1.0], 10).round(4).tolist()
    [1.0, 0.0]
    """
    n = np.asarray(neurons, dtype=np.float64)
    length = n * np.asarray(resultant)
    return np.minimum(1, np.exp(np.sqrt(1 + 4 * n + 4 * (n**2 - length**2)) - (1 + 2 * n)))


def phase_uniformity(spectrum: xr.Dataset, orders: Sequence[int] = ORDERS) -> xr.Dataset:
    """Whether the input phases of each frequency's neurons are spread evenly over the circle.

    At order n the angles n phi are looked at: their resultant, the length of the mean of
    e^{i n phi}, is 0 where the noise of that order cancels (Proposition 1 needs n = 2 and 4), and
    about sqrt(pi / 4N) for N independent uniform phases. Rayleigh's test says whether it is longer
    than those would have it; p-values are adjusted by Holm's method for all tests together.

    Parameters
    ----------
    spectrum : Dataset
        One network.
    orders : sequence of int

    Returns
    -------
    Dataset
        ``resultant (order, frequency)``, every neuron counted alike, and that is what is tested;
        ``weighted_resultant (order, frequency)``, neurons weighted by alpha^2 beta, as their noise
        enters a quadratic network's logits; ``random_resultant (frequency)``, the mean for
        independent uniform phases; ``p_value`` and ``adjusted_p_value (order, frequency)``;
        ``neurons (frequency)``. ``noise (order)``, the mean over the tested frequencies of
        N resultant^2, is 1 for independent uniform phases and 0 for ones that cancel exactly;
        ``noise_p_value (order)`` is how often independent ones would have that little (from
        chi-square with 2 degrees of freedom a frequency). Frequencies with fewer than 5 neurons are
        not tested and have NaN p-values; attribute ``reason`` says so if that leaves none, else it
        is empty.

    Source: arXiv:2602.16849, Observation 3.

    Examples
    --------
    >>> from grokode.theory.fourier import spectrum
    >>> x, phi = np.arange(7), 2 * np.pi * np.arange(6)[:, None] / 6
    >>> even = np.cos(2 * np.pi * x / 7 + phi)
    >>> uniformity = phase_uniformity(spectrum(even, even)).sel(frequency=1)
    >>> bool((uniformity.resultant < 1e-12).all() and (uniformity.p_value == 1).all())
    True
    """
    waves = winning_waves(spectrum)
    frequencies = spectrum.frequency.values
    n = np.asarray(orders)
    turns = np.exp(1j * n[:, None] * waves.phi.values)
    won = waves.frequency.values[:, None] == frequencies
    counts = won.sum(0)
    # Scaled to at most 1, so that no product of tiny weights underflows.
    alpha, beta = (size / size.max(initial=0) for size in (waves.alpha.values, waves.beta.values))
    weights = won * (alpha**2 * beta)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        resultant = np.abs(turns @ won) / counts
        weighted = np.abs(turns @ weights) / weights.sum(0)
        random = np.sqrt(np.pi / counts) / 2
        p_values = np.where(counts >= FEWEST, rayleigh(resultant, counts), np.nan)
    # Imported where it is used: every command would wait for it.
    from statsmodels.stats.multitest import multipletests

    adjusted = np.full(p_values.shape, np.nan)
    tested = np.isfinite(p_values)
    if tested.any():
        adjusted[tested] = multipletests(p_values[tested], method="holm")[1]
    some = counts >= FEWEST
    noise, noise_p_value = np.full((2, len(n)), np.nan)
    if some.any():
        noise = (counts * resultant**2)[:, some].mean(-1)
        noise_p_value = scipy.stats.chi2.cdf(2 * some.sum() * noise, 2 * some.sum())
    reason = "" if some.any() else f"no frequency has {FEWEST} neurons to test"
    cells = ("order", "frequency")
    return xr.Dataset(
        {
            "resultant": (cells, resultant, {"long_name": "|mean e^(i n phi)|"}),
            "weighted_resultant": (cells, weighted, {"long_name": "weighted by alpha^2 beta"}),
            "random_resultant": ("frequency", np.where(counts > 0, random, np.nan)),
            "p_value": (cells, p_values, {"long_name": "Rayleigh's test, unweighted"}),
            "adjusted_p_value": (cells, adjusted, {"long_name": "adjusted by Holm's method"}),
            "noise": ("order", noise, {"long_name": "mean of N resultant^2"}),
            "noise_p_value": ("order", noise_p_value),
            "neurons": ("frequency", counts),
        },
        coords={"order": n, "frequency": frequencies},
        attrs={"p": spectrum.attrs["p"], "reason": reason},
    )


def magnitude_homogeneity(spectrum: xr.Dataset) -> xr.Dataset:
    """How much the magnitudes of a frequency's neurons differ.

    Parameters
    ----------
    spectrum : Dataset
        One network.

    Returns
    -------
    Dataset
        ``mean_magnitude (layer, frequency)``, that of the neurons that the frequency won (alpha for
        ``theta``, beta for ``xi``), and ``variation (layer, frequency)``, their standard deviation
        over their mean; ``variation_within (layer)``, the mean of that over the frequencies, by
        their neurons, and ``variation_between (layer)``, the standard deviation of the frequencies'
        means over their mean. NaN where a frequency has no two neurons. Attribute ``reason``: why
        there is nothing to compare, or empty.

    Examples
    --------
    >>> from grokode.theory.fourier import spectrum
    >>> x = np.arange(7)
    >>> wave = np.cos(2 * np.pi * x / 7)
    >>> homogeneity = magnitude_homogeneity(spectrum([wave, 3 * wave], [wave, wave]))
    >>> homogeneity.variation.sel(frequency=1).values.round(9).tolist()
    [0.5, 0.0]
    """
    waves = winning_waves(spectrum)
    K = spectrum.sizes["frequency"]
    mean, variation = np.full((2, 2, K), np.nan)
    within, between = np.full((2, 2), np.nan)
    counts = np.bincount(waves.frequency.values - 1, minlength=K)
    several = counts >= 2
    for row, name in enumerate(("alpha", "beta")):
        for k in np.flatnonzero(counts):
            sizes = waves[name].values[waves.frequency.values == k + 1]
            mean[row, k] = sizes.mean()
            if several[k]:
                variation[row, k] = sizes.std() / sizes.mean()
        if several.any():
            within[row] = np.average(variation[row, several], weights=counts[several])
        if (counts > 0).sum() >= 2:
            of_each = mean[row, counts > 0]
            between[row] = of_each.std() / of_each.mean()
    cells = ("layer", "frequency")
    return xr.Dataset(
        {
            "mean_magnitude": (cells, mean, {"long_name": "mean magnitude", "units": "weights"}),
            "variation": (cells, variation, {"long_name": "coefficient of variation"}),
            "variation_within": ("layer", within),
            "variation_between": ("layer", between),
            "neurons": ("frequency", counts),
        },
        coords={"layer": ["theta", "xi"], "frequency": spectrum.frequency},
        attrs={
            "p": spectrum.attrs["p"],
            "reason": "" if several.any() else "no frequency has two neurons to compare",
        },
    )


def _wrapped(angle: Array) -> Array:
    """The same angle in (-pi, pi]; arg(-1 - 0i) is -pi in floating point."""
    turned = np.angle(np.exp(1j * angle))
    return np.where(turned > -np.pi, turned, np.pi)
