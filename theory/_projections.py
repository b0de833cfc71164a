"""Hidden values of every neuron, projected along directions of (x, y): compiled, forth and back.

Weights lie as (p, neuron) with the neurons innermost; a block of them is worked on at once, in
vector registers. Unordered pairs lie as u = d p + t with t = x + y and d = +-(x - y) / 2 in 0..K,
d outermost.
"""

from functools import partial
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from grokode.theory._parallel import parallel
from grokode.theory._updates import sigma

__all__ = [
    "activate",
    "all_pairs",
    "block_width",
    "centre",
    "gather",
    "hidden_values",
    "project",
    "pull_back",
    "scatter",
]

Array = NDArray[Any]

# Sums over neurons may be taken in any order, so that they are taken in vector registers. Nothing
# else of fast arithmetic: a flow that diverges is told by its NaN.
_FREE_SUMS = {"reassoc", "contract"}


def block_width(neurons: int) -> int:
    """How many neurons are worked on at once: many, but not many more than there are."""
    return 64 if neurons >= 128 else 32 if neurons >= 64 else 16


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
def _block(weights: Array, block: int, width: int) -> Array:
    return weights[:, block * width : (block + 1) * width].copy()


@nb.njit(cache=True, forceinline=True)
def _one_activation(code: int, one: Array, two: Array, values: Array, slopes: Array) -> None:
    # Inner loops run to a length known when they run, or they are not vectorised.
    for lane in range(len(values)):
        values[lane], slopes[lane] = sigma(code, one[lane] + two[lane])


@nb.njit(cache=True)
def activate(code: int, one: Array, two: Array, values: Array, slopes: Array) -> None:
    """Activations and slopes at one + two; a loop to each activation, so that it is vectorised."""
    if code == 0:
        _one_activation(0, one, two, values, slopes)
    elif code == 1:
        _one_activation(1, one, two, values, slopes)
    elif code == 2:
        _one_activation(2, one, two, values, slopes)
    else:
        _one_activation(code, one, two, values, slopes)


@nb.njit(cache=True, forceinline=True)
def centre(xi: Array) -> None:
    """Take off the mean over the outputs, neuron by neuron."""
    p, width = xi.shape
    mean = np.zeros(width, xi.dtype)
    for j in range(p):
        for lane in range(width):
            mean[lane] += xi[j, lane] / p
    for j in range(p):
        for lane in range(width):
            xi[j, lane] -= mean[lane]


