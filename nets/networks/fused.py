"""The gradient of quadratic and ReLU networks on a CPU, with nothing per pair written twice.

What `Gradient` in `grokode.nets.networks.two_layer_model` does in passes over (pair, neuron) arrays
is bound by memory there. Here two compiled loops around the matrix products need a single such
array, for as many pairs at a time as fit the cache.
"""

from typing import Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.scratch import scratch
from grokode.nets.networks.two_layer_model import Layers
from grokode.nets.tasks.base import Criterion
from grokode.nets.tasks.examples import Examples

__all__ = ["FUSED", "FusedGradient"]

Array = NDArray[Any]

_BLOCK_BYTES = 1 << 20
"""One block of hidden values; a core's second-level cache is about this large."""


class FusedGradient:
    """As `Gradient` there, for the activations in `FUSED`, on the CPU, without dropout.

    Parameters
    ----------
    examples, activation, criterion, weights, to_weights
        As there.
    """

    def __init__(
        self,
        examples: Examples,
        activation: str,
        criterion: Criterion,
        weights: Layers,
        to_weights: Layers,
    ) -> None:
        # Views of each seed's layers; they stay, as the weights are changed in place.
        self._seeds = [
            (
                slice(seed, seed + 1),
                [theta[seed].numpy() for theta in weights.inputs],
                weights.xi[seed],
                [to_theta[seed].numpy() for to_theta in to_weights.inputs],
                to_weights.xi[seed],
            )
            for seed in range(len(weights.xi))
        ]
        self._to_weights = to_weights
        self._hidden_rows, self._pull_rows = _KERNELS[activation]
        self._criterion = criterion
        *_, neurons = weights.xi.shape
        pairs = examples.inputs
        rows = max(1, _BLOCK_BYTES // (neurons * weights.xi.itemsize))
        self._blocks = [
            (slice(first, first + rows), np.ascontiguousarray(pairs[first : first + rows]))
            for first in range(0, len(pairs), rows)
        ]

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) at the weights; fills the gradient."""
        for layer in (*self._to_weights.inputs, self._to_weights.xi):
            layer.zero_()
        return torch.cat([self._of_seed(*layers) for layers in self._seeds])

    def _of_seed(
        self, seed: slice, inputs: list[Array], xi: Tensor, to_inputs: list[Array], to_xi: Tensor
    ) -> Tensor:
        loss = torch.zeros(1)
        for block, pairs in self._blocks:
            # A thread's own, so that it stays in the cache from one seed to the next.
            hidden = scratch("hidden", xi, len(pairs), xi.shape[1])
            self._hidden_rows(inputs[0], inputs[-1], pairs, hidden.numpy())
            residual, part_of_loss = self._criterion(torch.mm(hidden, xi.T)[None], (seed, block))
            to_xi.addmm_(residual[0].T, hidden)
            torch.mm(residual[0], xi, out=hidden)
            self._pull_rows(
                inputs[0], inputs[-1], pairs, hidden.numpy(), to_inputs[0], to_inputs[-1]
            )
            loss = loss + part_of_loss
        return loss


# fastmath lets the compiler vectorise; nothing here relies on NaN or the order of a sum.
_kernel: Any = nb.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})


@_kernel
def _add(total: Array, row: Array) -> None:
    for m in range(len(row)):
        total[m] += row[m]


@_kernel
def _quadratic_hidden(of_x: Array, of_y: Array, pairs: Array, hidden: Array) -> None:
    for row in range(len(pairs)):
        x, y = pairs[row]
        for m in range(hidden.shape[1]):
            z = of_x[x, m] + of_y[y, m]
            hidden[row, m] = z * z


@_kernel
def _quadratic_pull(
    of_x: Array, of_y: Array, pairs: Array, back: Array, to_x: Array, to_y: Array
) -> None:
    for row in range(len(pairs)):
        x, y = pairs[row]
        for m in range(back.shape[1]):
            z = of_x[x, m] + of_y[y, m]
            back[row, m] *= z + z
        _add(to_x[x], back[row])
        _add(to_y[y], back[row])


@_kernel
def _relu_hidden(of_x: Array, of_y: Array, pairs: Array, hidden: Array) -> None:
    for row in range(len(pairs)):
        x, y = pairs[row]
        for m in range(hidden.shape[1]):
            z = of_x[x, m] + of_y[y, m]
            # NaN passes, so that a diverged network is seen to be one.
            hidden[row, m] = 0 if z < 0 else z


@_kernel
def _relu_pull(
    of_x: Array, of_y: Array, pairs: Array, back: Array, to_x: Array, to_y: Array
) -> None:
    for row in range(len(pairs)):
        x, y = pairs[row]
        for m in range(back.shape[1]):
            back[row, m] = back[row, m] if of_x[x, m] + of_y[y, m] > 0 else 0
        # One sum after the other: were to_x and to_y one array, a common loop would not vectorise.
        _add(to_x[x], back[row])
        _add(to_y[y], back[row])


_KERNELS = {
    "quadratic": (_quadratic_hidden, _quadratic_pull),
    "relu": (_relu_hidden, _relu_pull),
}
FUSED = tuple(_KERNELS)
