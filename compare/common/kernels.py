"""What the wave of one frequency gives to a network's logits, and all of its logits.

A neuron with one frequency of waves alpha cos(w x + phi) and beta cos(w j + psi) has logits that
factor: a kernel of d = x - y, times waves of x + y and j whose phases are 2 phi - psi, psi and
2 phi + psi. Summed over neurons these are three complex moments for each frequency.

Source: arXiv:2602.16849, Proposition 1 and its proof; the ReLU kernel is its counterpart for |z|/2.
"""

from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode import nets
from grokode.nets.networks.activations import ACTIVATIONS, check_activation
from grokode.theory import fourier

__all__ = ["all_logits", "centred_logits", "kernels", "only_winners", "same_frequency_moments"]

Array = NDArray[Any]

# Weights of the two-phase term and of the two others, for |z|^q with q = 2 and, halved, q = 1.
_COEFFICIENTS = {"quadratic": (2.0, 1.0), "relu": (2 / np.pi, 2 / (3 * np.pi))}
# Pre-activations held at once by `all_logits`: 32 MB.
_BLOCK = 1 << 22


def kernels(p: int, activation: str) -> Array:
    """How an aligned frequency's answer depends on d = x - y, (frequency, d) for d = 0..p-1.

    Parameters
    ----------
    p : int
        Odd modulus.
    activation : {"quadratic", "relu"}
        ``cos^2(w_k d/2)`` or ``|cos(w_k d/2)|``.

    Examples
    --------
    >>> bool(np.allclose(kernels(7, "relu") ** 2, kernels(7, "quadratic")))
    True
    """
    p = fourier.check_modulus(p)
    half_turns = np.pi / p * np.outer(np.arange(1, (p + 1) // 2), np.arange(p))
    waves = np.abs(np.cos(half_turns))
    return waves**2 if _of_kernel(activation) == "quadratic" else waves


def same_frequency_moments(spectrum: xr.Dataset, activation: str) -> Array:
    """The moments mu0, mu+, mu- of every frequency, complex (3, frequency).

    Parameters
    ----------
    spectrum : Dataset
        One network, (neuron, frequency).
    activation : {"quadratic", "relu"}
        For ReLU every neuron counts at its winner alone, and |A| stands for |A|^2: a wave enters
        |z|/2 in proportion to its magnitude.

    Returns
    -------
    array (3, frequency)
        In the size of the logits they give: 2 mu0, mu+, mu-, and for ReLU these times
        2/(3 pi), but mu0 times 2/pi. Re mu- kernel_k(x - y) cos(w_k (x + y - j)) is the signal.

    Examples
    --------
    >>> x = np.arange(5)
    >>> wave = np.cos(2 * np.pi * x / 5)[None]
    >>> moments = same_frequency_moments(fourier.spectrum(2 * wave, 3 * wave), "quadratic")
    >>> moments[:, 0].real.round(9).tolist()
    [24.0, 12.0, 12.0]
    """
    A, B = spectrum.theta_hat.values, spectrum.xi_hat.values
    sizes = np.abs(A)
    activation = _of_kernel(activation)
    if activation == "quadratic":
        squares, sizes = A**2, sizes**2
    else:
        won = fourier.leading_frequency(spectrum).values[:, None] == spectrum.frequency.values
        A, sizes = np.where(won, A, 0), np.where(won, sizes, 0)
        squares = A * np.exp(1j * np.angle(A))
    constant, doubled = _COEFFICIENTS[activation]
    return np.stack(
        [
            constant * (sizes * B).sum(0),
            doubled * (squares * B).sum(0),
            doubled * (squares * B.conj()).sum(0),
        ]
    )


def only_winners(spectrum: xr.Dataset) -> tuple[Array, Array]:
    """Weights cut down to the wave of each neuron's winner, the frequency of its largest beta.

    Parameters
    ----------
    spectrum : Dataset
        One network, (neuron, frequency).

    Returns
    -------
    theta, xi : arrays (neuron, p)

    Examples
    --------
    >>> x = np.arange(5)
    >>> one, two = np.cos(2 * np.pi * x / 5), np.cos(4 * np.pi * x / 5)
    >>> theta, xi = only_winners(fourier.spectrum([one + two], [1 + one + 3 * two]))
    >>> bool(np.allclose(theta, two) and np.allclose(xi, 3 * two))
    True
    """
    won = spectrum.frequency == fourier.leading_frequency(spectrum)
    none = np.zeros(spectrum.sizes["neuron"])
    theta, xi = (
        fourier.from_waves(none, spectrum[name].where(won, 0).values)
        for name in ("theta_hat", "xi_hat")
    )
    return theta, xi


def _of_kernel(activation: str) -> str:
    ours = check_activation(activation)
    if ours != "quadratic" and ours not in _COEFFICIENTS:
        raise ValueError(f"activation must be quadratic or relu for a kernel, got {activation!r}")
    return ours


def all_logits(theta: ArrayLike, xi: ArrayLike, activation: str) -> Array:
    """Logits of all pairs, (x, y, output), computed in blocks to bound the memory.

    Examples
    --------
    >>> all_logits([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], "quadratic")[0, 0].tolist()
    [0.0, 4.0, 0.0]
    """
    neurons, p = np.shape(theta)
    values = np.empty((p, p, p))
    pairs = np.stack(np.triu_indices(p), -1)
    for some in np.array_split(pairs, 1 + neurons * len(pairs) // _BLOCK):
        x, y = some.T
        values[x, y] = values[y, x] = nets.logits(theta, xi, activation, some)
    return values


def centred_logits(theta: Array, xi: Array, activation: str) -> tuple[Array, str]:
    """Logits of all pairs, centred over the output, or why there are none.

    Parameters
    ----------
    theta, xi : array (neuron, p)
    activation : str

    Returns
    -------
    logits : array (x, y, output)
        All NaN if there is a reason.
    reason : str
        Why there is nothing to look at: weights that are not finite, logits that overflow or are
        equal for every output. Empty if there is.

    Raises
    ------
    ValueError
        If shapes differ, or p is even.

    Examples
    --------
    >>> centred_logits(np.zeros((2, 3)), np.ones((2, 3)), "quadratic")[1]
    'logits are equal for every output'
    """
    if theta.shape != xi.shape or theta.ndim != 2:
        raise ValueError(
            f"theta and xi must have one shape (neuron, p), got {theta.shape} and {xi.shape}; "
            "transpose xi if it is stored as (p, neuron)"
        )
    nothing = np.full((fourier.check_modulus(theta.shape[-1]),) * 3, np.nan)
    if not (np.isfinite(theta).all() and np.isfinite(xi).all()):
        return nothing, "weights are not all finite"
    raw = all_logits(theta, xi, activation)
    if not np.isfinite(raw).all():
        return nothing, "logits overflow"
    centred = raw - raw.mean(-1, keepdims=True)
    if np.abs(centred).max() <= _rounding(theta, xi, activation):
        return nothing, "logits are equal for every output"
    return centred, ""


def _rounding(theta: Array, xi: Array, activation: str) -> float:
    """Bound on the rounding of a logit: neurons * eps * the largest sum of |sigma(z)| |xi|.

    The usual one of a sum in any order (Higham, Accuracy and Stability, section 3.1). A sum of
    terms that cancel is no measure of it; the terms are. z = theta[x] + theta[y] lies between the
    2 theta of two pairs x = y, where |sigma| is the larger: all here but GeLU are monotonic or even
    and convex, and so is GeLU but for a dip of depth 0.17.
    """
    with np.errstate(over="ignore"):
        largest = np.abs(ACTIVATIONS[activation].value(torch.tensor(2 * theta)).numpy()).max(-1)
        return float(len(theta) * np.finfo(float).eps * (largest @ np.abs(xi).max(-1)))
