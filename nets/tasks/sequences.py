"""Tasks on sequences of zeros and ones: inputs, splits and losses; the answers are a machine's."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from grokode.nets.records import check_least
from grokode.nets.tasks.machines import Machine

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.tasks.base import Criterion
    from grokode.nets.tasks.examples import Examples

__all__ = ["SequenceTask", "all_sequences", "codes_of", "random_sequences"]

Array = NDArray[Any]

_LONGEST = 20
"""Of training sequences: there are two million up to this length."""


def all_sequences(length: int) -> Array:
    """Every sequence of 1 to `length` symbols (2^(length + 1) - 2, length), shorter ones first.

    Within a length in lexicographic order; -1 after the end.

    Examples
    --------
    >>> all_sequences(2).tolist()
    [[0, -1], [1, -1], [0, 0], [0, 1], [1, 0], [1, 1]]
    """
    parts = []
    for n in range(1, length + 1):
        part = np.full((2**n, length), -1, dtype=np.int8)
        part[:, :n] = np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1) & 1
        parts.append(part)
    return np.concatenate(parts)


def random_sequences(count: int, length: int, seed: int) -> Array:
    """Uniformly random sequences (count, length).

    Examples
    --------
    >>> random_sequences(2, 5, seed=0).shape
    (2, 5)
    """
    rng = np.random.default_rng((seed, 6, length))
    return rng.integers(2, size=(count, length), dtype=np.int8)


def codes_of(inputs: Array) -> list[tuple[Array, Array]]:
    """Per length 1, 2, ...: which sequences have it, and their codes as binary numbers.

    Examples
    --------
    >>> [codes.tolist() for rows, codes in codes_of(all_sequences(2))]
    [[0, 1], [0, 1, 2, 3]]
    """
    lengths = (inputs >= 0).sum(1)
    parts = []
    for n in range(1, inputs.shape[1] + 1):
        rows = np.flatnonzero(lengths == n)
        powers = 2 ** np.arange(n - 1, -1, -1, dtype=np.int64)
        parts.append((rows, inputs[rows, :n].astype(np.int64) @ powers))
    return parts


@dataclass(frozen=True)
class SequenceTask:
    """What tasks on sequences share; see `grokode.nets.tasks.parity.Parity`."""

    length: int = 10
    train_fraction: float = 1.0
    batch: int = 128
    loss: Literal["mse", "cross_entropy"] = "mse"
    test_sequences: int = 100
    test_length: int = 50

    def __post_init__(self) -> None:
        check_least(self, 1, "length", "batch", "test_sequences", "test_length")
        if self.length > _LONGEST:
            raise ValueError(
                f"length must be at most {_LONGEST}, as all 2^(length + 1) sequences are kept, got "
                f"{self.length}"
            )
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must be in (0, 1], got {self.train_fraction}")

    def machine(self, seed: int) -> Machine:
        """The automaton that has the answers."""
        raise NotImplementedError

    @property
    def classes(self) -> int:
        """Outputs of the machine."""
        return 2

    @property
    def inputs(self) -> Array:
        """All sequences up to the length, then the test sequences (example, position).

        -1 after the end.
        """
        return _inputs(self.length, self.test_sequences, self.test_length)

    @property
    def grid(self) -> dict[str, int]:
        """None."""
        return {}

    @property
    def mirror(self) -> None:
        """None: the order of symbols matters."""
        return None

    def answers(self, seed: int) -> Array:
        """The machine's output for every sequence."""
        return self.machine(seed).run(self.inputs)

    def split(self, seed: int) -> tuple[Array, Array]:
        """Training and test sequences, as indices into `inputs`.

        Raises
        ------
        ValueError
            If the fraction leaves nothing to train on.
        """
        count = 2 ** (self.length + 1) - 2
        test = np.arange(count, count + self.test_sequences)
        if self.train_fraction == 1:
            return np.arange(count), test
        # How many is drawn once for all seeds, so that their sets are of one size and lie side by
        # side in a run; which ones is each seed's own draw.
        sizes, rng = np.random.default_rng(7), np.random.default_rng((seed, 7))
        chosen = []
        for n in range(1, self.length + 1):
            kept = sizes.binomial(2**n, self.train_fraction)
            chosen.append(2**n - 2 + np.sort(rng.permutation(2**n)[:kept]))
        train = np.concatenate(chosen)
        if not train.size:
            raise ValueError(f"train_fraction {self.train_fraction} leaves no sequence; raise it")
        return train, test

    def epoch(self, seed: int) -> int:
        """Steps in which every training sequence is seen once."""
        train, _ = self.split(seed)
        lengths = (self.inputs[train] >= 0).sum(1)
        return int(sum(-(-count // self.batch) for count in np.bincount(lengths)))

    def criterion(self, examples: "Examples") -> "Criterion":
        """The loss over all examples at once."""
        import torch

        from grokode.nets.tasks.examples import CrossEntropy
        from grokode.nets.tasks.squares import SquaredError

        if self.loss == "mse":
            return SquaredError(examples)
        return CrossEntropy(examples, torch.float64)

    def evaluate(self, values: "Tensor", examples: "Examples") -> "tuple[Tensor, Tensor]":
        """Mean loss and accuracy."""
        from grokode.nets.tasks.examples import evaluate_classes
        from grokode.nets.tasks.squares import SquaredError

        loss, accuracy = evaluate_classes(values, examples)
        if self.loss == "mse":
            _, loss = SquaredError(examples)(values.double())
        return loss, accuracy


@lru_cache(maxsize=4)
def _inputs(length: int, test_sequences: int, test_length: int) -> Array:
    every = all_sequences(length)
    inputs = np.full((len(every) + test_sequences, max(length, test_length)), -1)
    inputs[: len(every), :length] = every
    inputs[len(every) :, :test_length] = random_sequences(test_sequences, test_length, seed=0)
    inputs.flags.writeable = False
    return inputs
