"""Pairs of sequences: what the theory of mergers needs to know of them, from a network's weights.

Two sequences x1 and x2 with hidden states h1 and h2; the continuations s of both that are trained
on; d = h2 - h1, dy_s the difference of the network's outputs after x2 s and x1 s, ytilde_s that of
the right ones, and D_s the derivative of the output after s by the state, halfway between the two.
Sequences are numbered as in `grokode.compare.automata.machines.Sequences`: the one with symbol a
more than i is 2 i + 1 + a.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grokode.compare.automata.machines import Sequences

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.networks import Recurrent

__all__ = ["Pairs", "continuations", "grams", "responses", "sample_pairs"]

Array = NDArray[Any]


class Pairs(NamedTuple):
    """Some pairs of sequences."""

    first: Array
    """Number of the first sequence (pair,), the shorter one"""
    second: Array
    """Number of the second (pair,)"""
    agreeing: Array
    """Whether both have the same answer whatever follows (pair,)"""


def sample_pairs(states: Array, sequences: Sequences, per_cell: int, seed: int) -> Pairs:
    """Up to `per_cell` agreeing and as many other pairs for every two lengths.

    Parameters
    ----------
    states : integer array (sequence,)
        State of the task's smallest automaton after each sequence: pairs with one state agree.
    sequences : Sequences
    per_cell : int
    seed : int

    Examples
    --------
    >>> every = Sequences.up_to(3)
    >>> pairs = sample_pairs((every.inputs == 1).sum(1) % 2, every, 2, seed=0)
    >>> len(pairs.first), int(pairs.agreeing.sum())
    (21, 10)
    """
    rng = np.random.default_rng((seed, 8))
    top = int(sequences.lengths.max())
    chosen = []
    for shorter in range(1, top + 1):
        a = np.flatnonzero(sequences.lengths == shorter)
        for longer in range(shorter, top + 1):
            b = np.flatnonzero(sequences.lengths == longer)
            # Enough draws to meet both kinds; a cell that has few pairs gives what it has.
            drawn = np.stack([rng.choice(a, 40 * per_cell), rng.choice(b, 40 * per_cell)])
            drawn = np.unique(np.sort(drawn[:, drawn[0] != drawn[1]], axis=0), axis=1)
            drawn = rng.permutation(drawn, axis=1)
            agree = states[drawn[0]] == states[drawn[1]]
            for kind in (True, False):
                chosen.append(drawn[:, agree == kind][:, :per_cell])
    first, second = np.concatenate(chosen, axis=1)
    return Pairs(first, second, states[first] == states[second])


def continuations(number: int, depth: int) -> Array:
    """Numbers of a sequence and of all that continue it by up to `depth` symbols, shorter first.

    Examples
    --------
    >>> continuations(1, 1).tolist(), continuations(2, 1).tolist()
    ([1, 3, 4], [2, 5, 6])
    """
    return np.concatenate(
        [(number + 1) * 2**k - 1 + np.arange(2**k, dtype=np.int64) for k in range(depth + 1)]
    )


def responses(
    pairs: Pairs,
    states: Array,
    outputs: Array,
    answers: Array,
    trained: Array,
    sequences: Sequences,
) -> dict[str, Array]:
    """The variables of the pair flow, from hidden states and outputs after all sequences.

    Parameters
    ----------
    pairs : Pairs
    states : array (sequence, neuron)
    outputs : array (sequence, class)
    answers : array (sequence, class)
        The right outputs, one-hot.
    trained : bool array (sequence,)
        A continuation counts if both sequences with it are trained on.
    sequences : Sequences

    Returns
    -------
    dict of array (pair,)
        ``N`` continuations, ``x`` = |d|^2, ``P`` = <|dy|^2>, ``c`` = <dy . ytilde> / |d|, ``Y`` =
        <|ytilde|^2>, as in `grokode.theory.mergers`; NaN where N = 0.
    """
    top = int(sequences.lengths.max())
    columns: dict[str, list[float]] = {name: [] for name in ("N", "x", "P", "c", "Y")}
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        depth = top - int(sequences.lengths[second])
        one, two = continuations(first, depth), continuations(second, depth)
        both = trained[one] & trained[two]
        one, two = one[both], two[both]
        dy = outputs[two].astype(np.float64) - outputs[one]
        target = answers[two].astype(np.float64) - answers[one]
        d = states[second].astype(np.float64) - states[first]
        x = d @ d
        count = max(len(one), 1) if len(one) else np.nan
        columns["N"].append(len(one))
        columns["x"].append(x)
        columns["P"].append((dy * dy).sum() / count)
        columns["c"].append((dy * target).sum() / count / np.sqrt(x) if x else np.nan)
        columns["Y"].append((target * target).sum() / count)
    return {name: np.array(values) for name, values in columns.items()}


def grams(
    network: "Recurrent",
    parameters: "Mapping[str, Tensor]",
    pairs: Pairs,
    states: Array,
    trained: Array,
    sequences: Sequences,
) -> Array:
    """<D_s^T D_s> (pair, neuron, neuron) over the continuations, at the middle of each pair.

    Derivatives are followed backwards through the tree of continuations, all those below a length
    at once.

    Parameters
    ----------
    network : Recurrent
    parameters : dict of Tensor (1, *shape)
        Of one seed.
    pairs, states, trained, sequences
        As `responses`.
    """
    result = np.empty((len(pairs.first), network.neurons, network.neurons))
    top = int(sequences.lengths.max())
    for row, (first, second) in enumerate(
        zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ):
        depth = top - int(sequences.lengths[second])
        both = trained[continuations(first, depth)] & trained[continuations(second, depth)]
        middle = 0.5 * (states[first].astype(np.float64) + states[second])
        rows = _derivatives(network, parameters, middle, depth)[both]
        flat = rows.reshape(-1, network.neurons)
        result[row] = flat.T @ flat / max(int(both.sum()), 1)
    return result


def _derivatives(
    network: "Recurrent", parameters: "Mapping[str, Tensor]", state: Array, depth: int
) -> Array:
    """Derivative (continuation, class, neuron) of the outputs after all continuations."""
    p = {name: value[0].double().numpy(force=True) for name, value in parameters.items()}
    columns = p["input"].T + p["input_bias"] + p["recurrent_bias"]
    levels = [state[None]]
    for _ in range(depth):
        before = levels[-1] @ p["recurrent"].T
        after = (before[:, None] + columns).reshape(-1, network.neurons)
        levels.append(np.maximum(after, 0) if network.activation == "relu" else np.tanh(after))
    slopes = [
        (level > 0).astype(np.float64) if network.activation == "relu" else 1 - level**2
        for level in levels
    ]
    # From the longest continuations on: what lies below a length moves up one symbol together.
    below = np.empty((0, *p["readout"].shape[:1], network.neurons))
    for k in range(depth, -1, -1):
        here = _readout_slopes(p, levels[k])
        if k < depth:
            counts = 2 ** np.arange(1, depth - k + 1)
            at = np.concatenate([np.repeat(np.arange(2 ** (k + 1)), c // 2) for c in counts])
            below = (below * slopes[k + 1][at][:, None]) @ p["recurrent"]
        below = _joined(here, below, k, depth)
    return below


def _joined(here: Array, below: Array, k: int, depth: int) -> Array:
    """Derivatives after k symbols and those after more, by length."""
    return np.concatenate([here, below]) if k < depth else here


def _readout_slopes(p: Mapping[str, Array], states: Array) -> Array:
    """Derivative of the outputs by the state they are read from, (state, class, neuron)."""
    if "decoder" not in p:
        return np.broadcast_to(p["readout"], (len(states), *p["readout"].shape))
    active = (states @ p["decoder"].T + p["decoder_bias"]) > 0
    return (p["readout"] * active[:, None]) @ p["decoder"]