@partial(parallel, fastmath=_FREE_SUMS)
def project(
    theta: Array,
    xi: Array,
    pairs: Array,
    targets: Array,
    shares: Array,
    code: int,
    width: int,
    projections: Array,
    margins: Array,
) -> None:
    """Sums of the hidden values along directions, and every pair's margin by block of neurons.

    Parameters
    ----------
    theta, xi : arrays (p, neuron)
        Blocks of `width` neurons.
    pairs : unsigned integers (u, 2)
    targets : unsigned integers (direction, 2, u)
        Where a direction puts the pair, in either order.
    shares : array (u)
        Half for x = y, which has but one order, and 1 for others; in the format of the weights.
    code : int
    width : int
    projections : array (direction, p, neuron), filled
    margins : array (block, u), filled; of no pairs where they are not wanted
    """
    p = len(theta)
    for block in nb.prange(theta.shape[1] // width):
        inputs, outputs = _block(theta, block, width), _block(xi, block, width)
        centre(outputs)
        hidden, slopes = np.empty((len(pairs), width), theta.dtype), np.empty(width, theta.dtype)
        for u in range(len(pairs)):
            one, two, out = inputs[pairs[u, 0]], inputs[pairs[u, 1]], outputs[u % p]
            values, margin = hidden[u], 0.0
            activate(code, one, two, values, slopes)
            if margins.shape[1]:
                for lane in range(len(values)):
                    margin += values[lane] * out[lane]
                margins[block, u] = margin
            for lane in range(len(values)):
                values[lane] *= shares[u]
        for direction in range(len(targets)):
            sums = np.zeros((p, width), theta.dtype)
            for u in range(len(pairs)):
                values = hidden[u]
                for order in range(2):
                    sum_ = sums[targets[direction, order, u]]
                    for lane in range(len(values)):
                        sum_[lane] += values[lane]
            projections[direction, :, block * width : (block + 1) * width] = sums


@partial(parallel, fastmath=_FREE_SUMS)
def pull_back(
    theta: Array,
    xi: Array,
    pairs: Array,
    targets: Array,
    shares: Array,
    code: int,
    width: int,
    by_projections: Array,
    by_margins: Array,
    by_hidden: Array,
    gradient: Array,
) -> None:
    """Gradient of the loss from its derivatives by projections, margins and hidden values.

    Parameters
    ----------
    theta, xi, pairs, targets, shares, code, width : as for `project`
    by_projections : array (direction, p, neuron)
    by_margins : array (u); of no pairs where they are not kept
    by_hidden : array (u, neuron); of no pairs where there are no other forces
    gradient : array (2, p, neuron)
        Of theta, filled; of xi, added to.
    """
    p = len(theta)
    for block in nb.prange(theta.shape[1] // width):
        part = slice(block * width, (block + 1) * width)
        inputs, outputs = _block(theta, block, width), _block(xi, block, width)
        centre(outputs)
        by_theta, by_xi = np.zeros((p, width), xi.dtype), np.zeros((p, width), xi.dtype)
        pulls = np.zeros((len(pairs), width), xi.dtype)
        values, slopes = np.empty(width, xi.dtype), np.empty(width, xi.dtype)
        for direction in range(len(targets)):
            forces = by_projections[direction, :, part].copy()
            for u in range(len(pairs)):
                here = forces[targets[direction, 0, u]]
                there, pull = forces[targets[direction, 1, u]], pulls[u]
                for lane in range(len(pull)):
                    pull[lane] += here[lane] + there[lane]
        for u in range(len(pairs)):
            pull = pulls[u]
            for lane in range(len(pull)):
                pull[lane] *= shares[u]
            if len(by_hidden):
                own = by_hidden[u, part]
                for lane in range(len(pull)):
                    pull[lane] += own[lane]
            x, y, answer = pairs[u, 0], pairs[u, 1], u % p
            margin = by_margins[u] if len(by_margins) else 0.0
            one, two, out, by_out = inputs[x], inputs[y], outputs[answer], by_xi[answer]
            activate(code, one, two, values, slopes)
            for lane in range(len(pull)):
                by_out[lane] += margin * values[lane]
            for lane in range(len(pull)):
                pull[lane] = slopes[lane] * (pull[lane] + margin * out[lane])
            by_one, by_two = by_theta[x], by_theta[y]
            for lane in range(len(pull)):
                by_one[lane] += pull[lane]
            for lane in range(len(pull)):
                by_two[lane] += pull[lane]
        centre(by_xi)
        gradient[0, :, part] = by_theta
        gradient[1, :, part] += by_xi


@parallel
def hidden_values(theta: Array, pairs: Array, code: int, width: int, hidden: Array) -> None:
    """Hidden values of all pairs, (u, neuron)."""
    for block in nb.prange(theta.shape[1] // width):
        inputs, slopes = _block(theta, block, width), np.empty(width, theta.dtype)
        for u in range(len(pairs)):
            one, two = inputs[pairs[u, 0]], inputs[pairs[u, 1]]
            values = hidden[u, block * width : (block + 1) * width]
            activate(code, one, two, values, slopes)


@parallel
def gather(kept: Array, targets: Array, logits: Array) -> None:
    """Logits (u, p) of pairs: the sum of kept (direction, t, j) at targets (direction, 2, u)."""
    for u in nb.prange(len(logits)):
        row = logits[u]
        row[:] = 0
        for direction in range(len(kept)):
            for order in range(2):
                values = kept[direction, targets[direction, order, u]]
                for j in range(len(row)):
                    row[j] += values[j]


@parallel
def scatter(residual: Array, targets: Array, by_kept: Array) -> None:
    """Add what `gather` makes of a derivative by the logits to that by what is kept."""
    for direction in nb.prange(len(by_kept)):
        for u in range(len(residual)):
            values = residual[u]
            for order in range(2):
                row = by_kept[direction, targets[direction, order, u]]
                for j in range(len(row)):
                    row[j] += values[j]
