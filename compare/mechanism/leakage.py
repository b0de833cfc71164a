"""Harmonics of a neuron's frequency: what ReLU adds to a wave, against three theories.

Under ReLU a neuron of one frequency k is not left alone with it: the gradient at theta = cos(w_k x)
has harmonics r k too (folded mod p). Relative to its part at k, at D = 0 and as p grows, it is

    input weights     3 / (r^2 - 4)     for odd r, 0 for even r:    3/5, 1/7, 1/15, ...
    output weights    3 / (4 r^2 - 1)   for all r:                  1/5, 3/35, 1/21, ...

(proved in `grokode.theory.identities.relu`). The published text has 1/r^2 for odd r instead, 1/9
and 1/25. Neither is what a trained neuron has: its harmonics act back on it. While softmax ~ 1/p a
ReLU neuron grows without changing its shape once it has the one that grows fastest, the weights of
unit norm with the largest energy sum_xy xi[x+y] relu(theta[x] + theta[y]); `GROWN` has the
harmonics of that shape. A quadratic neuron has none.

Source: arXiv:2602.16849, on ReLU; the grown shape is derived here.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.mechanism.phases import NO_NEURON, winning_waves
from grokode.theory import fourier

__all__ = [
    "GRADIENT",
    "GROWN",
    "HARMONICS",
    "PUBLISHED",
    "QUANTILES",
    "grown_wave",
    "harmonic_leakage",
]

Array = NDArray[Any]

HARMONICS = (2, 3, 4, 5, 6, 7)
QUANTILES = (0.25, 0.5, 0.75)

PUBLISHED = {"theta": {3: 1 / 9, 5: 1 / 25}}
"""Leakage of the input weights as published."""

GRADIENT = {
    "theta": {r: 3 / (r * r - 4) if r % 2 else 0.0 for r in HARMONICS},
    "xi": {r: 3 / (4 * r * r - 1) for r in HARMONICS},
}
"""Leakage of the gradient at a ReLU neuron of one frequency, at D = 0 and for large p."""

GROWN = {
    "theta": {2: 0.0, 3: 0.268, 4: 0.0, 5: 0.098, 6: 0.0, 7: 0.023},
    "xi": {2: 0.048, 3: 0.077, 4: 0.032, 5: 0.018, 6: 0.017, 7: 0.010},
}
"""Leakage of a ReLU neuron of one frequency as it grows, for large p; from `grown_wave`."""


def grown_wave(theta: ArrayLike, updates: int = 500) -> tuple[Array, Array]:
    """The shape towards which a ReLU neuron's weights grow while softmax ~ 1/p.

    Gradient ascent, with ever smaller steps, of the energy that is left once the output weights are
    the best for these input weights.

    Parameters
    ----------
    theta : array (p)
        Input weights to start from; the shape is a local maximum.
    updates : int
        The shape is within about 1 / updates of the maximum.

    Returns
    -------
    theta, xi : arrays (p)
        Of unit norm.

    Raises
    ------
    ValueError
        If p is even, or theta is constant.

    Examples
    --------
    >>> theta, _ = grown_wave(np.cos(2 * np.pi * np.arange(97) / 97))
    >>> _, waves = fourier.to_waves(theta)
    >>> [round(float(abs(waves[r - 1] / waves[0])), 2) for r in (3, 5)]
    [0.27, 0.1]
    """
    now: Array = np.asarray(theta, dtype=np.float64)
    p = fourier.check_modulus(len(now))
    if np.ptp(now) <= 1e-12 * np.abs(now).max():
        raise ValueError("theta must not be constant, no answer is fed by it; start from a wave")
    now = now / np.linalg.norm(now)
    x = np.arange(p)
    answers = (x[:, None] + x) % p
    for update in range(updates):
        z, xi = _best_outputs(now, answers)
        slope = np.where(z > 0, xi[answers], 0).sum(1)
        now = now + 2 / (update + 5) * slope / np.linalg.norm(slope)
        now /= np.linalg.norm(now)
    return now, _best_outputs(now, answers)[1]


def harmonic_leakage(spectrum: xr.Dataset) -> xr.Dataset:
    """Magnitudes at the harmonics of each neuron's winner k, relative to that at k.

    Parameters
    ----------
    spectrum : Dataset
        One network. The theories are about ReLU.

    Returns
    -------
    Dataset
        ``ratio (layer, harmonic, neuron)``, magnitude at r k folded to 1..K over that at k, alpha
        for ``theta`` and beta for ``xi``; ``ratio_quantile (quantile, layer, harmonic)``, its
        quartiles over the neurons; ``published``, ``gradient`` and ``grown (layer, harmonic)``,
        what the theories above say. NaN where a harmonic falls on 0 or on k itself, and where
        nothing was published. Attribute ``reason``: why there is nothing to measure, or empty.

    Examples
    --------
    >>> x = np.arange(23)
    >>> wave = np.cos(2 * np.pi * 2 * x / 23) + np.cos(2 * np.pi * 6 * x / 23) / 4
    >>> leakage = harmonic_leakage(fourier.spectrum([wave], [wave]))
    >>> round(float(leakage.ratio_quantile.sel(quantile=0.5, layer="theta", harmonic=3)), 9)
    0.25
    """
    p = spectrum.attrs["p"]
    waves = winning_waves(spectrum)
    winner = waves.frequency.values
    own = spectrum.sel(neuron=waves.neuron)
    r = np.asarray(HARMONICS)
    folded = r[:, None] * winner % p
    folded = np.minimum(folded, p - folded)
    outside = (folded == 0) | (folded == winner)
    rows = np.arange(len(winner))
    ratio = np.full((2, len(r), len(winner)), np.nan)
    for layer, sizes in enumerate((fourier.alpha(own).values, fourier.beta(own).values)):
        with np.errstate(divide="ignore", invalid="ignore"):
            of_own = sizes[rows, folded - 1] / sizes[rows, winner - 1]
        ratio[layer] = np.where(outside, np.nan, of_own)
    # A dead wave at k has no harmonics relative to it.
    ratio[~np.isfinite(ratio)] = np.nan
    quantiles = np.full((len(QUANTILES), 2, len(r)), np.nan)
    for layer, row in np.argwhere(np.isfinite(ratio).any(-1)):
        quantiles[:, layer, row] = np.nanquantile(ratio[layer, row], QUANTILES)
    cells = ("layer", "harmonic")
    return xr.Dataset(
        {
            "ratio": ((*cells, "neuron"), ratio, {"long_name": "magnitude at rk over that at k"}),
            "ratio_quantile": (("quantile", *cells), quantiles),
            "published": (cells, _table(PUBLISHED)),
            "gradient": (cells, _table(GRADIENT)),
            "grown": (cells, _table(GROWN)),
        },
        coords={
            "layer": ["theta", "xi"],
            "harmonic": r,
            "neuron": waves.neuron,
            "quantile": list(QUANTILES),
        },
        attrs={
            "p": p,
            "reason": "" if np.isfinite(quantiles).any() else _why_none(p, len(winner)),
        },
    )


def _best_outputs(theta: Array, answers: Array) -> tuple[Array, Array]:
    """Pre-activations of all pairs, and the output weights of unit norm with the most energy."""
    z = theta[:, None] + theta
    fed = np.bincount(answers.ravel(), np.maximum(z, 0).ravel(), len(theta))
    centred = fed - fed.mean()
    return z, centred / np.linalg.norm(centred)


def _table(known: dict[str, dict[int, float]]) -> Array:
    return np.array(
        [[known.get(layer, {}).get(r, np.nan) for r in HARMONICS] for layer in ("theta", "xi")]
    )


def _why_none(p: int, neurons: int) -> str:
    return f"p = {p} has no harmonics" if neurons else NO_NEURON
