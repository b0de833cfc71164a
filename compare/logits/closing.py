"""What Proposition 1 needs to be exact: what was measured of a network put in, one by one.

The proposition knows one number, the size of the whole signal. It assumes that every neuron has one
frequency, all frequencies as many and as large, that phases are aligned, 2 phi = psi, and that they
are spread evenly. Here each assumption gives way in turn to what the weights say, until the logits
are those of the network:

    proposition    aligned waves, as large at every frequency as they are on average
    sizes          aligned waves, as large as those of each frequency are
    misalignment   psi as it is: the signal turns by D, and loses 1 - cos D
    phases         the spread of phases as it is: two- and four-phase noise, what does not cancel

A quadratic network then lacks ``cross_frequency``, what two frequencies of a neuron give together,
and ``dc``, the mean of theta. A ReLU network lacks ``harmonics``, all else that a neuron's winner
gives through |z|/2; ``others``, what the other waves of a neuron change in it; and ``linear``, z/2.

From misalignment on, parts of `grokode.compare.logits.budget` are added, so that the last stage is
the network, exactly.

Source: arXiv:2602.16849, Proposition 1 and its proof, here without its assumptions.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.kernels import centred_logits, kernels, same_frequency_moments
from grokode.compare.logits.budget import logit_budget
from grokode.theory import fourier

__all__ = ["STAGES", "closing"]

Array = NDArray[Any]

# The parts of the budget that there are from misalignment on.
_SAME = {
    "misalignment": ("signal", "misalignment"),
    "phases": ("two_phase", "four_phase"),
}
STAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "quadratic": _SAME | {"cross_frequency": ("cross_frequency",), "dc": ("dc",)},
    "relu": _SAME | {"harmonics": ("harmonics",), "others": ("remainder",), "linear": ("linear",)},
}
"""By activation what is put in after the sizes, in order, and the parts of the budget it adds."""


def closing(theta: ArrayLike, xi: ArrayLike, activation: str = "quadratic") -> xr.Dataset:
    """How much of a network's logits is explained as its assumptions are given up, one by one.

    Parameters
    ----------
    theta : array (neuron, p)
        Input weights.
    xi : array (neuron, p)
        Output weights, ``xi[m, j]``.
    activation : str
        ``quadratic`` or ``relu``.

    Returns
    -------
    Dataset over ``stage``: ``proposition``, ``sizes`` and the names of `STAGES`
        ``r2``, the share of the logits' variance, centred over the output, that is explained at
        scale 1: nothing is fitted; ``accuracy``, part of all pairs that these logits answer
        rightly. NaN with attribute ``reason`` where there are none.

    Raises
    ------
    ValueError
        If shapes differ, or p is even.

    Examples
    --------
    Aligned neurons of one frequency whose phases are spread evenly need nothing but their size:

    >>> phi = 2 * np.pi * np.arange(10)[:, None] / 10
    >>> x = 2 * np.pi * np.arange(5) / 5
    >>> waves = [(np.cos(k * x + phi), np.cos(k * x + 2 * phi)) for k in (1, 2)]
    >>> closed = closing(*np.hstack(waves))
    >>> closed.r2.values.round(9).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    theta, xi = np.asarray(theta, dtype=float), np.asarray(xi, dtype=float)
    network, reason = centred_logits(theta, xi, activation)
    if activation not in STAGES:
        reason = f"parts are known for {' and '.join(STAGES)} networks, this one is {activation}"
    added = STAGES.get(activation, STAGES["quadratic"])
    rows = [(np.nan, np.nan)] * (2 + len(added))
    if not reason:
        parts = logit_budget(theta, xi, activation).parts
        sizes = _aligned_sizes(theta, xi, activation)
        even = np.full_like(sizes, sizes.mean())
        explained = [_signal(one, network.shape[-1], activation) for one in (even, sizes)]
        sums = np.zeros_like(network)
        for names in added.values():
            sums = sums + parts.sel(part=list(names)).sum("part").values
            explained.append(sums)
        rows = [_explained(logits, network) for logits in explained]
    r2, accuracy = np.array(rows).T
    return xr.Dataset(
        {
            "r2": ("stage", r2, {"long_name": "variance of the logits explained (fraction)"}),
            "accuracy": ("stage", accuracy, {"long_name": "pairs answered rightly (fraction)"}),
        },
        {"stage": ["proposition", "sizes", *added]},
        {"p": network.shape[-1], "activation": activation, "reason": reason},
    )


def _aligned_sizes(theta: Array, xi: Array, activation: str) -> Array:
    """Size (frequency) that every frequency's signal would have were all its waves aligned."""
    spectrum = fourier.spectrum(theta, xi)
    A, B = spectrum.theta_hat, spectrum.xi_hat
    aligned = spectrum.assign(xi_hat=abs(B) * np.exp(2j * xr.apply_ufunc(np.angle, A)))
    sizes: Array = same_frequency_moments(aligned, activation)[2].real
    return sizes


def _signal(sizes: Array, p: int, activation: str) -> Array:
    """Sum over frequencies of size, kernel and cos(w (x + y - j)), (x, y, output)."""
    x, k = np.arange(p), np.arange(1, (p + 1) // 2)
    kernel = kernels(p, activation).T[(x[:, None] - x) % p]
    turn = np.exp(-2j * np.pi / p * k * ((x[:, None] + x) % p)[..., None])
    return fourier.from_waves(np.zeros((p, p)), sizes * kernel * turn)


def _explained(logits: Array, network: Array) -> tuple[float, float]:
    """R^2 at scale 1, and the part of the pairs that are answered rightly."""
    p = network.shape[-1]
    r2 = 1 - ((network - logits) ** 2).sum() / (network**2).sum()
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    return float(r2), float((logits.argmax(-1) == answers).mean())
