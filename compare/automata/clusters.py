"""Which hidden states count as one: clusters at a tolerance, and what they make of a sequence tree.

Two clusterings stand side by side. By leaders, as published: a state joins the first cluster whose
first member is within the tolerance, so the result hangs on the order of the states. By links: two
states are one if a chain of states leads from one to the other with no gap above the tolerance,
which no order changes.
"""

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Clusters",
    "count_conflicts",
    "leaders",
    "linked",
    "near_pairs",
    "squared_distances",
]

Array = NDArray[Any]


@dataclass(frozen=True)
class Clusters:
    """Clusters of states.

    Parameters
    ----------
    of_state : integer array (state,)
        The cluster of every state, numbered by first appearance.
    first : integer array (cluster,)
        The first state of every cluster.
    """

    of_state: Array
    first: Array

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.first)


def squared_distances(states: ArrayLike) -> Array:
    """Squared Euclidean distances (state, state) in float64.

    By one product of matrices: two states closer than 1e-8 of their length are told apart no more.

    Parameters
    ----------
    states : array (state, neuron)

    Raises
    ------
    ValueError
        If a state is not finite.

    Examples
    --------
    >>> squared_distances([[0.0, 0.0], [3.0, 4.0]]).tolist()
    [[0.0, 25.0], [25.0, 0.0]]
    """
    values = np.asarray(states, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(
            f"states must be finite numbers (state, neuron), got shape {values.shape}"
            f"{'' if np.isfinite(values).all() else ' with NaN or infinity: the seed diverged'}"
        )
    # About their mean, so that rounding is that of the differences.
    values = values - values.mean(0)
    squares = (values * values).sum(1)
    distances = values @ values.T
    distances *= -2
    distances += squares
    distances += squares[:, None]
    np.fill_diagonal(distances, 0)
    return np.maximum(distances, 0, out=distances)


def leaders(distances: Array, tolerance: float) -> Clusters:
    """Each state, in order, to the first cluster whose first member is within the tolerance.

    Parameters
    ----------
    distances : array (state, state)
        Squared.
    tolerance : float
        Positive.

    Examples
    --------
    >>> d = squared_distances([[0.0], [0.6], [1.2]])
    >>> leaders(d, 1.0).of_state.tolist(), linked(d, 1.0).of_state.tolist()
    ([0, 0, 1], [0, 0, 0])
    """
    return Clusters(*_leaders(np.asarray(distances), _positive(tolerance) ** 2))


def linked(distances: Array, tolerance: float) -> Clusters:
    """States connected by chains of states with gaps within the tolerance; see `leaders`."""
    return Clusters(*_linked(np.asarray(distances), _positive(tolerance) ** 2))


def near_pairs(distances: Array, tolerance: float, labels: Array) -> tuple[int, int]:
    """How many pairs lie within the tolerance: of one label, and of two.

    Examples
    --------
    >>> near_pairs(squared_distances([[0.0], [0.5], [0.6]]), 0.55, np.array([0, 0, 1]))
    (1, 1)
    """
    same, other = _near_pairs(distances, _positive(tolerance) ** 2, np.asarray(labels))
    return int(same), int(other)


def count_conflicts(clusters: Clusters, children: Array) -> int:
    """How many transitions contradict the first one that a state of the same cluster makes.

    Parameters
    ----------
    clusters : Clusters
    children : integer array (state, symbol)
        The state after one more symbol, -1 where it is not among the states.

    Examples
    --------
    >>> count_conflicts(Clusters(np.array([0, 0, 1]), np.array([0, 2])), np.array([[1], [2], [-1]]))
    1
    """
    states, symbols = np.nonzero(children >= 0)
    source = clusters.of_state[states] * children.shape[1] + symbols
    target = clusters.of_state[children[states, symbols]]
    first: dict[int, int] = {}
    return sum(
        first.setdefault(a, b) != b for a, b in zip(source.tolist(), target.tolist(), strict=True)
    )


def _positive(tolerance: float) -> float:
    if not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance must be positive and finite, got {tolerance}")
    return tolerance


@nb.njit(cache=True)
def _leaders(distances: Array, tolerance2: float) -> tuple[Array, Array]:
    count = len(distances)
    of_state = np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    clusters = 0
    for state in range(count):
        of_state[state] = -1
        for cluster in range(clusters):
            if distances[state, first[cluster]] <= tolerance2:
                of_state[state] = cluster
                break
        if of_state[state] < 0:
            of_state[state] = clusters
            first[clusters] = state
            clusters += 1
    return of_state, first[:clusters].copy()


@nb.njit(cache=True)
def _linked(distances: Array, tolerance2: float) -> tuple[Array, Array]:
    count = len(distances)
    # Trees of states; a root is the earliest state of its tree.
    root = np.arange(count)
    for state in range(count):
        for other in range(state):
            if distances[state, other] <= tolerance2:
                a, b = state, other
                while root[a] != a:
                    root[a] = root[root[a]]
                    a = root[a]
                while root[b] != b:
                    root[b] = root[root[b]]
                    b = root[b]
                if a < b:
                    root[b] = a
                else:
                    root[a] = b
    of_state = np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    clusters = 0
    for state in range(count):
        if root[state] == state:
            of_state[state] = clusters
            first[clusters] = state
            clusters += 1
        else:
            # A root comes before its states, so the parent has its number.
            of_state[state] = of_state[root[state]]
    return of_state, first[:clusters].copy()


@nb.njit(cache=True)
def _near_pairs(distances: Array, tolerance2: float, labels: Array) -> tuple[int, int]:
    same, other = 0, 0
    for state in range(len(distances)):
        for before in range(state):
            if distances[state, before] <= tolerance2:
                if labels[state] == labels[before]:
                    same += 1
                else:
                    other += 1
    return same, other
