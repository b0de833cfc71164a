"""The automaton that clusters of states make: transitions, minimisation, and what it computes.

Minimisation is Moore's: states are told apart by their outputs, then again and again by where
their transitions lead. It takes as many rounds as the longest word that is needed to tell two
states apart, each a sort of all states, 2,000 in milliseconds; and it goes on where a library of
automata stops, at an output that is free.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grokode.compare.automata.clusters import Clusters

__all__ = ["Extracted", "Sequences", "classes_of", "equivalent", "extract", "minimal_states"]

Array = NDArray[Any]


class Sequences(NamedTuple):
    """The empty sequence and all others to a length, shorter ones first."""

    inputs: Array
    """Symbols (sequence, position), -1 after the end"""
    children: Array
    """The sequence with one more symbol (sequence, symbol), -1 beyond the length"""
    lengths: Array
    """Length of each (sequence,)"""

    @classmethod
    def up_to(cls, length: int) -> "Sequences":
        """All of them.

        Examples
        --------
        >>> Sequences.up_to(2).children.tolist()
        [[1, 2], [3, 4], [5, 6], [-1, -1], [-1, -1], [-1, -1], [-1, -1]]
        """
        from grokode.nets.tasks.sequences import all_sequences

        inputs = np.concatenate([np.full((1, length), -1, np.int8), all_sequences(length)])
        count = len(inputs)
        children = 2 * np.arange(count)[:, None] + [1, 2]
        children[children >= count] = -1
        return cls(inputs, children, (inputs >= 0).sum(1))


@dataclass(frozen=True)
class Extracted:
    """An automaton read off clusters.

    Parameters
    ----------
    transitions : integer array (state, symbol)
        -1 where no sequence goes on.
    outputs : integer array (state,)
        -1 for a start that only the empty sequence reaches: no training asks for its output.
    start : int
    conflicts : int
        Transitions that contradicted an earlier one; the last one stands.
    """

    transitions: Array
    outputs: Array
    start: int
    conflicts: int

    @property
    def finite(self) -> bool:
        """Whether every state has every transition, so that a sequence may go on for ever."""
        return bool((self.transitions >= 0).all())


def extract(clusters: Clusters, children: Array, answers: Array, conflicts: int = 0) -> Extracted:
    """The automaton of clusters of the states after all sequences to a length.

    Parameters
    ----------
    clusters : Clusters
        The empty sequence's state comes first.
    children : integer array (sequence, symbol)
        See `Sequences`.
    answers : integer array (sequence,)
        What the network answers after each sequence.
    conflicts : int
        To be kept with the result.

    Examples
    --------
    >>> every = Sequences.up_to(2)
    >>> odd = (every.inputs == 1).sum(1) % 2
    >>> machine = extract(Clusters(odd, np.array([0, 2])), every.children, odd)
    >>> machine.transitions.tolist(), machine.outputs.tolist(), machine.finite
    ([[0, 1], [1, 0]], [0, 1], True)
    """
    transitions = np.full((clusters.count, children.shape[1]), -1)
    states, symbols = np.nonzero(children >= 0)
    # In order, so the last one stands.
    transitions[clusters.of_state[states], symbols] = clusters.of_state[children[states, symbols]]
    first = clusters.first.copy()
    start = int(clusters.of_state[0])
    others = np.flatnonzero(clusters.of_state[1:] == start) + 1
    first[start] = others[0] if others.size else 0
    outputs = np.asarray(answers)[first].astype(np.int64)
    if not others.size:
        outputs[start] = -1
    return Extracted(transitions, outputs, start, conflicts)


def minimal_states(machine: Extracted) -> int:
    """States of the smallest automaton with the same answers.

    A free output at the start is chosen so that the fewest states result.

    Raises
    ------
    ValueError
        If the automaton is not finite.

    Examples
    --------
    >>> four = Extracted(np.array([[2, 1], [3, 0], [0, 3], [1, 2]]), np.array([0, 1, 0, 1]), 0, 0)
    >>> minimal_states(four)
    2
    """
    if not machine.finite:
        raise ValueError("machine must be finite to be minimised; its sequences end somewhere")
    seen = _reachable(machine)
    renumbered = np.full(len(machine.outputs), -1)
    renumbered[seen] = np.arange(len(seen))
    transitions, outputs = renumbered[machine.transitions[seen]], machine.outputs[seen]
    choices = [outputs]
    if (outputs < 0).any():
        choices = [np.where(outputs < 0, value, outputs) for value in (0, 1)]
    return min(int(classes_of(transitions, choice).max()) + 1 for choice in choices)


def classes_of(transitions: Array, outputs: Array) -> Array:
    """Classes of states that no word tells apart, numbered from 0: the smallest automaton's states.

    Parameters
    ----------
    transitions, outputs : integer arrays (state, symbol), (state,)

    Examples
    --------
    >>> classes_of(np.array([[2, 1], [3, 0], [0, 3], [1, 2]]), np.array([0, 1, 0, 1])).tolist()
    [0, 1, 0, 1]
    """
    classes = np.unique(outputs, return_inverse=True)[1]
    while True:
        rows = np.column_stack([classes, classes[transitions]])
        finer = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
        if finer.max() == classes.max():
            return classes
        classes = finer


def equivalent(machine: Extracted, transitions: Array, outputs: Array) -> bool:
    """Whether an automaton answers every non-empty sequence as another does that starts in state 0.

    Decided by walking both at once through every pair of states they can reach together; a missing
    transition met there is a difference.

    Parameters
    ----------
    machine : Extracted
    transitions, outputs : arrays (state, symbol), (state,)

    Examples
    --------
    >>> machine = Extracted(np.array([[0, 1], [1, 0]]), np.array([0, 1]), 0, 0)
    >>> equivalent(machine, np.array([[0, 1], [1, 0]]), np.array([0, 1]))
    True
    """
    transitions, outputs = np.asarray(transitions), np.asarray(outputs)
    seen: set[tuple[int, int]] = set()
    queue = [(machine.start, 0)]
    while queue:
        mine, other = queue.pop()
        for symbol in range(transitions.shape[1]):
            pair = int(machine.transitions[mine, symbol]), int(transitions[other, symbol])
            if pair in seen:
                continue
            # A free output belongs to a start that is not reached again.
            if pair[0] < 0 or machine.outputs[pair[0]] != outputs[pair[1]]:
                return False
            seen.add(pair)
            queue.append(pair)
    return True


def _reachable(machine: Extracted) -> Array:
    seen = {machine.start}
    queue = [machine.start]
    while queue:
        for following in machine.transitions[queue.pop()].tolist():
            if following not in seen:
                seen.add(following)
                queue.append(following)
    return np.array(sorted(seen))
