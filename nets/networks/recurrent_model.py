"""What recurrent networks compute, which sequences a step trains on, and the training loss."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.base import Objective, Parameters
from grokode.nets.networks.prefixes import TreeGradient
from grokode.nets.tasks.examples import Examples
from grokode.nets.tasks.sequences import SequenceTask, codes_of

if TYPE_CHECKING:
    from grokode.nets.networks.recurrent import Recurrent

__all__ = ["Batches", "Tree", "hidden_states", "objective", "read_out", "tree"]

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
    ends, order = [], []
    for position, (rows, nodes) in enumerate(shared.ends):
        ends.append(states[:, torch.from_numpy(nodes)])
        order.append(rows)
        if position < len(shared.levels):
            parents, symbols = (torch.from_numpy(v) for v in shared.levels[position])
            states = sigma((states @ recurrent.mT)[:, parents] + columns[:, symbols])
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(ends, dim=1)[:, torch.from_numpy(back)]


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
