"""What a network answers that is given by its spectrum, whatever makes its input weights."""

from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets.networks.two_layer_model import logits
from grokode.theory import fourier

__all__ = ["final_logits_r2", "finite", "outputs", "pairs_right"]


def outputs(spectrum: xr.Dataset, activation: str, pairs: ArrayLike | None = None) -> NDArray[Any]:
    """Logits (n, p) in float64.

    Parameters
    ----------
    spectrum : Dataset
        Spectrum (neuron, frequency), with ``theta_y (neuron, y)`` where y has input weights of its
        own.
    activation : str
    pairs : integers (n, 2), optional
        All pairs, x outermost, if not given.

    Examples
    --------
    >>> spectrum = fourier.spectrum(np.eye(3), np.eye(3))
    >>> outputs(spectrum, "quadratic", [(0, 0)]).round(9).tolist()
    [[4.0, 0.0, 0.0]]
    >>> apart = spectrum.assign(theta_y=(("neuron", "y"), np.zeros((3, 3))))
    >>> outputs(apart, "quadratic", [(0, 0)]).round(9).tolist()
    [[1.0, 0.0, 0.0]]
    """
    layers = fourier.weights(spectrum)
    own = spectrum.theta_y.transpose("neuron", "y").values if "theta_y" in spectrum else None
    return logits(layers.theta.values, layers.xi.values, activation, pairs, theta_y=own)


def finite(spectrum: xr.Dataset) -> xr.DataArray:
    """Whether all numbers of a spectrum are there, (step) if it has steps.

    Parameters
    ----------
    spectrum : Dataset

    Examples
    --------
    >>> bool(finite(fourier.spectrum(np.eye(3), np.eye(3))))
    True
    """
    layers = spectrum.data_vars.values()
    # One by one: to_array would give all of them the dimensions of all.
    each = [layer.notnull().all([dim for dim in layer.dims if dim != "step"]) for layer in layers]
    return reduce(and_, each)  # also where some have steps and others stay


def pairs_right(spectrum: xr.Dataset, activation: str) -> float:
    """Part of all p^2 pairs that a network answers rightly; NaN if a weight is.

    Parameters
    ----------
    spectrum : Dataset
        Spectrum (neuron, frequency).
    activation : str
    """
    if not finite(spectrum):
        return np.nan
    p = 2 * spectrum.sizes["frequency"] + 1
    answers = np.add.outer(np.arange(p), np.arange(p)).ravel() % p
    return float((outputs(spectrum, activation).argmax(1) == answers).mean())


def final_logits_r2(predicted: xr.Dataset, observed: xr.Dataset, activation: str) -> float:
    """Share of the variance of observed logits, centred over the output, that others explain.

    Parameters
    ----------
    predicted, observed : Dataset
        Spectra (neuron, frequency); the predicted logits are taken as they are, at scale 1.
    activation : str

    Returns
    -------
    float
        At most 1; NaN where a predicted weight is, or the observed logits are all alike.
    """
    if not finite(predicted):
        return np.nan
    ours, theirs = (outputs(spectrum, activation) for spectrum in (predicted, observed))
    ours, theirs = (values - values.mean(1, keepdims=True) for values in (ours, theirs))
    variance = float((theirs**2).sum())
    return 1 - float(((ours - theirs) ** 2).sum()) / variance if variance else np.nan
