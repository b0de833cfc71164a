"""Kept logits of a network from what its neurons hold together, and the way back.

The neurons enter through W[direction](t, j) = sum_m r_m(t) xi_m(j) alone, r_m(t) the sum of neuron
m's hidden values over i x + l y = t. A mode (n i c, n l c, c) of the logits is the mode (n c, c) of
W, so a few directions hold all harmonics of low order; a plane is W itself over p.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from grokode.theory._projections import all_pairs
from grokode.theory.kept import Kept

__all__ = ["Lines", "Planes", "Symmetric", "directions_of"]

Array = NDArray[Any]
Direction = tuple[int, int]


def directions_of(kept: Kept, p: int) -> tuple[list[Direction], dict[Direction, tuple[int, int]]]:
    """Directions that hold all that is kept, and where: line or plane -> (direction, multiple).

    As x and y may change places, (i, l) and (l, i) are one; so are all multiples mod p.
    """
    needed = [*kept.planes]
    if kept.reach >= 0:
        needed += [
            (int(row) - kept.reach, int(column) - kept.reach)
            for row, column in np.argwhere(kept.lines(p).any(0))
        ]
    directions: list[Direction] = []
    places: dict[Direction, tuple[int, int]] = {}
    # (0, 0) is no direction but the zeroth multiple of any.
    for line in sorted(needed, key=lambda line: (line not in kept.planes, line == (0, 0))):
        place = _place(line, directions, p)
        if place is None:
            directions.append(line if line != (0, 0) else (1, 0))
            place = _place(line, directions, p)
        assert place is not None
        places[line] = place
    return directions, places


def _place(line: Direction, directions: list[Direction], p: int) -> tuple[int, int] | None:
    for index, (i, l) in enumerate(directions):  # noqa: E741
        for one, two in (line, line[::-1]):
            for n in range(p):
                if (n * i - one) % p == 0 and (n * l - two) % p == 0:
                    return index, n
    return None


class Planes:
    """Logits of the planes: averages over the lines of a direction, the overall mean once.

    Parameters
    ----------
    kept : Kept
    places : dict from `directions_of`
    count : int
        Number of directions.
    pairs : integers (u, 2)
        Where the logits are wanted.
    p : int
    """

    def __init__(
        self,
        kept: Kept,
        places: dict[Direction, tuple[int, int]],
        count: int,
        pairs: Array,
        p: int,
    ) -> None:
        rows, columns = [], []
        for i, l in kept.planes:  # noqa: E741
            rows.append(np.arange(len(pairs)))
            columns.append(places[i, l][0] * p + (pairs @ (i, l)) % p)
        where = (np.concatenate(rows), np.concatenate(columns))
        matrix = sparse.csr_array(
            (np.full(len(where[0]), 1 / p), where), shape=(len(pairs), count * p)
        )
        self._matrix, self._back = matrix, sparse.csr_array(matrix.T)
        self._surplus = (len(kept.planes) - 1) / p**2

    def logits(self, W: Array) -> Array:
        """(u, p) from W (direction, p, p)."""
        return self._matrix @ W.reshape(-1, W.shape[-1]) - self._surplus * W[0].sum(0)

    def back(self, residual: Array, by_W: Array) -> None:
        """Add the derivative by W to it."""
        by_W += (self._back @ residual).reshape(by_W.shape)
        by_W[0] -= self._surplus * residual.sum(0)


class Lines:
    """Spectrum over j of the logits of the lines.

    Parameters
    ----------
    kept : Kept
    places : dict from `directions_of`
    count : int
        Number of directions.
    pairs : integers (u, 2)
    p : int
    """

    def __init__(
        self,
        kept: Kept,
        places: dict[Direction, tuple[int, int]],
        count: int,
        pairs: Array,
        p: int,
    ) -> None:
        offsets = np.arange(-kept.reach, kept.reach + 1)
        used = kept.lines(p)
        multiples = sorted({n for line, (_, n) in places.items() if line not in kept.planes})
        index = np.zeros((2, len(offsets), len(offsets)), dtype=np.int64)
        for (i, l), (direction, n) in places.items():  # noqa: E741
            if max(abs(i), abs(l)) <= kept.reach and n in multiples:
                index[:, i + kept.reach, l + kept.reach] = multiples.index(n), direction
        # Place of every line's coefficient among those of (multiple, direction).
        self._flat = (index[0] * count + index[1]).ravel()
        self._mask = used.reshape(len(used), -1) * (2 / p**3)
        w = 2j * np.pi / p * np.arange(1, (p + 1) // 2)
        self._outputs = _waves(p)
        self._phases = np.exp(-w[:, None, None] * np.array(multiples)[:, None] * np.arange(p))
        self._edges = np.exp(w[:, None, None] * np.arange(p)[:, None] * offsets)
        self._pairs = pairs[:, 0] * p + pairs[:, 1]
        self._shape = (count, p, p)
        # A multiple of a direction may serve two lines, (i, l) and (l, i).
        self._sum = np.zeros((len(self._flat), len(multiples) * count))
        self._sum[np.arange(len(self._flat)), self._flat] = 1

    def spectrum(self, W: Array) -> Array:
        """(c, u), so that logits are Re sum_c of it times e^{iwcj}, from W (direction, p, p)."""
        count, p, _ = self._shape
        K, n = len(self._edges), self._edges.shape[-1]
        waves = (W.reshape(-1, p) @ self._outputs).reshape(count, p, 2, K)
        along_j = (waves[:, :, 0] - 1j * waves[:, :, 1]).transpose(2, 1, 0)
        coefficients = (self._phases @ along_j).reshape(K, -1)[:, self._flat] * self._mask
        grid = self._edges @ (coefficients.reshape(K, n, n) @ self._edges.transpose(0, 2, 1))
        return np.take(grid.reshape(K, -1), self._pairs, axis=1)

    def back(self, by_spectrum: Array, by_W: Array) -> None:
        """Add the derivative by W to it."""
        count, p, _ = self._shape
        K, n = len(self._edges), self._edges.shape[-1]
        grid = np.zeros((K, p * p), dtype=complex)
        grid[:, self._pairs] = by_spectrum
        edges = self._edges.conj()
        by_lines = (edges.transpose(0, 2, 1) @ (grid.reshape(K, p, p) @ edges)).reshape(
            K, -1
        ) * self._mask
        by_coefficients = by_lines @ self._sum
        along_j = self._phases.conj().transpose(0, 2, 1) @ by_coefficients.reshape(K, -1, count)
        parts = np.stack([along_j.real, -along_j.imag])  # (2, K, p, count)
        by_W += (parts.transpose(3, 2, 0, 1).reshape(count * p, 2 * K) @ self._outputs.T).reshape(
            self._shape
        )


class Symmetric:
    """Spectrum over j of the logits' average over shifts (x + s, y + s, j + 2 s), by x - y.

    Parameters
    ----------
    kept : Kept
    pairs : integers (u, 2)
    p : int
    """

    def __init__(self, kept: Kept, pairs: Array, p: int) -> None:
        K = (p - 1) // 2
        half = (p + 1) // 2
        d = half * (pairs[:, 0] - pairs[:, 1]) % p
        self._d = np.minimum(d, p - d)
        frequencies = np.arange(1, half)
        self._turn = np.exp(-2j * np.pi / p * frequencies[:, None] * (pairs.sum(1) % p))
        self._outputs = _waves(p)
        self._own = self._without_planes(kept, p) * (2 / p**2)
        # Sums over pairs of a distance, as a matrix.
        self._gather = sparse.csr_array(
            (np.ones(len(pairs)), (np.arange(len(pairs)), self._d)), shape=(len(pairs), K + 1)
        )

    def _without_planes(self, kept: Kept, p: int) -> Array:
        """What leaves out the waves in d that a plane holds, (c, d, d)."""
        K = (p - 1) // 2
        d = np.arange(K + 1)
        weight = np.where(d == 0, 1.0, 2.0)
        own = np.tile(np.eye(K + 1), (K, 1, 1))
        for c in range(1, K + 1):
            for name, wave in (("rows", 2 * c), ("diagonals", 0)):
                if name in kept.sets:
                    cosine = np.cos(2 * np.pi / p * wave * d)
                    own[c - 1] -= np.outer(cosine, cosine * weight) / (weight @ cosine**2)
        return own

    def moments(self, hidden: Array, xi: Array) -> tuple[Array, tuple[Array, Array]]:
        """Sum over neurons of xi's waves times the conjugates of the hidden values', (c, d)."""
        K = len(self._own)
        p = len(xi)
        along_t = self._outputs.T @ hidden.reshape(K + 1, p, -1)
        along_j = self._outputs.T @ xi
        (h_cos, h_sin), (x_cos, x_sin) = np.split(along_t, 2, axis=1), np.split(along_j, 2)
        real = (h_cos * x_cos + h_sin * x_sin).sum(-1)
        imag = (h_sin * x_cos - h_cos * x_sin).sum(-1)
        return (real + 1j * imag).T, (along_t, along_j)

    def spectrum(self, moments: Array) -> Array:
        """(c, u) as `Lines.spectrum`."""
        of_d = (self._own @ moments[:, :, None])[:, :, 0]
        return of_d[:, self._d] * self._turn

    def back(self, by_spectrum: Array) -> Array:
        """Derivative by the moments, (c, d)."""
        by_d = (self._gather.T @ (by_spectrum * self._turn.conj()).T).T
        return (self._own.transpose(0, 2, 1) @ by_d[:, :, None])[:, :, 0]

    def pull_back(self, by_moments: Array, waves: tuple[Array, Array]) -> tuple[Array, Array]:
        """Derivatives by hidden values (u, neuron) and by xi (p, neuron)."""
        along_t, along_j = waves
        (h_cos, h_sin), (x_cos, x_sin) = np.split(along_t, 2, axis=1), np.split(along_j, 2)
        real, imag = by_moments.real.T[:, :, None], by_moments.imag.T[:, :, None]
        by_t = np.concatenate([real * x_cos - imag * x_sin, real * x_sin + imag * x_cos], axis=1)
        by_j = np.concatenate(
            [(real * h_cos + imag * h_sin).sum(0), (real * h_sin - imag * h_cos).sum(0)]
        )
        by_hidden = (self._outputs @ by_t).reshape(-1, by_t.shape[-1])
        return by_hidden, self._outputs @ by_j


def _waves(p: int) -> Array:
    """cos and sin of w c j, (j, 2 K)."""
    angles = 2 * np.pi / p * np.outer(np.arange(p), np.arange(1, (p + 1) // 2))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
