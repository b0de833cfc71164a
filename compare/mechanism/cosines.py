"""Is each neuron's weight vector one cosine? Fits, Fourier coefficients and sparsity.

Source: arXiv:2602.16849, Observation 1.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.mechanism.phases import NO_NEURON, winning_waves
from grokode.theory import fourier
from grokode.theory._labels import check_weights

__all__ = ["LAYERS", "basis_coefficients", "cosine_fits", "energy_shares", "sparsity"]

Array = NDArray[Any]

LAYERS = ("theta", "xi")


def cosine_fits(theta: ArrayLike, xi: ArrayLike) -> xr.Dataset:
    """The best cosine at each neuron's winner, beside the weights.

    Parameters
    ----------
    theta, xi : array (neuron, p)
        Input and output weights; the winner is the frequency of largest beta.

    Returns
    -------
    Dataset
        ``weights (layer, neuron, residue)`` and ``cosine``, alpha cos(w_k x + phi) or
        beta cos(w_k j + psi); ``frequency (neuron)``, 0 for a neuron without a wave in one layer;
        ``r2 (layer, neuron)``, the share of the variance of a neuron's weights that the cosine
        explains; ``residual (layer, neuron)``, root mean square of the centred weights less the
        cosine; ``mean_share (layer, neuron)``, the part of the weights' mean square that is their
        mean, which the variance leaves out. NaN where there is no wave. Attribute ``reason``: why
        there is no fit at all, or empty.

    Raises
    ------
    ValueError
        If shapes differ, p is even, or a weight is not finite.

    Examples
    --------
    >>> x = np.arange(7)
    >>> wave = np.cos(2 * np.pi * 2 * x / 7 + 0.4)[None]
    >>> cosine_fits(1 + wave, 3 * wave).r2.values.ravel().round(9).tolist()
    [1.0, 1.0]
    """
    theta, xi = map(np.asarray, check_weights(theta, xi))
    spectrum = fourier.spectrum(theta, xi)
    waves = winning_waves(spectrum)
    neurons, p = theta.shape
    frequency = np.zeros(neurons, dtype=int)
    frequency[waves.neuron] = waves.frequency
    own = frequency[:, None] == spectrum.frequency.values
    kept = [
        fourier.from_waves(np.zeros(neurons), np.where(own, spectrum[name], 0))
        for name in ("theta_hat", "xi_hat")
    ]
    weights, cosine = np.stack([theta, xi]), np.stack(kept)
    mean = weights.mean(-1)
    residual = np.sqrt(((weights - mean[..., None] - cosine) ** 2).mean(-1))
    # By Parseval, and in units in which no square of a tiny weight underflows.
    r2 = energy_shares(spectrum)[:, np.arange(neurons), frequency - 1]
    with np.errstate(invalid="ignore"):
        scaled = weights / np.abs(weights).max(-1, keepdims=True)
    mean_share = scaled.mean(-1) ** 2 / (scaled**2).mean(-1)
    dead = frequency == 0
    cosine[:, dead] = r2[:, dead] = np.nan
    cells = ("layer", "neuron")
    return xr.Dataset(
        {
            "weights": ((*cells, "residue"), weights, {"long_name": "weight"}),
            "cosine": ((*cells, "residue"), cosine, {"long_name": "cosine at the winner"}),
            "frequency": ("neuron", frequency, {"long_name": "winner of a neuron"}),
            "r2": (cells, r2, {"long_name": "share of the weights' variance in one cosine"}),
            "residual": (cells, residual, {"units": "weights"}),
            "mean_share": (cells, mean_share),
        },
        coords={
            "layer": list(LAYERS),
            "neuron": spectrum.neuron.values,
            "residue": np.arange(p),
        },
        attrs={"p": p, "reason": "" if waves.sizes["neuron"] else NO_NEURON},
    )


def basis_coefficients(theta: ArrayLike, xi: ArrayLike) -> xr.Dataset:
    """Weights in the real orthonormal Fourier basis, neurons sorted by winner.

    Parameters
    ----------
    theta, xi : array (neuron, p)

    Returns
    -------
    Dataset
        ``coefficient (layer, neuron, basis)`` with ``basis`` named "const", "cos 1", "sin 1", ...;
        ``frequency (neuron)``, the winner, 0 without one and then last. Neurons keep their numbers
        as coordinate.

    Examples
    --------
    >>> x = np.arange(5)
    >>> waves = np.cos(2 * np.pi * np.outer([2, 1], x) / 5)
    >>> sorted_ = basis_coefficients(waves, waves)
    >>> sorted_.neuron.values.tolist(), sorted_.frequency.values.tolist()
    ([1, 0], [1, 2])
    """
    spectrum = fourier.spectrum(theta, xi)
    waves = winning_waves(spectrum)
    frequency = np.zeros(spectrum.sizes["neuron"], dtype=int)
    frequency[waves.neuron] = waves.frequency
    order = np.lexsort((frequency, frequency == 0))
    K = spectrum.sizes["frequency"]
    names = [f"{wave} {k}" for k in range(1, K + 1) for wave in ("cos", "sin")]
    return xr.Dataset(
        {
            "coefficient": (
                ("layer", "neuron", "basis"),
                np.stack([fourier.to_basis(layer)[order] for layer in (theta, xi)]),
                {"long_name": "coefficient in the orthonormal Fourier basis", "units": "weights"},
            ),
            "frequency": ("neuron", frequency[order]),
        },
        coords={"layer": list(LAYERS), "neuron": order, "basis": ["const", *names]},
        attrs={"p": 2 * K + 1},
    )


def sparsity(spectrum: xr.Dataset) -> xr.Dataset:
    """Inverse participation ratio of each neuron's energy over the frequencies, in each layer.

    With s_k the share of frequency k in sum_k alpha_k^2 (or beta^2) it is sum_k s_k^2: 1 for one
    frequency, 1/K for all alike, and its inverse counts the frequencies. Gaussian weights have
    2/(K+1) on average. The mean of the weights is no frequency.

    Parameters
    ----------
    spectrum : Dataset
        Dimensions (..., neuron, frequency).

    Returns
    -------
    Dataset
        ``participation (layer, ..., neuron)``, NaN for a layer without a wave; attribute
        ``random`` = 2/(K+1).

    Examples
    --------
    >>> x = np.arange(7)
    >>> one, two = np.cos(2 * np.pi * x / 7), np.cos(4 * np.pi * x / 7)
    >>> sparsity(fourier.spectrum([one], [one + two])).participation.values.ravel().round(9)
    array([1. , 0.5])
    """
    values = (energy_shares(spectrum) ** 2).sum(-1)
    of_neuron = spectrum.theta_mean
    return xr.Dataset(
        {
            "participation": (
                ("layer", *of_neuron.dims),
                values,
                {"long_name": "inverse participation ratio"},
            )
        },
        coords=dict(of_neuron.coords) | {"layer": list(LAYERS)},
        attrs={"p": spectrum.attrs["p"], "random": 2 / (spectrum.sizes["frequency"] + 1)},
    )


def energy_shares(spectrum: xr.Dataset) -> Array:
    """Share of each frequency in the energy of a neuron's weights, the mean left out.

    Parameters
    ----------
    spectrum : Dataset
        Dimensions (..., neuron, frequency).

    Returns
    -------
    array (layer, ..., neuron, frequency)
        ``theta``, then ``xi``; NaN for a layer without a wave.

    Examples
    --------
    >>> x = np.arange(5)
    >>> one, two = np.cos(2 * np.pi * x / 5), np.cos(4 * np.pi * x / 5)
    >>> energy_shares(fourier.spectrum([one], [one + 3 * two])).round(9).tolist()
    [[[1.0, 0.0]], [[0.1, 0.9]]]
    """
    sizes = np.abs(np.stack([spectrum.theta_hat.values, spectrum.xi_hat.values]))
    with np.errstate(divide="ignore", invalid="ignore"):
        # In units of the largest, so that no square of a tiny weight underflows.
        energy = (sizes / sizes.max(-1, keepdims=True)) ** 2
        return energy / energy.sum(-1, keepdims=True)
