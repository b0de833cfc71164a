"""The gradient over a batch of equally long sequences, written out over their prefixes.

Sequences of a batch share beginnings, and two equal beginnings have one hidden state: a batch is a
tree, with a node for every prefix that some of its sequences have. A batch of 128 out of the 1024
sequences of length 10 has 429 inner nodes on average in place of 1280 states, and a step costs as
much less.
"""

from typing import Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["TreeGradient"]

Array = NDArray[Any]


class TreeGradient:
    """Loss of one network over a batch of equally long sequences, and its gradient, on the CPU.

    Parameters
    ----------
    parameters, gradients : dict of Tensor (*shape)
        Of one seed; read and filled at every call.
    activation : {"relu", "tanh"}
    loss : {"mse", "cross_entropy"}
    batch, length : int
        The most sequences of a batch, and the length of the longest.
    """

    def __init__(
        self,
        parameters: dict[str, Tensor],
        gradients: dict[str, Tensor],
        activation: str,
        loss: str,
        batch: int,
        length: int,
    ) -> None:
        self._given, self._wanted = parameters, gradients
        # Memory of its own: in a buffer of several seeds each lies at another offset from the
        # boundaries of vector registers, and sums would be rounded accordingly.
        self._parameters = {name: value.clone() for name, value in parameters.items()}
        self._gradients = {name: torch.zeros_like(value) for name, value in gradients.items()}
        recurrent = self._parameters["recurrent"]
        neurons = len(recurrent)
        self._tanh = activation == "tanh"
        self._mse = loss == "mse"
        self._most = sum(min(2**n, batch) for n in range(length + 1))
        self._hidden, self._sums = (recurrent.new_ones(self._most, neurons) for _ in range(2))
        self._before, self._back = (recurrent.new_empty(batch, neurons) for _ in range(2))
        self._columns, self._to_columns = (recurrent.new_empty(2, neurons) for _ in range(2))
        # Arrays over the same memory, for the compiled loops.
        self._arrays = {
            name: getattr(self, f"_{name}").numpy()
            for name in ("hidden", "sums", "before", "back", "columns", "to_columns")
        }

    def __call__(self, codes: Array, length: int, answers: Array) -> float:
        """Mean loss at the parameters; fills the gradients.

        Parameters
        ----------
        codes : int64 array (n,)
            Sequences as binary numbers, first symbol highest; increasing.
        length : int
            How many symbols each has.
        answers : int64 array (n,)
        """
        for name, value in self._parameters.items():
            value.copy_(self._given[name])
        first = np.empty(length + 2, np.int64)
        parents, symbols = np.empty(self._most, np.int32), np.empty(self._most, np.int8)
        _grow(codes, length, first, parents, symbols)
        bounds = first.tolist()
        self._forward(bounds, parents, symbols)
        leaves = self._hidden[bounds[-2] : bounds[-1]]
        loss = self._read_out(leaves, answers)
        self._backward(bounds, parents, symbols)
        for name, value in self._gradients.items():
            self._wanted[name].copy_(value)
        return loss

    def _forward(self, bounds: list[int], parents: Array, symbols: Array) -> None:
        arrays, p = self._arrays, self._parameters
        torch.add(p["input"].T, p["input_bias"] + p["recurrent_bias"], out=self._columns)
        across = p["recurrent"].T
        for above, start, end in zip(bounds, bounds[1:], bounds[2:], strict=False):
            torch.mm(self._hidden[above:start], across, out=self._before[: start - above])
            _spread(
                arrays["before"],
                parents,
                symbols,
                arrays["columns"],
                arrays["hidden"],
                start,
                end,
                not self._tanh,
            )
            if self._tanh:
                self._hidden[start:end].tanh_()

    def _backward(self, bounds: list[int], parents: Array, symbols: Array) -> None:
        arrays, g = self._arrays, self._gradients
        recurrent = self._parameters["recurrent"]
        self._to_columns.zero_()
        for level in range(len(bounds) - 2, 0, -1):
            above, start, end = bounds[level - 1 : level + 2]
            _collect(
                arrays["back"],
                arrays["hidden"],
                parents,
                symbols,
                arrays["sums"],
                arrays["to_columns"],
                above,
                start,
                end,
                self._tanh,
            )
            if level > 1:
                torch.mm(self._sums[above:start], recurrent, out=self._back[: start - above])
        inner = bounds[-2]
        torch.mm(self._sums[:inner].T, self._hidden[:inner], out=g["recurrent"])
        g["input"].copy_(self._to_columns.T)
        torch.sum(self._to_columns, 0, out=g["input_bias"])
        g["recurrent_bias"].copy_(g["input_bias"])

    def _read_out(self, leaves: Tensor, answers: Array) -> float:
        """Mean loss over the leaves; fills the readout's gradients and what goes back to them."""
        p, g = self._parameters, self._gradients
        back = self._back[: len(leaves)]
        last = leaves
        if "decoder" in p:
            last = torch.addmm(p["decoder_bias"], leaves, p["decoder"].T).relu_()
        values = torch.addmm(p["readout_bias"], last, p["readout"].T)
        loss: float = _residual(values.numpy(), answers, self._mse)
        torch.mm(values.T, last, out=g["readout"])
        torch.sum(values, 0, out=g["readout_bias"])
        if "decoder" in p:
            pull = torch.mm(values, p["readout"]).mul_(last > 0)
            torch.mm(pull.T, leaves, out=g["decoder"])
            torch.sum(pull, 0, out=g["decoder_bias"])
            torch.mm(pull, p["decoder"], out=back)
        else:
            torch.mm(values, p["readout"], out=back)
        return loss


