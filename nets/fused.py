"""The gradient of quadratic and ReLU networks on a CPU, with nothing per pair written twice.

What `grokode.nets.mlp.Gradient` does in passes over (pair, neuron) arrays is bound by memory there.
Here two compiled loops around the matrix products need a single such array, for as many pairs at a
time as fit the cache.
"""

from typing import Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.mlp import Examples, Loss

__all__ = ["FUSED", "FusedGradient"]

Array = NDArray[Any]

_BLOCK_BYTES = 1 << 20
"""One block of hidden values; a core's second-level cache is about this large."""


class FusedGradient:
    """As `grokode.nets.mlp.Gradient`, for the activations in `FUSED`, on the CPU, without dropout.

    Parameters
    ----------
    examples, activation, weights, loss_dtype, summed
        As there.
    """

    def __init__(
        self,
        examples: Examples,
        activation: str,
        weights: Tensor,
        *,
        loss_dtype: torch.dtype = torch.float64,
        summed: bool = False,
    ) -> None:
        self.value = torch.empty_like(weights)
        # Views of each seed's layers; they stay, as the weights are changed in place.
        self._seeds = [
            (
                slice(seed, seed + 1),
                weights[:-1, seed].numpy(),
                weights[-1, seed],
                self.value[:-1, seed].numpy(),
                self.value[-1, seed],
            )
            for seed in range(weights.shape[1])
        ]
        self._hidden_rows, self._pull_rows = _KERNELS[activation]
        self._loss = Loss(examples, loss_dtype, summed)
        *_, neurons = weights.shape
        rows = max(1, _BLOCK_BYTES // (neurons * weights.itemsize))
        self._blocks = [
            (slice(first, first + rows), np.ascontiguousarray(examples.pairs[first : first + rows]))
            for first in range(0, len(examples.pairs), rows)
        ]
        self._hidden = weights.new_empty(min(rows, len(examples.pairs)), neurons)

    def __call__(self) -> Tensor:
        """Mean loss (seed,) at the weights; fills ``value``."""
        self.value.zero_()
        return torch.cat([self._of_seed(*layers) for layers in self._seeds])

    def _of_seed(
        self, seed: slice, inputs: Array, xi: Tensor, to_inputs: Array, to_xi: Tensor
    ) -> Tensor:
        loss = torch.zeros(1)
        for block, pairs in self._blocks:
            hidden = self._hidden[: len(pairs)]
            self._hidden_rows(inputs[0], inputs[-1], pairs, hidden.numpy())
            residual, part_of_loss = self._loss(torch.mm(hidden, xi.T)[None], (seed, block))
            to_xi.addmm_(residual[0].T, hidden)
            torch.mm(residual[0], xi, out=hidden)
            self._pull_rows(
                inputs[0], inputs[-1], pairs, hidden.numpy(), to_inputs[0], to_inputs[-1]
            )
            loss = loss + part_of_loss
        return loss


# fastmath lets the compiler vectorise; nothing here relies on NaN or the order of a sum.
_kernel: Any = nb.njit(cache=True, fastmath={"contract", "reassoc"})


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
