"""What recurrent networks compute, and the gradient of a minibatch written out over its prefixes.

Sequences of a batch share beginnings, and two equal beginnings have one hidden state: a batch is a
tree, with a node for every prefix that some of its sequences have. A batch of 128 out of the 1024
sequences of length 10 has 429 inner nodes in place of 1280 states, and the step costs as much less.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.base import Objective, Parameters
from grokode.nets.tasks.examples import Examples
from grokode.nets.tasks.sequences import SequenceTask, codes_of

if TYPE_CHECKING:
    from grokode.nets.networks.recurrent import Recurrent

__all__ = ["Batches", "Tree", "TreeGradient", "hidden_states", "objective", "read_out", "tree"]

Array = NDArray[Any]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}
"""Of the hidden layer; both have a slope that follows from the value, which is all that is kept."""


class Tree(NamedTuple):
    """The prefixes of some sequences, by length."""

    levels: list[tuple[Array, Array]]
    """For lengths 1, 2, ...: per node the index of its parent in the level above, and its symbol"""
    ends: list[tuple[Array, Array]]
    """For lengths 0, 1, ...: the sequences that end there, and the nodes at which they do"""


def tree(inputs: Array) -> Tree:
    """The tree of padded sequences.

    Parameters
    ----------
    inputs : integers (example, position)
        Symbols, -1 after the end.

    Examples
    --------
    >>> shared = tree(np.array([[0, 1], [0, -1], [0, 0]]))
    >>> [len(parents) for parents, symbols in shared.levels]
    [1, 2]
    """
    return _tree(inputs.tobytes(), inputs.shape, inputs.dtype.str)


@lru_cache(maxsize=8)
def _tree(data: bytes, shape: tuple[int, int], dtype: str) -> Tree:
    inputs = np.frombuffer(data, dtype).reshape(shape)
    lengths = (inputs >= 0).sum(1)
    node = np.zeros(len(inputs), dtype=np.int64)
    levels, ends = [], []
    for position in range(shape[1] + 1):
        over = np.flatnonzero(lengths == position)
        ends.append((over, node[over]))
        going = np.flatnonzero(lengths > position)
        if not going.size:
            break
        symbols = inputs[:, position].astype(np.int64)
        most = int(symbols.max()) + 1
        keys, at = np.unique(node[going] * most + symbols[going], return_inverse=True)
        levels.append((keys // most, keys % most))
        node[going] = at
    return Tree(levels, ends)


def hidden_states(parameters: Parameters, inputs: Array, activation: str) -> Tensor:
    """Hidden states (seed, example, neuron) after each sequence, in operations autograd follows.

    Parameters
    ----------
    parameters : dict of Tensor (seed, *shape)
        See `grokode.nets.networks.recurrent.Recurrent`.
    inputs : integers (example, position)
        Symbols, -1 after the end.
    activation : {"relu", "tanh"}
    """
    sigma = ACTIVATIONS[activation]
    recurrent, bias = parameters["recurrent"], parameters["recurrent_bias"]
    columns = parameters["input"].mT + (parameters["input_bias"] + bias)[:, None]
    shared = tree(inputs)
    states = recurrent.new_ones(len(recurrent), 1, recurrent.shape[-1])
    found, order = [], []
    for position, (rows, nodes) in enumerate(shared.ends):
        found.append(states[:, torch.from_numpy(nodes)])
        order.append(rows)
        if position < len(shared.levels):
            parents, symbols = (torch.from_numpy(v) for v in shared.levels[position])
            states = sigma((states @ recurrent.mT)[:, parents] + columns[:, symbols])
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(found, dim=1)[:, torch.from_numpy(back)]


def read_out(parameters: Parameters, states: Tensor) -> Tensor:
    """Outputs (seed, example, class) of hidden states (seed, example, neuron)."""
    if "decoder" in parameters:
        states = (states @ parameters["decoder"].mT + parameters["decoder_bias"][:, None]).relu()
    return states @ parameters["readout"].mT + parameters["readout_bias"][:, None]


def objective(
    network: "Recurrent",
    task: SequenceTask,
    examples: Examples,
    parameters: Parameters,
    gradients: Parameters,
    seeds: Sequence[int],
) -> Objective:
    """The loss over a step's batch of every seed; see `Network.objective`."""
    parts = codes_of(examples.inputs)[: task.length]
    counts, answers = examples.counts.numpy(force=True), examples.answers.numpy(force=True)
    batches, right = [], []
    for row, seed in enumerate(seeds):
        # Answers by code, so that a batch of codes finds its own.
        right.append([np.zeros(2**n, np.int64) for n in range(1, len(parts) + 1)])
        for table, (rows, codes) in zip(right[-1], parts, strict=True):
            table[codes] = answers[row, rows]
        trained_on = [np.sort(codes[counts[row, rows] > 0]) for rows, codes in parts]
        batches.append(Batches(trained_on, task.batch, seed))
    if parameters["recurrent"].device.type != "cpu":
        return _ByAutograd(network, task, parameters, gradients, batches, right)
    steps = [
        TreeGradient(
            {name: value[row] for name, value in parameters.items()},
            {name: value[row] for name, value in gradients.items()},
            network.activation,
            task.loss,
            task.batch,
            task.length,
        )
        for row in range(len(seeds))
    ]

    def loss(step: int) -> Tensor:
        losses = []
        for gradient, of_seed, table in zip(steps, batches, right, strict=True):
            codes, length = of_seed(step)
            losses.append(gradient(codes, length, table[length - 1][codes]))
        return torch.tensor(losses, dtype=torch.float64)

    return loss


