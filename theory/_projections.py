"""Hidden values of every neuron, projected along directions of (x, y): compiled, forth and back.

Weights lie as (p, neuron) with the neurons innermost, a multiple of `LANES` of them, so that a
block of neurons is worked on in vector registers. Unordered pairs lie as u = d p + t with
t = x + y and d = +-(x - y) / 2 in 0..K, d outermost.
"""

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from grokode.theory.optimisers import sigma

__all__ = ["LANES", "all_pairs", "hidden_values", "project", "pull_back"]

Array = NDArray[Any]

LANES = 16


def all_pairs(p: int) -> NDArray[np.int64]:
    """All unordered pairs (u, 2) in the order of this module.

    Examples
    --------
    >>> all_pairs(3).tolist()
    [[0, 0], [2, 2], [1, 1], [1, 2], [0, 1], [2, 0]]
    """
    d, t = np.divmod(np.arange(p * (p + 1) // 2), p)
    half = (p + 1) // 2 * t
    return np.stack([half + d, half - d], axis=1) % p


@nb.njit(cache=True, forceinline=True)
def _centre(xi: Array) -> None:
    p, lanes = xi.shape
    for lane in range(lanes):
        xi[:, lane] -= xi[:, lane].sum() / p


@nb.njit(cache=True, parallel=True)
def project(
    theta: Array,
    xi: Array,
    pairs: Array,
    targets: Array,
    code: int,
    projections: Array,
    margins: Array,
) -> None:
    """Sums of the hidden values along directions, and every pair's margin by block of neurons.

    Parameters
    ----------
    theta, xi : arrays (p, neuron)
    pairs : integers (u, 2)
    targets : integers (u, 2, direction)
        Where a direction puts the pair, in either order.
    code : int
    projections : array (direction, p, neuron), filled
    margins : array (block, u), filled; of no pairs where they are not wanted
    """
    p = len(theta)
    for block in nb.prange(theta.shape[1] // LANES):
        part = slice(block * LANES, (block + 1) * LANES)
        inputs, outputs = theta[:, part].copy(), xi[:, part].copy()
        _centre(outputs)
        sums = np.zeros((targets.shape[2], p, LANES))
        value = np.empty(LANES)
        for u in range(len(pairs)):
            x, y = pairs[u]
            share = 0.5 if x == y else 1.0
            for lane in range(LANES):
                value[lane] = sigma(code, inputs[x, lane] + inputs[y, lane])[0]
            if margins.shape[1]:
                answer, margin = u % p, 0.0
                for lane in range(LANES):
                    margin += value[lane] * outputs[answer, lane]
                margins[block, u] = margin
            for lane in range(LANES):
                value[lane] *= share
            for direction in range(targets.shape[2]):
                one, two = targets[u, 0, direction], targets[u, 1, direction]
                for lane in range(LANES):
                    sums[direction, one, lane] += value[lane]
                for lane in range(LANES):
                    sums[direction, two, lane] += value[lane]
        projections[:, :, part] = sums


@nb.njit(cache=True, parallel=True)
def pull_back(
    theta: Array,
    xi: Array,
    pairs: Array,
    targets: Array,
    code: int,
    by_projections: Array,
    by_margins: Array,
    by_hidden: Array,
    gradient: Array,
) -> None:
    """Gradient of the loss from its derivatives by projections, margins and hidden values.

    Parameters
    ----------
    theta, xi, pairs, targets, code : as for `project`
    by_projections : array (direction, p, neuron)
    by_margins : array (u); of no pairs where they are not kept
    by_hidden : array (u, neuron); of no pairs where there are no other forces
    gradient : array (2, p, neuron)
        Of theta, filled; of xi, added to.
    """
    p = len(theta)
    for block in nb.prange(theta.shape[1] // LANES):
        part = slice(block * LANES, (block + 1) * LANES)
        inputs, outputs = theta[:, part].copy(), xi[:, part].copy()
        _centre(outputs)
        forces = by_projections[:, :, part].copy()
        by_theta, by_xi = np.zeros((p, LANES)), np.zeros((p, LANES))
        pull = np.empty(LANES)
        for u in range(len(pairs)):
            x, y = pairs[u]
            share = 0.5 if x == y else 1.0
            pull[:] = 0
            for direction in range(targets.shape[2]):
                one, two = targets[u, 0, direction], targets[u, 1, direction]
                for lane in range(LANES):
                    pull[lane] += forces[direction, one, lane] + forces[direction, two, lane]
            for lane in range(LANES):
                pull[lane] *= share
            if len(by_hidden):
                for lane in range(LANES):
                    pull[lane] += by_hidden[u, block * LANES + lane]
            force = by_margins[u] if len(by_margins) else 0.0
            answer = u % p
            for lane in range(LANES):
                value, slope = sigma(code, inputs[x, lane] + inputs[y, lane])
                by_xi[answer, lane] += force * value
                pull[lane] = slope * (pull[lane] + force * outputs[answer, lane])
            for lane in range(LANES):
                by_theta[x, lane] += pull[lane]
            for lane in range(LANES):
                by_theta[y, lane] += pull[lane]
        _centre(by_xi)
        gradient[0, :, part] = by_theta
        gradient[1, :, part] += by_xi


@nb.njit(cache=True, parallel=True)
def hidden_values(theta: Array, pairs: Array, code: int, hidden: Array) -> None:
    """Hidden values of all pairs, (u, neuron)."""
    for block in nb.prange(theta.shape[1] // LANES):
        part = slice(block * LANES, (block + 1) * LANES)
        inputs = theta[:, part].copy()
        for u in range(len(pairs)):
            x, y = pairs[u]
            for lane in range(LANES):
                hidden[u, block * LANES + lane] = sigma(code, inputs[x, lane] + inputs[y, lane])[0]
