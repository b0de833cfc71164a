"""Neurons of the last hidden layer as waves of x and y, and what they give to the logits.

Source: Nanda et al., arXiv:2301.05217, sections 4.2 to 4.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grokode.theory.fourier import fourier_basis

__all__ = ["NeuronWaves", "project_on_outputs", "projection_shares", "replace_by_waves"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NeuronWaves:
    """How much of each neuron's variance over pairs one frequency explains.

    Parameters
    ----------
    share : array (frequency, neuron)
        Of the 8 products of {1, cos, sin}(w_k x) and {1, cos, sin}(w_k y) without the constant; NaN
        for a neuron that is constant.
    """

    share: Array

    @classmethod
    def of(cls, neurons: Array) -> "NeuronWaves":
        """Of neurons (x, y, neuron)."""
        power = np.square(_transform(neurons))
        power[0, 0] = 0
        total = power.sum((0, 1))
        K = len(neurons) // 2
        shares = np.empty((K, neurons.shape[-1]))
        for k in range(1, K + 1):
            rows = [0, 2 * k - 1, 2 * k]
            shares[k - 1] = power[np.ix_(rows, rows)].sum((0, 1))
        # A neuron that is constant but for rounding has no frequency.
        tiny = total <= np.finfo(float).eps ** 2 * np.square(neurons).sum((0, 1))
        return cls(np.where(tiny, np.nan, shares / np.where(tiny, 1, total)))

    def best(self) -> tuple[NDArray[np.int64], Array]:
        """Every neuron's frequency, 0 if it is constant, and the share that it explains."""
        alive = ~np.isnan(self.share[0])
        shares = np.where(alive, self.share, 0)
        return np.where(alive, shares.argmax(0) + 1, 0), shares.max(0)

    def clusters(self, threshold: float = 0.85) -> dict[int, int]:
        """Number of neurons to each frequency that explains more than a threshold of them."""
        frequency, share = self.best()
        values, counts = np.unique(frequency[share > threshold], return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))


def replace_by_waves(neurons: Array, threshold: float = 0.85) -> Array:
    """Neurons with those of a cluster replaced by their polynomial of degree 2 in its waves.

    That is the least-squares fit by the constant and the 8 products of `NeuronWaves`.

    Parameters
    ----------
    neurons : array (x, y, neuron)
    threshold : float
        Share above which a neuron counts to a cluster.
    """
    frequency, share = NeuronWaves.of(neurons).best()
    transform = _transform(neurons)
    kept = np.zeros_like(transform)
    for k in np.unique(frequency[share > threshold]):
        chosen = np.flatnonzero((frequency == k) & (share > threshold))
        rows = [0, 2 * k - 1, 2 * k]
        kept[np.ix_(rows, rows, chosen)] = transform[np.ix_(rows, rows, chosen)]
    basis = fourier_basis(len(neurons))
    fitted = np.tensordot(basis.T, np.tensordot(basis.T, kept, (1, 1)).swapaxes(0, 1), 1)
    return np.where(share > threshold, fitted, neurons)


def projection_shares(neurons: Array, to_logits: Array, keys: Sequence[int]) -> tuple[Array, float]:
    """How well the neurons, seen by the logits, are waves of x + y.

    u_k and v_k are the cos and sin of frequency k, over outputs, in the map from neurons to logits;
    by it, u_k N(x, y) should be proportional to cos(w_k (x + y)), and v_k N(x, y) to sin.

    Parameters
    ----------
    neurons : array (x, y, neuron)
    to_logits : array (output, neuron)
    keys : sequence of int

    Returns
    -------
    shares : array (key, 2)
        Of the variance of u_k N and v_k N over pairs, what that wave explains.
    residual : float
        Part of the squared norm of the map outside all u_k and v_k; NaN if the map is zero.
    """
    p = len(to_logits)
    rows = fourier_basis(p) @ to_logits
    residue = np.arange(p)
    shares = np.empty((len(keys), 2))
    for row, k in enumerate(keys):
        for column, wave in enumerate((np.cos, np.sin)):
            values = neurons @ rows[2 * k - 1 + column]
            values = values - values.mean()
            direction = wave(2 * np.pi * k / p * np.add.outer(residue, residue))
            total = np.square(values).sum()
            along = (values * direction).sum() ** 2 / np.square(direction).sum()
            shares[row, column] = along / total if total else np.nan
    power = np.square(rows).sum(1)
    inside = sum(power[2 * k - 1] + power[2 * k] for k in keys)
    whole = power.sum()
    return shares, float(1 - inside / whole) if whole else np.nan


def project_on_outputs(neurons: Array, to_logits: Array, keys: Sequence[int]) -> Array:
    """Neurons cut down to the span of the u_k and v_k of `projection_shares`.

    The rest, ``neurons`` minus this, is what the circuit does not read.
    """
    rows = fourier_basis(len(to_logits)) @ to_logits
    chosen = rows[[index for k in keys for index in (2 * k - 1, 2 * k)]]
    span, sizes, _ = np.linalg.svd(chosen.T, full_matrices=False)
    span = span[:, sizes > sizes.max(initial=0) * max(chosen.shape) * np.finfo(float).eps]
    return np.asarray((neurons @ span) @ span.T)


def _transform(neurons: Array) -> Array:
    """Coefficients (a, b, neuron) in the basis over x and y."""
    basis = fourier_basis(len(neurons))
    return np.asarray(np.tensordot(basis, np.tensordot(basis, neurons, (1, 1)).swapaxes(0, 1), 1))
