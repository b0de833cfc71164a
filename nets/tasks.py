"""The task: addition mod p, on all pairs or a seeded part of them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokode.theory.fourier import check_modulus

__all__ = ["all_pairs", "answers", "check_pairs", "complement", "split_pairs"]

Pairs = NDArray[np.int64]


def all_pairs(p: int) -> Pairs:
    """All ordered pairs (x, y) of residues, shape (p^2, 2), x outermost.

    Examples
    --------
    >>> all_pairs(3)[:4].tolist()
    [[0, 0], [0, 1], [0, 2], [1, 0]]
    """
    residues = np.arange(check_modulus(p))
    return np.stack(np.meshgrid(residues, residues, indexing="ij"), axis=-1).reshape(-1, 2)


def split_pairs(p: int, fraction: float, seed: int) -> tuple[Pairs, Pairs]:
    """Training and test pairs, drawn without replacement by a generator of its own.

    Parameters
    ----------
    p : int
        Odd modulus.
    fraction : float
        In (0, 1]; the number of training pairs is fraction * p^2, rounded down. At 1 the test pairs
        are empty.
    seed : int

    Returns
    -------
    train, test : arrays (n, 2), each sorted

    Raises
    ------
    ValueError
        If the fraction is outside (0, 1] or leaves no training pair.

    Examples
    --------
    >>> train, test = split_pairs(23, 0.75, seed=0)
    >>> len(train), len(test)
    (396, 133)
    """
    pairs = all_pairs(p)
    if not 0 < fraction <= 1:
        raise ValueError(f"train_fraction must be in (0, 1], got {fraction}")
    count = int(fraction * len(pairs))
    if count == 0:
        raise ValueError(f"train_fraction {fraction} leaves no pair of {len(pairs)}; raise it")
    order = np.random.default_rng(seed).permutation(len(pairs))
    return pairs[np.sort(order[:count])], pairs[np.sort(order[count:])]


def answers(pairs: ArrayLike, p: int) -> NDArray[Any]:
    """The right output (x + y) mod p of each pair (n, 2).

    Examples
    --------
    >>> answers([[3, 7], [20, 5]], 23).tolist()
    [10, 2]
    """
    return np.asarray(pairs).sum(-1) % p


def check_pairs(pairs: ArrayLike, p: int) -> Pairs:
    """Pairs as an int64 array (n, 2), or a ValueError that says what is wrong with them.

    Examples
    --------
    >>> check_pairs([(4, 1), (16, 21)], 23).shape
    (2, 2)
    """
    values = np.asarray(pairs)
    if values.ndim != 2 or values.shape[1] != 2 or values.dtype.kind not in "iu":
        raise ValueError(
            f"pairs must be integers of shape (n, 2), got {values.dtype} of shape {values.shape}"
        )
    if values.size and not (values.min() >= 0 and values.max() < p):
        raise ValueError(f"pairs must lie in 0..{p - 1}, got {values.min()}..{values.max()}")
    return values.astype(np.int64)


def complement(train: ArrayLike, p: int) -> tuple[Pairs, Pairs]:
    """The given training pairs, checked, and all other pairs as the test set.

    Examples
    --------
    >>> train, test = complement([(0, 0), (1, 2)], 3)
    >>> len(train), len(test)
    (2, 7)
    """
    pairs = check_pairs(train, p)
    if not len(pairs):
        raise ValueError("train_pairs must name at least one pair, got none")
    held_out = np.ones((p, p), dtype=bool)
    held_out[tuple(pairs.T)] = False
    return pairs, np.argwhere(held_out)
