"""Kept logits of a network, less the margins, and the way back to the gradient of its weights.

Where lines and planes are all that is kept, the neurons enter through

    W[direction](t, j) = sum_m r_m(t) xi_m(j)

alone, r_m(t) the sum of neuron m's hidden values over i x + l y = t. A mode (n i c, n l c, c) of
the logits is the mode (n c, c) of W, so a few directions hold all harmonics of low order; a plane
is W itself over p.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from grokode.theory._projections import (
    all_pairs,
    block_width,
    hidden_values,
    project,
    pull_back,
)
from grokode.theory.kept import Kept
from grokode.theory.rule import TrainingRule

__all__ = ["Projected", "Whole", "directions_of", "ordered_shares", "shares"]

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
    dtype : {"float32", "float64"}
    """

    def __init__(
        self,
        kept: Kept,
        places: dict[Direction, tuple[int, int]],
        count: int,
        pairs: Array,
        p: int,
        dtype: str,
    ) -> None:
        rows, columns = [], []
        for i, l in kept.planes:  # noqa: E741
            rows.append(np.arange(len(pairs)))
            columns.append(places[i, l][0] * p + (pairs @ (i, l)) % p)
        where = (np.concatenate(rows), np.concatenate(columns))
        shares = np.full(len(where[0]), 1 / p, dtype)
        matrix = sparse.csr_array((shares, where), shape=(len(pairs), count * p))
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
    dtype : {"float32", "float64"}
    """

    def __init__(
        self,
        kept: Kept,
        places: dict[Direction, tuple[int, int]],
        count: int,
        pairs: Array,
        p: int,
        dtype: str,
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
        self._mask = (used.reshape(len(used), -1) * (2 / p**3)).astype(dtype)
        w = 2j * np.pi / p * np.arange(1, (p + 1) // 2)
        self._outputs = _waves(p).astype(dtype)
        waves = [
            np.exp(-w[:, None, None] * np.array(multiples)[:, None] * np.arange(p)),
            np.exp(w[:, None, None] * np.arange(p)[:, None] * offsets),
        ]
        self._complex = np.result_type(dtype, np.complex64)
        self._phases, self._edges = (wave.astype(self._complex) for wave in waves)
        self._pairs = pairs[:, 0] * p + pairs[:, 1]
        self._shape = (count, p, p)
        # A multiple of a direction may serve two lines, (i, l) and (l, i).
        self._sum = np.zeros((len(self._flat), len(multiples) * count), dtype)
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
        K = len(self._edges)
        grid = np.zeros((K, p * p), dtype=self._complex)
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


class Projected:
    """Lines and planes, through projections of the hidden values.

    Parameters
    ----------
    kept : Kept
    p : int
    code : int
        Which activation, see `grokode.theory._updates`.
    rows : integers (u)
        Pairs, among `all_pairs`, whose logits are wanted.
    dtype : {"float32", "float64"}
    """

    def __init__(self, kept: Kept, p: int, code: int, rows: Array, dtype: str) -> None:
        pairs = all_pairs(p)
        directions, places = directions_of(kept, p)
        along = np.array(directions, dtype=np.int64).reshape(-1, 2).T
        targets = np.stack([pairs @ along % p, pairs[:, ::-1] @ along % p], axis=0)
        targets = np.ascontiguousarray(targets.transpose(2, 0, 1), dtype=np.uint32)
        halves = np.where(pairs[:, 0] == pairs[:, 1], 0.5, 1.0).astype(dtype)
        self._kernel = (pairs.astype(np.uint32), targets, halves, code)
        self._shape, self._rows, self._margins = (len(directions), p), rows, kept.margins
        wanted, count = pairs[rows], len(directions)
        self._planes = Planes(kept, places, count, wanted, p, dtype) if kept.planes else None
        self._lines = Lines(kept, places, count, wanted, p, dtype) if kept.reach >= 0 else None
        self._waves = np.ascontiguousarray(_waves(p).T, dtype=dtype)
        self._room = Room(dtype)

    def forth(self, theta: Array, xi: Array) -> tuple[Array, Array | None]:
        """Kept logits (u, p) less the margins, and margins (u) if they are kept."""
        (count, p), neurons = self._shape, theta.shape[1]
        width = block_width(neurons)
        projections = self._room.array("projections", count, p, neurons)
        pairs = len(self._kernel[0]) if self._margins else 0
        margins = self._room.array("margins", neurons // width, pairs)
        project(theta, xi, *self._kernel, width, projections, margins)
        W = (projections.reshape(-1, neurons) @ xi.T).reshape(count, p, p)
        logits = np.zeros((len(self._rows), p), xi.dtype)
        if self._planes is not None:
            logits += self._planes.logits(W)
        if self._lines is not None:
            spectrum = self._lines.spectrum(W)
            logits += np.concatenate([spectrum.real, -spectrum.imag]).T @ self._waves
        return logits, margins.sum(0)[self._rows] if self._margins else None

    def back(self, theta: Array, xi: Array, residual: Array, force: Array | None) -> Array:
        """Gradient (2, p, neuron) from the derivatives by what `forth` gave, right after it."""
        (count, p), neurons = self._shape, theta.shape[1]
        by_W = np.zeros((count, p, p), xi.dtype)
        if self._planes is not None:
            self._planes.back(residual, by_W)
        if self._lines is not None:
            cosines, sines = np.split(self._waves @ residual.T, 2)
            self._lines.back(cosines - 1j * sines, by_W)
        by_margins = np.zeros(len(self._kernel[0]) if force is not None else 0, xi.dtype)
        if force is not None:
            by_margins[self._rows] = force
        gradient = self._room.array("gradient", 2, p, neurons)
        projections = self._room.array("projections", count, p, neurons)
        flat = projections.reshape(-1, neurons)
        np.matmul(by_W.reshape(-1, p).T, flat, out=gradient[1])
        # The projections are used up; their place is taken.
        np.matmul(by_W.reshape(-1, p), xi, out=flat)
        none = np.empty((0, neurons), xi.dtype)
        width = block_width(neurons)
        pull_back(theta, xi, *self._kernel, width, projections, by_margins, none, gradient)
        return gradient


class Whole:
    """Any modes, cut out of the logits of all pairs, at the network's own cost.

    Parameters and methods as `Projected`.
    """

    def __init__(self, kept: Kept, p: int, code: int, rows: Array, dtype: str) -> None:
        pairs = all_pairs(p)
        self._pairs, self._code, self._rows = pairs.astype(np.uint32), code, rows
        self._here, self._there = pairs @ (p, 1), pairs @ (1, p)
        self._once = np.where(pairs[:, :1] == pairs[:, 1:], 0.5, 1.0).astype(dtype)
        self._answers, self._margins = np.arange(len(pairs)) % p, kept.margins
        self._mask = kept.mask(p)
        self._room = Room(dtype)

    def forth(self, theta: Array, xi: Array) -> tuple[Array, Array | None]:
        """As `Projected.forth`."""
        hidden = self._room.array("hidden", len(self._pairs), theta.shape[1])
        hidden_values(theta, self._pairs, self._code, block_width(theta.shape[1]), hidden)
        whole = hidden @ xi.T
        grid = np.empty((len(xi) ** 2, len(xi)), xi.dtype)
        grid[self._here] = grid[self._there] = whole
        logits = self._cut(grid)[self._here[self._rows]]
        if not self._margins:
            return logits, None
        margins = whole[np.arange(len(whole)), self._answers] - whole.mean(1)
        return logits, margins[self._rows]

    def back(self, theta: Array, xi: Array, residual: Array, force: Array | None) -> Array:
        """As `Projected.back`."""
        p, neurons = theta.shape
        grid = np.zeros((p * p, p), xi.dtype)
        grid[self._here[self._rows]] = residual
        cut = self._cut(grid)
        by_logits = self._once * (cut[self._here] + cut[self._there])
        if force is not None:
            by_logits[self._rows] -= force[:, None] / p
            by_logits[self._rows, self._answers[self._rows]] += force
        gradient = self._room.array("gradient", 2, p, neurons)
        hidden = self._room.array("hidden", len(self._pairs), neurons)
        np.matmul(by_logits.T, hidden, out=gradient[1])
        # The hidden values are used up; their place is taken.
        np.matmul(by_logits, xi, out=hidden)
        targets = np.zeros((0, 2, len(self._pairs)), np.uint32)
        kernel = (self._pairs, targets, self._once[:, 0], self._code, block_width(neurons))
        none = np.empty((0, p, neurons), xi.dtype)
        pull_back(theta, xi, *kernel, none, none[:, 0, 0], hidden, gradient)
        return gradient

    def _cut(self, grid: Array) -> Array:
        """Its kept modes, of values (x p + y, j)."""
        p = grid.shape[1]
        spectrum = fft.rfftn(grid.reshape(p, p, p)) * self._mask
        return fft.irfftn(spectrum, s=(p, p, p)).reshape(p * p, p)


class Room:
    """Places for arrays, the same at every call: fresh pages cost as much as filling them."""

    def __init__(self, dtype: str) -> None:
        self._arrays: dict[str, Array] = {}
        self._dtype = dtype

    def array(self, name: str, *shape: int) -> Array:
        """The place of that name, with whatever was left in it."""
        if name not in self._arrays or self._arrays[name].shape != shape:
            self._arrays[name] = np.empty(shape, self._dtype)
        return self._arrays[name]


def _waves(p: int) -> Array:
    """Cos and sin of w c j, (j, 2 K)."""
    angles = 2 * np.pi / p * np.outer(np.arange(p), np.arange(1, (p + 1) // 2))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def shares(rule: TrainingRule) -> Array:
    """Part of the training set that every unordered pair is, in the order of `all_pairs`."""
    p = rule.p
    pairs, counts = rule.unordered_pairs()
    t = pairs.sum(1) % p
    d = (p + 1) // 2 * (pairs[:, 0] - pairs[:, 1]) % p
    share = np.zeros(p * (p + 1) // 2)
    share[np.minimum(d, p - d) * p + t] = counts / counts.sum()
    return share


def ordered_shares(rule: TrainingRule) -> Array:
    """Part of the training set that every ordered pair is, x outermost."""
    share = np.zeros((rule.p, rule.p))
    if rule.train_pairs is None:
        share[:] = 1
    else:
        np.add.at(share, tuple(rule.train_pairs.T), 1)
    return share.ravel() / share.sum()
