"""Matched initialisations: spectra that theory and a network can both start from.

Source: arXiv:2602.16849, section 4 and the experiments' configurations.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grokode.nets.records import check_whole
from grokode.theory.modulus import check_modulus

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["INITIALISATIONS", "equal_magnitude", "gaussian", "single_frequency"]


def gaussian(p: int, neurons: int, scale: float, seed: int) -> "xr.Dataset":
    """Independent Gaussian weights, scale * N(0, 1) / sqrt(p) on both layers, as published.

    Parameters
    ----------
    p : int
        Odd modulus.
    neurons : int
    scale : float
    seed : int

    Returns
    -------
    Dataset
        Spectrum, see `grokode.theory.fourier.spectrum`.

    Examples
    --------
    >>> gaussian(23, 512, 0.1, seed=0).theta_hat.shape
    (512, 11)
    """
    _check(p, neurons, scale, seed)
    theta, xi = np.random.default_rng(seed).normal(size=(2, neurons, p)) * scale / np.sqrt(p)
    from grokode.theory import fourier

    return fourier.spectrum(theta, xi)


def equal_magnitude(p: int, neurons: int, magnitude: float, seed: int) -> "xr.Dataset":
    """Every ticket at alpha = beta = magnitude with random phases: the corollary's assumption.

    Parameters and returns as `gaussian`; means are zero.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> s = equal_magnitude(5, 3, 0.02, seed=0)
    >>> bool(np.allclose(fourier.alpha(s), 0.02) and np.allclose(fourier.beta(s), 0.02))
    True
    """
    _check(p, neurons, magnitude, seed)
    theta_hat, xi_hat = _phasors(np.random.default_rng(seed), (2, neurons, (p - 1) // 2))
    return _from_waves(magnitude * theta_hat, magnitude * xi_hat)


def single_frequency(p: int, neurons: int, magnitude: float, seed: int) -> "xr.Dataset":
    """One random frequency a neuron at alpha = beta = magnitude with random phases.

    Parameters and returns as `gaussian`; means are zero.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> s = single_frequency(23, 4, 0.02, seed=0)
    >>> (fourier.alpha(s) > 0.01).sum("frequency").values.tolist()
    [1, 1, 1, 1]
    """
    _check(p, neurons, magnitude, seed)
    rng = np.random.default_rng(seed)
    K = (p - 1) // 2
    chosen = rng.integers(K, size=(neurons, 1)) == np.arange(K)
    theta_hat, xi_hat = magnitude * chosen * _phasors(rng, (2, neurons, 1))
    return _from_waves(theta_hat, xi_hat)


INITIALISATIONS: "dict[str, Callable[[int, int, float, int], xr.Dataset]]" = {
    "gaussian": gaussian,
    "equal_magnitude": equal_magnitude,
    "single_frequency": single_frequency,
}


def _phasors(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.exp(2j * np.pi * rng.random(shape))


def _from_waves(theta_hat: NDArray[Any], xi_hat: NDArray[Any]) -> "xr.Dataset":
    from grokode.theory import fourier

    zero = np.zeros(len(theta_hat))
    return fourier.spectrum(fourier.from_waves(zero, theta_hat), fourier.from_waves(zero, xi_hat))


def _check(p: int, neurons: int, size: float, seed: int) -> None:
    check_modulus(p)
    check_whole("neurons", neurons, 1)
    check_whole("seed", seed)
    if not isinstance(size, int | float | np.floating | np.integer):
        raise TypeError(f"the size of the initial weights must be a number, got {size!r}")
    if not 0 < size < np.inf:
        raise ValueError(f"the size of the initial weights must be positive, got {size}")