class _ByAutograd:
    """The same by autograd, one seed after the other, on any device."""

    def __init__(
        self,
        network: "Recurrent",
        task: SequenceTask,
        parameters: Parameters,
        gradients: Parameters,
        batches: "list[Batches]",
        right: list[list[Array]],
    ) -> None:
        self._network, self._task = network, task
        self._parameters, self._gradients = parameters, gradients
        self._batches, self._right = batches, right

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) of the step's batches; fills the gradients."""
        losses = []
        for row, (of_seed, table) in enumerate(zip(self._batches, self._right, strict=True)):
            codes, length = of_seed(step)
            inputs = (codes[:, None] >> np.arange(length - 1, -1, -1) & 1).astype(np.int8)
            leaves = {
                name: value[row : row + 1].detach().requires_grad_()
                for name, value in self._parameters.items()
            }
            with torch.enable_grad():
                values = self._network.outputs(leaves, inputs)
            answers = torch.tensor(table[length - 1][codes][None], device=values.device)
            criterion = self._task.criterion(
                Examples(inputs, answers, torch.ones_like(answers, dtype=values.dtype))
            )
            residual, loss = criterion(values.detach())
            back = torch.autograd.grad(values, list(leaves.values()), residual)
            for name, value in zip(leaves, back, strict=True):
                self._gradients[name][row] = value[0]
            losses.append(loss.double())
        return torch.cat(losses)


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
        self._parameters, self._gradients = parameters, gradients
        recurrent = parameters["recurrent"]
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
        first = np.empty(length + 2, np.int64)
        parents, symbols = np.empty(self._most, np.int32), np.empty(self._most, np.int8)
        _grow(codes, length, first, parents, symbols)
        bounds = first.tolist()
        self._forward(bounds, parents, symbols)
        leaves = self._hidden[bounds[-2] : bounds[-1]]
        loss = self._read_out(leaves, answers)
        self._backward(bounds, parents, symbols)
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
_kernel: Any = nb.njit(cache=True, fastmath={"contract", "reassoc"})


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


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
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


class Batches:
    """Which sequences a seed trains on at which step: lengths ascending, each in random batches.

    An epoch goes through every length from the shortest on, in batches drawn without replacement;
    a length that fits one batch is a single one, whole. Drawn anew from seed and epoch, so that a
    resumed training sees the same.

    Parameters
    ----------
    codes : sequence of int64 arrays
        For lengths 1, 2, ... the sequences trained on, as binary numbers, increasing.
    batch : int
    seed : int
    """

    def __init__(self, codes: Sequence[Array], batch: int, seed: int) -> None:
        self._codes, self._batch, self._seed = codes, batch, seed
        self._plan = [
            (length, start)
            for length, of_length in enumerate(codes, 1)
            for start in range(0, len(of_length), batch)
        ]
        self._epoch = -1
        self._order: dict[int, Array] = {}

    def __call__(self, step: int) -> tuple[Array, int]:
        """Codes, increasing, and their length."""
        epoch, place = divmod(step, len(self._plan))
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, 4, epoch))
            self._order = {
                length: rng.permutation(of_length)
                for length, of_length in enumerate(self._codes, 1)
                if len(of_length) > self._batch
            }
            self._epoch = epoch
        length, start = self._plan[place]
        if length not in self._order:
            return self._codes[length - 1], length
        return np.sort(self._order[length][start : start + self._batch]), length