# fastmath lets the compiler vectorise; nothing here relies on NaN or the order of a sum.
_kernel: Any = nb.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})


@_kernel
def _grow(codes: Array, length: int, first: Array, parents: Array, symbols: Array) -> None:
    """The tree of increasing codes: level t lies at first[t] : first[t + 1]; the root is node 0.

    A node's parent is counted from its level's first node.
    """
    first[0], first[1] = 0, 1
    node = 1
    for level in range(1, length + 1):
        shift = length - level
        before = np.int64(-1)
        parent = -1
        for code in codes:
            prefix = code >> shift
            if prefix != before:
                if before < 0 or prefix >> 1 != before >> 1:
                    parent += 1
                parents[node], symbols[node] = parent, prefix & 1
                before = prefix
                node += 1
        first[level + 1] = node


@_kernel
def _spread(
    before: Array,
    parents: Array,
    symbols: Array,
    columns: Array,
    hidden: Array,
    start: int,
    end: int,
    relu: bool,
) -> None:
    for node in range(start, end):
        parent, symbol = parents[node], symbols[node]
        if relu:
            for m in range(hidden.shape[1]):
                z = before[parent, m] + columns[symbol, m]
                # NaN passes, so that a diverged network is seen to be one.
                hidden[node, m] = 0 if z < 0 else z
        else:
            for m in range(hidden.shape[1]):
                hidden[node, m] = before[parent, m] + columns[symbol, m]


@_kernel
def _collect(
    back: Array,
    hidden: Array,
    parents: Array,
    symbols: Array,
    sums: Array,
    to_columns: Array,
    above: int,
    start: int,
    end: int,
    tanh: bool,
) -> None:
    sums[above:start] = 0
    for node in range(start, end):
        parent, symbol, row = above + parents[node], symbols[node], node - start
        if tanh:
            for m in range(hidden.shape[1]):
                back[row, m] *= 1 - hidden[node, m] * hidden[node, m]
        else:
            for m in range(hidden.shape[1]):
                back[row, m] = back[row, m] if hidden[node, m] > 0 else 0
        # One sum after the other: a common loop would not vectorise.
        for m in range(hidden.shape[1]):
            sums[parent, m] += back[row, m]
        for m in range(hidden.shape[1]):
            to_columns[symbol, m] += back[row, m]


@nb.njit(cache=True, nogil=True)
def _residual(values: Array, answers: Array, mse: bool) -> float:
    """Mean loss; leaves its derivative by the outputs in their place."""
    n, classes = values.shape
    loss = 0.0
    for row in range(n):
        if mse:
            for j in range(classes):
                miss = values[row, j] - (1.0 if j == answers[row] else 0.0)
                loss += miss * miss / classes
                values[row, j] = 2.0 * miss / (n * classes)
            continue
        top = values[row].max()
        at_answer = values[row, answers[row]] - top
        total = 0.0
        for j in range(classes):
            values[row, j] = np.exp(values[row, j] - top)
            total += values[row, j]
        loss += np.log(total) - at_answer
        for j in range(classes):
            values[row, j] = (values[row, j] / total - (1.0 if j == answers[row] else 0.0)) / n
    return loss / n
