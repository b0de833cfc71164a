"""An operation mod p on two residues, on all pairs or a seeded part of them."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokode.nets.records import check_choice, check_whole
from grokode.theory.modulus import check_modulus

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.tasks.base import Criterion
    from grokode.nets.tasks.examples import Examples

__all__ = [
    "OPERATIONS",
    "Modular",
    "Operation",
    "all_pairs",
    "check_pairs",
    "complement",
    "shuffled",
    "split_pairs",
    "table",
]

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Operation:
    """An operation on two residues.

    Parameters
    ----------
    answer : function (x, y, p, seed) -> answers mod p, for whole arrays of x and y
    symmetric : bool
        Whether the answer stays when x and y change places.
    """

    answer: Callable[[Pairs, Pairs, int, int], Pairs]
    symmetric: bool = True


OPERATIONS = {
    "addition": Operation(lambda x, y, p, seed: x + y),
    "subtraction": Operation(lambda x, y, p, seed: x - y, symmetric=False),
    "multiplication": Operation(lambda x, y, p, seed: x * y),
    "quadratic_form": Operation(lambda x, y, p, seed: x * x + x * y + y * y),
    "random": Operation(
        lambda x, y, p, seed: np.random.default_rng((seed, 2)).integers(p, size=(p, p))[x, y],
        symmetric=False,
    ),
}


@dataclass(frozen=True)
class Modular:
    """An operation mod p, learned from pairs (x, y) by the cross-entropy.

    Parameters
    ----------
    p : int
        Odd modulus.
    task : str
        The operation; quadratic_form is x^2 + x y + y^2, random a table without structure.
    train_fraction : float
        Part of the pairs trained on, in (0, 1]; the rest is the test set.
    loss : {"mean", "sum"}
        What the optimiser descends, over the training pairs. Logged losses are always means.
    loss_dtype : {"float32", "float64"}
        Number format of softmax and loss.
    shuffle : {"numpy", "python"}
        What splits the pairs: a permutation of numpy's generator, or Python's ``random.shuffle`` as
        in the code of Nanda et al., arXiv:2301.05217.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> Modular(p=23, train_fraction=0.75).split(seed=0)[0].shape
    (396,)
    """

    CHOICES: ClassVar[dict[str, Collection[str]]] = {"task": OPERATIONS}

    p: int
    task: str = "addition"
    train_fraction: float = 1.0
    loss: Literal["mean", "sum"] = "mean"
    loss_dtype: Literal["float32", "float64"] = "float64"
    shuffle: Literal["numpy", "python"] = "numpy"

    def __post_init__(self) -> None:
        check_modulus(self.p)
        check_choice("task", self.task, OPERATIONS)
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must be in (0, 1], got {self.train_fraction}")

    @property
    def classes(self) -> int:
        """Residues."""
        return self.p

    @property
    def inputs(self) -> Pairs:
        """All pairs (x, y), x outermost."""
        return all_pairs(self.p)

    @property
    def grid(self) -> dict[str, int]:
        """The table of x and y."""
        return {"x": self.p, "y": self.p}

    def answers(self, seed: int) -> NDArray[np.int64]:
        """The right residue for every pair; the seed is that of a random table."""
        return table(self.task, self.p, seed).ravel()

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and test pairs as indices, see `split_pairs`."""
        train, test = split_pairs(self.p, self.train_fraction, seed, self.shuffle)
        return self.index(train), self.index(test)

    def order(self, seed: int) -> NDArray[np.int64]:
        """All pairs as indices, shuffled: the first of them are the training pairs."""
        return shuffled(self.p**2, seed, self.shuffle)

    def index(self, pairs: Pairs) -> NDArray[np.int64]:
        """Indices into `inputs` of pairs (n, 2)."""
        return pairs[:, 0] * self.p + pairs[:, 1]

    @property
    def mirror(self) -> NDArray[np.int64] | None:
        """The pair (y, x) of every pair, if it has the same answer."""
        if not OPERATIONS[self.task].symmetric:
            return None
        return np.arange(self.p**2).reshape(self.p, self.p).T.ravel()

    def criterion(self, examples: "Examples") -> "Criterion":
        """Softmax cross-entropy."""
        import torch

        from grokode.nets.tasks.examples import CrossEntropy

        return CrossEntropy(examples, getattr(torch, self.loss_dtype), self.loss == "sum")

    def evaluate(self, values: "Tensor", examples: "Examples") -> "tuple[Tensor, Tensor]":
        """Mean cross-entropy (nats) and accuracy."""
        from grokode.nets.tasks.examples import evaluate_classes

        return evaluate_classes(values, examples)


def table(task: str, p: int, seed: int = 0) -> NDArray[np.int64]:
    """The right output of every pair, (p, p) with x outermost.

    Parameters
    ----------
    task : str
        One of `OPERATIONS`; ``quadratic_form`` is x^2 + x y + y^2, ``random`` a table without
        structure, to tell learning from memorising.
    p : int
        Odd modulus.
    seed : int
        Of the random table.

    Raises
    ------
    ValueError
        For an unknown task.

    Examples
    --------
    >>> table("subtraction", 3).tolist()
    [[0, 2, 1], [1, 0, 2], [2, 1, 0]]
    """
    check_choice("task", task, OPERATIONS)
    x, y = np.meshgrid(np.arange(check_modulus(p)), np.arange(p), indexing="ij")
    return OPERATIONS[task].answer(x, y, p, seed) % p


def all_pairs(p: int) -> Pairs:
    """All ordered pairs (x, y) of residues, shape (p^2, 2), x outermost.

    Examples
    --------
    >>> all_pairs(3)[:4].tolist()
    [[0, 0], [0, 1], [0, 2], [1, 0]]
    """
    residues = np.arange(check_modulus(p))
    return np.stack(np.meshgrid(residues, residues, indexing="ij"), axis=-1).reshape(-1, 2)


def split_pairs(p: int, fraction: float, seed: int, shuffle: str = "numpy") -> tuple[Pairs, Pairs]:
    """Training and test pairs, drawn without replacement by a generator of its own.

    Parameters
    ----------
    p : int
        Odd modulus.
    fraction : float
        In (0, 1]; the number of training pairs is fraction * p^2, rounded down. At 1 the test pairs
        are empty.
    seed : int
    shuffle : {"numpy", "python"}
        See `Modular`.

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
    order = shuffled(len(pairs), check_whole("seed", seed), shuffle)
    return pairs[np.sort(order[:count])], pairs[np.sort(order[count:])]


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


def shuffled(count: int, seed: int, shuffle: str) -> NDArray[np.int64]:
    """0 .. count - 1 in random order, by numpy's generator or Python's ``random.shuffle``.

    Examples
    --------
    >>> sorted(shuffled(4, 0, "python").tolist())
    [0, 1, 2, 3]
    """
    if shuffle == "numpy":
        return np.random.default_rng(seed).permutation(count)
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return np.array(order)
