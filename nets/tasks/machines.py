"""Finite automata over two symbols: the machine that has a task's answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARITY", "Machine", "random_machine"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Machine:
    """A finite automaton that starts in state 0 and answers with the output of its last state.

    Parameters
    ----------
    transitions : tuple of (int, int)
        For every state the next one at symbol 0 and at symbol 1.
    outputs : tuple of int
        0 or 1 for every state.

    Raises
    ------
    ValueError
        If the tables do not fit each other.

    Examples
    --------
    >>> PARITY.run(np.array([[1, 0, 1], [1, 1, 1], [1, -1, -1]])).tolist()
    [0, 1, 1]
    """

    transitions: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        states = range(len(self.outputs))
        if len(self.transitions) != len(self.outputs) or not self.outputs:
            raise ValueError(
                f"transitions must have a row for each output, got {len(self.transitions)} rows "
                f"for {len(self.outputs)}"
            )
        if any(len(row) != 2 or not all(s in states for s in row) for row in self.transitions):
            raise ValueError(f"transitions must name states in 0..{len(states) - 1}, two to a row")

    def states(self, inputs: Array) -> Array:
        """The state after each sequence (example,).

        Parameters
        ----------
        inputs : integers (example, position)
            Symbols, -1 after the end.
        """
        table = np.asarray(self.transitions)
        at = np.zeros(len(inputs), dtype=np.int64)
        for symbols in np.asarray(inputs).T:
            at = np.where(symbols < 0, at, table[at, symbols])
        return at

    def run(self, inputs: Array) -> Array:
        """The output after each sequence (example,)."""
        return np.asarray(self.outputs)[self.states(inputs)]


PARITY = Machine(((0, 1), (1, 0)), (0, 1))
"""Whether the number of ones so far is odd."""


def random_machine(states: int, new_state: float, seed: int) -> Machine:
    """A random automaton grown from state 0.

    Every open transition leads to a new state with probability `new_state`, as long as there are
    fewer than `states`, and else to one that is there; outputs are drawn from 0 and 1, not all
    alike.

    Parameters
    ----------
    states : int
        At most.
    new_state : float
    seed : int

    Examples
    --------
    >>> machine = random_machine(7, 0.75, seed=3)
    >>> 1 < len(machine.outputs) <= 7
    True
    """
    rng = np.random.default_rng((seed, 5))
    while True:
        rows: list[tuple[int, int]] = []
        count = 1
        while len(rows) < count:
            row = []
            for _ in range(2):
                if count < states and rng.random() < new_state:
                    row.append(count)
                    count += 1
                else:
                    row.append(int(rng.integers(count)))
            rows.append((row[0], row[1]))
        outputs = rng.integers(2, size=count).tolist()
        if 0 < sum(outputs) < count:
            return Machine(tuple(rows), tuple(outputs))
