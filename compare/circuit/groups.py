"""How much of the logits the structure of a group explains, whatever the group.

A network that answers products x y = z in a group may have logits that depend on x y and z alone,
on x y z^-1 alone, or on the conjugacy class of x y z^-1 alone: a sum of characters, which for
addition mod p is the sum of cos(w_k (x + y - z)).

Source: the last is what Chughtai, Chan and Nanda, arXiv:2302.03025, find in such networks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_shares", "nonzero_by_powers"]

Array = NDArray[np.float64]


def group_shares(logits: Array, table: NDArray[np.int64]) -> dict[str, float]:
    """Shares of the logits' variance, each at least as large as the next.

    Parameters
    ----------
    logits : array (x, y, z)
        Centred over z here, and over pairs.
    table : integers (x, y)
        The products; of a group.

    Returns
    -------
    dict
        ``product`` (a function of x y and z), ``quotient`` (of x y z^-1), ``character`` (of its
        conjugacy class).

    Raises
    ------
    ValueError
        If the table is not that of a group.

    Examples
    --------
    >>> table = np.add.outer(np.arange(4), np.arange(4)) % 4
    >>> group_shares(np.eye(4)[table], table)
    {'product': 1.0, 'quotient': 1.0, 'character': 1.0}
    """
    table = np.asarray(table)
    n = len(table)
    inverse = _inverse(table)
    centred = logits - logits.mean(-1, keepdims=True)
    centred = centred - centred.mean((0, 1))
    total = float(np.square(centred).sum())
    # Mean over all pairs of a product: (x y, z), then over all of a quotient.
    by_product = np.zeros((n, n))
    np.add.at(by_product, table, centred)
    by_product /= n
    quotient = table[np.arange(n)[:, None], inverse[None, :]]
    by_quotient = np.zeros(n)
    np.add.at(by_quotient, quotient, by_product)
    by_quotient /= n
    of_class = _classes(table, inverse)
    sizes = np.bincount(of_class)
    by_class = (np.bincount(of_class, by_quotient) / sizes)[of_class]
    shares = {
        "product": n * np.square(by_product).sum(),
        "quotient": n**2 * np.square(by_quotient).sum(),
        "character": n**2 * np.square(by_class).sum(),
    }
    return {name: float(value / total) if total else np.nan for name, value in shares.items()}


def nonzero_by_powers(values: NDArray[Any], axes: int = 3) -> NDArray[Any]:
    """What belongs to the residues but 0 on every axis, in the order of powers of a primitive root.

    Multiplication mod a prime p becomes addition mod p - 1 of the exponents.

    Parameters
    ----------
    values : array (p, ...)
    axes : int
        How many leading axes run over residues.

    Examples
    --------
    >>> nonzero_by_powers(np.arange(5), 1).tolist()
    [1, 2, 4, 3]
    """
    p = len(values)
    for root in range(1, p):
        powers = [pow(root, k, p) for k in range(p - 1)]
        if len(set(powers)) == p - 1 and 0 not in powers:
            return np.asarray(values[np.ix_(*[powers] * axes)])
    raise ValueError(f"p must be a prime for multiplication to be a group, got {p}")


def _inverse(table: NDArray[np.int64]) -> NDArray[np.int64]:
    n = len(table)
    residue = np.arange(n)
    neutral = np.flatnonzero((table == residue).all(1))
    if table.shape != (n, n) or len(neutral) != 1 or not (table[:, neutral[0]] == residue).all():
        raise ValueError("table must be that of a group, but it has no neutral element")
    x, inverse = np.nonzero(table == neutral[0])
    associative = (table[table] == table[residue[:, None, None], table]).all()
    if not np.array_equal(x, residue) or not associative:
        raise ValueError("table must be that of a group, but it has no inverses or brackets matter")
    return inverse


def _classes(table: NDArray[np.int64], inverse: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of every element's conjugacy class."""
    residue = np.arange(len(table))
    conjugates = table[table, inverse[:, None]]  # (g, h): g h g^-1
    least = conjugates.min(0)
    _, classes = np.unique(least[residue], return_inverse=True)
    return classes
