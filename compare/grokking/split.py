"""What a training set does to a network that is symmetric in x and y.

Pairs fall into three kinds: trained on; *mirrored*, not trained on while (y, x) is, so that the
answer comes with the symmetry; and *unseen*. Training pairs are *common* if their mirror image is
trained on too, so that the gradient counts them twice, *rare* if it is not, and *diagonal* if x = y
is their own mirror image.

Waves are orthogonal over all pairs. Over a part of them they are not, and a neuron of one frequency
feels forces at others: the missing pairs perturb the lottery.

Source: arXiv:2602.16849, section on grokking (Figures 15 and 16).
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets.tasks import check_pairs
from grokode.theory.fourier import check_modulus

__all__ = [
    "GROUPS",
    "KINDS",
    "broken_orthogonality",
    "free_accuracy",
    "pair_kinds",
]

Array = NDArray[Any]

KINDS = ("training", "mirrored", "unseen")
GROUPS = ("common", "rare", "diagonal")


def pair_kinds(p: int, train_pairs: ArrayLike) -> xr.Dataset:
    """Kind of every pair, and group of every training pair.

    Parameters
    ----------
    p : int
        Odd modulus.
    train_pairs : integers (n, 2)

    Returns
    -------
    Dataset over ``x, y``
        ``kind``, one of `KINDS`; ``group``, one of `GROUPS`, empty for pairs not trained on.

    Raises
    ------
    ValueError
        If p is even, or a pair is out of range.

    Examples
    --------
    >>> pairs = pair_kinds(3, [(0, 0), (0, 1), (1, 0), (1, 2)])
    >>> pairs.kind.values.tolist()[2]
    ['unseen', 'mirrored', 'unseen']
    >>> pairs.group.values.tolist()[1]
    ['common', '', 'rare']
    """
    trained = _mask(p, train_pairs)
    mirrored = trained.T
    kind = np.select([trained, mirrored], KINDS[:2], KINDS[2])
    diagonal = np.eye(p, dtype=bool)
    group = np.select([~trained, diagonal, mirrored], ["", "diagonal", "common"], "rare")
    axes = ("x", "y")
    return xr.Dataset(
        {
            "kind": (axes, kind, {"long_name": "kind of pair"}),
            "group": (axes, group, {"long_name": "group of training pair"}),
        },
        coords={"x": np.arange(p), "y": np.arange(p)},
        attrs={"p": p},
    )


def free_accuracy(p: int, train_pairs: ArrayLike, test_pairs: ArrayLike) -> dict[str, float]:
    """Test accuracy of a network that knows its training pairs and nothing else.

    Parameters
    ----------
    p : int
        Odd modulus.
    train_pairs, test_pairs : integers (n, 2)

    Returns
    -------
    dict of float
        ``mirrored``: part of the test pairs that are known from their mirror image (or trained on
        themselves); ``with_guesses``: the same with one in p of the unseen ones guessed rightly;
        ``random_split``: what ``mirrored`` is on average where n training pairs are drawn at
        random and all others tested, n / (p (p + 1)). NaN without test pairs.

    Notes
    -----
    A held-out pair is off the diagonal with probability (p - 1)/p, and its mirror image is then one
    of p^2 - 1 pairs of which n are trained on.

    Examples
    --------
    >>> train = [(0, 0), (0, 1), (1, 0), (1, 2)]
    >>> known = free_accuracy(3, train, [(1, 1), (2, 1), (2, 2)])
    >>> {name: round(value, 3) for name, value in known.items()}
    {'mirrored': 0.333, 'with_guesses': 0.556, 'random_split': 0.333}
    """
    trained = _mask(p, train_pairs)
    if not np.size(test_pairs):
        return dict.fromkeys(("mirrored", "with_guesses", "random_split"), np.nan)
    tested = check_pairs(test_pairs, p)
    free = float((trained | trained.T)[tuple(tested.T)].mean())
    return {
        "mirrored": free,
        "with_guesses": free + (1 - free) / p,
        "random_split": float(trained.sum()) / (p * (p + 1)),
    }


def broken_orthogonality(p: int, train_pairs: ArrayLike) -> xr.Dataset:
    """How far the missing pairs break the orthogonality of the waves.

    A quadratic neuron with the input wave cos(w_k x + phi) pulls its output weights by
    S[j] = sum over training pairs with x+y = j of (theta[x] + theta[y])^2. Over all pairs S is a
    wave of frequency k and a constant. Over a part of them it has waves of every frequency.

    Parameters
    ----------
    p : int
        Odd modulus.
    train_pairs : integers (n, 2)

    Returns
    -------
    Dataset
        ``coupling (frequency, onto)``: size of the wave ``onto`` in S over that of the neuron's
        own, each the root mean square over phi; 1 on the diagonal, and off it exactly 0 for all
        pairs.
        ``mass (frequency)``: sum over the others of its square. ``character_mass``: off-diagonal
        over diagonal sum of squares of the Gram matrix of all p^2 characters, summed over the
        training pairs; it is (p^2 - n)/n however the pairs are chosen.

    Raises
    ------
    ValueError
        If p is even, a pair is out of range, or there is none.

    Examples
    --------
    >>> pairs = [(x, y) for x in range(5) for y in range(5)]
    >>> float(broken_orthogonality(5, pairs).mass.max())
    0.0
    """
    trained = _mask(p, train_pairs)
    if not trained.any():
        raise ValueError("train_pairs must hold a pair; without any there is no force")
    frequencies = np.arange(1, (p + 1) // 2)
    # Sums over all pairs are known; only the missing ones are summed, so nothing missing is 0.
    x, y = np.nonzero(~trained)
    wave = np.exp(2j * np.pi / p * np.outer(frequencies, np.arange(p)))
    pair = wave[:, x] + wave[:, y]
    onto = np.exp(-2j * np.pi / p * np.outer((x + y) % p, frequencies))
    # (theta[x] + theta[y])^2 = (e^{2 i phi} pair^2 + its conjugate + 2 |pair|^2) / 4
    turning = 2 * p**2 * np.eye(len(frequencies)) - pair**2 @ onto
    counter, still = pair.conj() ** 2 @ onto, abs(pair) ** 2 @ onto
    squares = abs(turning) ** 2 + abs(counter) ** 2 + 4 * abs(still) ** 2
    own = np.diag(squares)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = squares / own
    others = np.where(np.eye(len(frequencies), dtype=bool), 0, relative)
    count = int(trained.sum())
    return xr.Dataset(
        {
            "coupling": (
                ("frequency", "onto"),
                np.sqrt(relative),
                {"long_name": "force at another frequency over the own"},
            ),
            "mass": ("frequency", others.sum(1), {"long_name": "squared coupling, summed"}),
            "character_mass": (p**2 - count) / count,
        },
        coords={"frequency": frequencies, "onto": frequencies},
        attrs={"p": p, "pairs": count},
    )


def _mask(p: int, pairs: ArrayLike) -> NDArray[np.bool_]:
    mask = np.zeros((check_modulus(p), p), dtype=bool)
    if np.size(pairs):
        mask[tuple(check_pairs(pairs, p).T)] = True
    return mask
