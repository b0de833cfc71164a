"""Kept logits of a network, less the margins, and the way back to the gradient of its weights.

Where lines and planes are all that is kept, the neurons enter through

    W[direction](t, j) = sum_m r_m(t) xi_m(j)

alone, r_m(t) the sum of neuron m's hidden values over i x + l y = t. A mode (n i c, n l c, c) of
the logits is the mode (n c, c) of W, so a few directions hold all harmonics of low order; a plane
is W itself over p. What is kept is a function of t and j for each direction, and the logits of a
pair are the sum of these at its place on every direction.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.theory._projections import (
    all_pairs,
    block_width,
    gather,
    hidden_values,
    project,
    pull_back,
    scatter,
)
from grokode.theory.kept import Kept, part_of
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


class Filter:
    """The kept modes of functions (direction, t, j), each of which pairs feel in either order.

    Parameters
    ----------
    kept : Kept
    p : int
    dtype : {"float32", "float64"}
    """

    def __init__(self, kept: Kept, p: int, dtype: str) -> None:
        self.directions, places = directions_of(kept, p)
        used, K = kept.lines(p), (p - 1) // 2
        multiples = sorted({n for line, (_, n) in places.items() if line not in kept.planes})
        # Halves: what holds for (x, y) as for (y, x) is felt twice, the others at one of two lines.
        planes = np.zeros((len(self.directions), 1, 1))
        weights = np.zeros((K, len(multiples), len(self.directions)))
        for (i, l), (direction, n) in places.items():  # noqa: E741
            if (i, l) in kept.planes:
                planes[direction] += 1 / (2 * p)
            else:
                line = used[:, i + kept.reach, l + kept.reach]
                weights[:, multiples.index(n), direction] += line / p**3
        self._planes, self._weights = planes.astype(dtype), weights.astype(dtype)
        # Planes share the overall mean.
        self._surplus = max(len(kept.planes) - 1, 0) / (2 * p**2)
        w = 2j * np.pi / p * np.arange(1, K + 1)
        phases = np.exp(-w[:, None, None] * np.array(multiples)[:, None] * np.arange(p))
        self._phases = phases.astype(np.result_type(dtype, np.complex64))
        waves = np.exp(w * np.arange(p)[:, None])
        self._outputs = np.concatenate([waves.real, waves.imag], axis=1).astype(dtype)

    def __call__(self, W: Array) -> Array:
        """The kept part of W (direction, t, j). As a matrix it is symmetric: its own adjoint."""
        count, p, _ = W.shape
        kept = self._planes * W
        if self._surplus:
            kept[0] -= self._surplus * W[0].sum(0)
        if self._weights.size:
            cosines, sines = (
                (W.reshape(-1, p) @ self._outputs).reshape(count, p, 2, -1).T.swapaxes(0, 1)
            )
            coefficients = self._weights * (self._phases @ (cosines - 1j * sines))
            lines = self._phases.conj().swapaxes(1, 2) @ coefficients
            parts = np.stack([lines.real, -lines.imag]).transpose(3, 2, 0, 1)
            kept += (parts.reshape(count * p, -1) @ self._outputs.T).reshape(W.shape)
        return kept


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
        self._filter = Filter(kept, p, dtype)
        along = np.array(self._filter.directions, dtype=np.int64).reshape(-1, 2).T
        targets = np.stack([pairs @ along % p, pairs[:, ::-1] @ along % p], axis=0)
        targets = np.ascontiguousarray(targets.transpose(2, 0, 1), dtype=np.uint32)
        halves = np.where(pairs[:, 0] == pairs[:, 1], 0.5, 1.0).astype(dtype)
        self._kernel = (pairs.astype(np.uint32), targets, halves, code)
        self._rows, self._wanted = rows, np.ascontiguousarray(targets[:, :, rows])
        self._margins, self._room = kept.margins, Room(dtype)

    def forth(self, theta: Array, xi: Array) -> tuple[Array, Array | None]:
        """Kept logits (u, p) less the margins, and margins (u) if they are kept."""
        p, neurons = theta.shape
        width, count = block_width(neurons), len(self._wanted)
        projections = self._room.array("projections", count, p, neurons)
        pairs = len(self._kernel[0]) if self._margins else 0
        margins = self._room.array("margins", neurons // width, pairs)
        project(theta, xi, *self._kernel, width, projections, margins)
        W = (projections.reshape(-1, neurons) @ xi.T).reshape(count, p, p)
        logits = self._room.array("logits", len(self._rows), p)
        gather(self._filter(W), self._wanted, logits)
        return logits, margins.sum(0)[self._rows] if self._margins else None

    def back(self, theta: Array, xi: Array, residual: Array, force: Array | None) -> Array:
        """Gradient (2, p, neuron) from the derivatives by what `forth` gave, right after it."""
        p, neurons = theta.shape
        count = len(self._wanted)
        by_kept = np.zeros((count, p, p), xi.dtype)
        scatter(residual, self._wanted, by_kept)
        by_W = self._filter(by_kept).reshape(-1, p)
        by_margins = np.zeros(len(self._kernel[0]) if force is not None else 0, xi.dtype)
        if force is not None:
            by_margins[self._rows] = force
        gradient = self._room.array("gradient", 2, p, neurons)
        projections = self._room.array("projections", count, p, neurons)
        flat = projections.reshape(-1, neurons)
        np.matmul(by_W.T, flat, out=gradient[1])
        # The projections are used up; their place is taken.
        np.matmul(by_W, xi, out=flat)
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
        logits = part_of(grid, self._mask)[self._here[self._rows]]
        if not self._margins:
            return logits, None
        margins = whole[np.arange(len(whole)), self._answers] - whole.mean(1)
        return logits, margins[self._rows]

    def back(self, theta: Array, xi: Array, residual: Array, force: Array | None) -> Array:
        """As `Projected.back`."""
        p, neurons = theta.shape
        grid = np.zeros((p * p, p), xi.dtype)
        grid[self._here[self._rows]] = residual
        cut = part_of(grid, self._mask)
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
