"""Waves of x + y in the logits of all pairs, and the losses that are left with or without them.

With t = x + y the logits L (x, y, output) hold of each frequency two directions over pairs,
cos(w_k t) and sin(w_k t). Restricted to them (and the mean over pairs) is what the Fourier circuit
computes; without them is everything else.

Source: Nanda et al., arXiv:2301.05217, section 5.1 and their published code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grokode.theory.fourier import fourier_basis

__all__ = [
    "SumWaves",
    "blocks_only",
    "cross_entropy",
    "excluded_losses",
    "frequency_norms",
    "gini",
    "pair_losses",
    "restricted_loss",
    "weighted",
]

Array = NDArray[np.float64]


def frequency_norms(rows: Array) -> Array:
    """Norm of each frequency in vectors on Z_p: (p, n) -> (frequency,), over cos, sin and n.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * 2 * np.arange(5) / 5)[:, None]
    >>> frequency_norms(wave).round(6).tolist()
    [0.0, 1.581139]
    """
    power = np.square(fourier_basis(len(rows)) @ rows).sum(1)[1:]
    return np.asarray(np.sqrt(power[::2] + power[1::2]))


def gini(sizes: Array) -> float:
    """Gini coefficient of sizes >= 0: 0 if all are equal, towards 1 if a few are all there is.

    Sizes that are all 0 are equal.

    Source: Hurley and Rickard, arXiv:0811.4706, equation for sorted coefficients.

    Examples
    --------
    >>> gini(np.array([1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 4.0]))
    (0.0, 0.75)
    """
    ordered = np.sort(sizes)
    n = len(ordered)
    whole = ordered.sum()
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * whole)) if whole else 0.0


def pair_losses(logits: Array, answers: NDArray[np.int64]) -> Array:
    """Loss (nats) of every place of logits (..., output), relative to the right answer.

    A loss of 1e-10 keeps all its digits, which 1 - softmax would lose.

    Examples
    --------
    >>> pair_losses(np.zeros((2, 4)), np.array([0, 3])).round(6).tolist()
    [1.386294, 1.386294]
    """
    right = np.take_along_axis(logits, answers[..., None], -1)
    others = logits - right
    np.put_along_axis(others, answers[..., None], -np.inf, -1)
    largest = others.max(-1, keepdims=True)
    others -= largest
    total = np.log(np.exp(others, out=others).sum(-1)) + largest[..., 0]
    return np.asarray(np.logaddexp(0, total))


def weighted(losses: Array, weights: Array | None = None) -> float:
    """Mean over all places, or weighted; NaN without weight.

    Examples
    --------
    >>> weighted(np.array([1.0, 3.0])), weighted(np.array([1.0, 3.0]), np.array([0, 1]))
    (2.0, 3.0)
    """
    if weights is None:
        return float(losses.mean())
    total = weights.sum()
    return float((losses * weights).sum() / total) if total else float("nan")


def cross_entropy(logits: Array, answers: NDArray[np.int64], weights: Array | None = None) -> float:
    """Mean of `pair_losses`, over all places or weighted."""
    return weighted(pair_losses(logits, answers), weights)


@dataclass(frozen=True)
class SumWaves:
    """Projections of logits (x, y, output) on the waves of x + y.

    Parameters
    ----------
    mean : array (output,)
        Over all pairs.
    waves : complex array (frequency, output)
        sum over pairs of L e^{-i w_k (x+y)}, k = 1..K.
    """

    mean: Array
    waves: NDArray[np.complex128]

    @classmethod
    def of(cls, logits: Array) -> "SumWaves":
        """Of logits (x, y, output)."""
        p = len(logits)
        residue = np.arange(p)
        sums = np.zeros((p, p))
        for x in residue:
            sums += logits[x, (residue - x) % p]
        transform = np.fft.rfft(sums, axis=0)
        return cls(transform[0].real / p**2, transform[1:])

    @property
    def p(self) -> int:
        """The modulus."""
        return len(self.mean)

    def norms(self) -> Array:
        """Norm of each frequency's part of the logits, (frequency,)."""
        return np.asarray(np.sqrt(2 / self.p**2 * np.square(np.abs(self.waves)).sum(1)))

    def part(self, keys: Sequence[int]) -> Array:
        """The part of these frequencies, (t, output) for t = x + y."""
        kept = np.zeros((self.p // 2 + 1, self.p), complex)
        kept[list(keys)] = self.waves[np.array(keys, int) - 1]
        return np.asarray(np.fft.irfft(kept, self.p, axis=0) / self.p)

    def coefficients(self) -> Array:
        """Of each frequency the projection of the logits on cos(w_k (x + y - j)), (frequency,).

        In units of a logit: L = c cos(w_k (x + y - j)) has c.
        """
        p = self.p
        turn = np.exp(2j * np.pi / p * np.outer(np.arange(1, (p + 1) // 2), np.arange(p)))
        return np.asarray(2 / p**3 * (self.waves * turn).sum(1).real)

    def cosine_part(self, keys: Sequence[int]) -> Array:
        """The part of cos(w_k (x + y - j)) of these frequencies, (t, output)."""
        p = self.p
        apart = np.subtract.outer(np.arange(p), np.arange(p)) % p
        chosen = np.array(keys, int)
        coefficients = self.coefficients()[chosen - 1]
        waves = np.cos(2 * np.pi / p * np.outer(chosen, np.arange(p)))
        return np.asarray((coefficients @ waves)[apart])


def restricted_loss(waves: SumWaves, keys: Sequence[int], weights: Array | None = None) -> float:
    """Loss of the logits' key directions alone, with the mean over pairs put back.

    Parameters
    ----------
    waves : SumWaves
    keys : sequence of int
    weights : array (x, y), optional
        All pairs alike if not given.
    """
    # A function of x + y: one loss to each.
    losses = pair_losses(waves.part(keys) + waves.mean, np.arange(waves.p))
    return weighted(losses[_sums(waves.p)], weights)


def blocks_only(logits: Array, keys: Sequence[int], *, linear: bool = False) -> Array:
    """The logits cut down to products of cos and sin of w_k x and w_k y, and their mean over pairs.

    Of each key frequency 4 products (the paper's count of "20 terms" for five of them), two of
    which are the directions of `SumWaves`; with ``linear`` the waves of x or y alone too.
    """
    basis = fourier_basis(len(logits))
    kept = np.zeros(basis.shape[:2])
    kept[0, 0] = 1
    for k in keys:
        rows = [2 * k - 1, 2 * k] + ([0] if linear else [])
        kept[np.ix_(rows, rows)] = 1
    transform = np.einsum("ax,xyj->ayj", basis, logits, optimize=True)
    transform = np.einsum("by,ayj->abj", basis, transform, optimize=True) * kept[..., None]
    back = np.einsum("ax,abj->xbj", basis, transform, optimize=True)
    return np.asarray(np.einsum("by,xbj->xyj", basis, back, optimize=True))


def excluded_losses(
    logits: Array, waves: SumWaves, keys: Sequence[int], *, three_dimensional: bool = False
) -> Array:
    """Loss of every pair (x, y) without the key frequencies' directions; nothing is put back.

    The paper's excluded loss is their mean over the training pairs.

    Parameters
    ----------
    logits : array (x, y, output)
    waves : SumWaves
        Of these logits.
    keys : sequence of int
        Taken away together.
    three_dimensional : bool
        Take away cos(w_k (x + y - j)) alone, one direction over pairs and outputs.
    """
    part = waves.cosine_part(keys) if three_dimensional else waves.part(keys)
    sums = _sums(waves.p)
    return pair_losses(logits - part[sums], sums)


def _sums(p: int) -> NDArray[np.int64]:
    return np.add.outer(np.arange(p), np.arange(p)) % p
