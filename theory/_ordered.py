"""Kept logits where x and y have input weights of their own: all ordered pairs, at full cost."""

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from grokode.theory._updates import sigma
from grokode.theory.kept import Kept, part_of

__all__ = ["Ordered"]

Array = NDArray[Any]


class Ordered:
    """Any modes, cut out of the logits of all pairs (x, y), x outermost.

    Theta has the input weights of x above those of y, (2 p, neuron). Parameters and methods as
    those of `grokode.theory._truncation.Projected`.
    """

    def __init__(self, kept: Kept, p: int, code: int, rows: Array, dtype: str) -> None:
        self._code, self._rows, self._margins = code, rows, kept.margins
        self._answers = np.add.outer(np.arange(p), np.arange(p)).ravel() % p
        self._mask = kept.mask(p)
        self._dtype = dtype

    def forth(self, theta: Array, xi: Array) -> tuple[Array, Array | None]:
        """Kept logits (u, p) less the margins, and margins (u) if they are kept."""
        values, _ = self._activate(theta)
        whole = values @ xi.T
        logits = part_of(whole, self._mask)[self._rows]
        if not self._margins:
            return logits, None
        margins = whole[np.arange(len(whole)), self._answers] - whole.mean(1)
        return logits, margins[self._rows]

    def back(self, theta: Array, xi: Array, residual: Array, force: Array | None) -> Array:
        """Gradient (3 p, neuron) from the derivatives by what `forth` gave, right after it."""
        p, neurons = xi.shape
        by_logits = np.zeros((p * p, p), self._dtype)
        by_logits[self._rows] = residual
        by_logits = part_of(by_logits, self._mask)
        if force is not None:
            by_logits[self._rows] -= force[:, None] / p
            by_logits[self._rows, self._answers[self._rows]] += force
        values, slopes = self._activate(theta)
        slopes *= by_logits @ xi
        pulls = slopes.reshape(p, p, neurons)
        return np.concatenate([pulls.sum(1), pulls.sum(0), by_logits.T @ values])

    def _activate(self, theta: Array) -> tuple[Array, Array]:
        """Hidden values of all pairs and their slopes, (x p + y, neuron)."""
        p = len(theta) // 2
        z = (theta[:p, None] + theta[p:]).reshape(p * p, -1)
        values, slopes = np.empty_like(z), np.empty_like(z)
        _activate(self._code, z.reshape(-1), values.reshape(-1), slopes.reshape(-1))
        return values, slopes


@nb.njit(cache=True)
def _activate(code: int, z: Array, values: Array, slopes: Array) -> None:
    for i in range(len(z)):
        values[i], slopes[i] = sigma(code, z[i])
