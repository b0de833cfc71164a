"""Products in a dihedral group: an operation on pairs that does not commute."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from grokode.nets.records import check_least
from grokode.nets.tasks.modular import shuffled

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.tasks.base import Criterion
    from grokode.nets.tasks.examples import Examples

__all__ = ["Dihedral", "products"]


@dataclass(frozen=True)
class Dihedral:
    """Products x y of symmetries of a regular polygon, learned by the cross-entropy.

    Element a < corners is the rotation by a corners, element corners + a the same after a
    reflection.

    Parameters
    ----------
    corners : int
        The group has twice as many elements; it commutes for 1 and 2 only.
    train_fraction : float
        Part of the pairs trained on, in (0, 1]; the rest is the test set.
    loss : {"mean", "sum"}
        What the optimiser descends, over the training pairs. Logged losses are always means.
    loss_dtype : {"float32", "float64"}
        Number format of softmax and loss.
    shuffle : {"numpy", "python"}
        What splits the pairs, see `grokode.nets.tasks.Modular`.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> Dihedral(corners=3).answers(seed=0).reshape(6, 6)[3].tolist()
    [3, 5, 4, 0, 2, 1]
    """

    corners: int = 31
    train_fraction: float = 1.0
    loss: Literal["mean", "sum"] = "mean"
    loss_dtype: Literal["float32", "float64"] = "float64"
    shuffle: Literal["numpy", "python"] = "numpy"

    def __post_init__(self) -> None:
        check_least(self, 1, "corners")
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must be in (0, 1], got {self.train_fraction}")
        if not int(self.train_fraction * len(self.inputs)):
            raise ValueError(f"train_fraction {self.train_fraction} leaves no pair; raise it")

    @property
    def classes(self) -> int:
        """Elements."""
        return 2 * self.corners

    @property
    def inputs(self) -> NDArray[np.int64]:
        """All pairs (x, y), x outermost."""
        return np.stack(np.divmod(np.arange(self.classes**2), self.classes), -1)

    @property
    def grid(self) -> dict[str, int]:
        """The table of x and y."""
        return {"x": self.classes, "y": self.classes}

    def answers(self, seed: int) -> NDArray[np.int64]:
        """The product of every pair."""
        return products(self.corners).ravel()

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and test pairs as indices into `inputs`, each sorted."""
        order = shuffled(len(self.inputs), seed, self.shuffle)
        count = int(self.train_fraction * len(order))
        return np.sort(order[:count]), np.sort(order[count:])

    @property
    def mirror(self) -> NDArray[np.int64] | None:
        """None: y x is another element."""
        return None

    def criterion(self, examples: "Examples") -> "Criterion":
        """Softmax cross-entropy."""
        import torch

        from grokode.nets.tasks.examples import CrossEntropy

        return CrossEntropy(examples, getattr(torch, self.loss_dtype), self.loss == "sum")

    def evaluate(self, values: "Tensor", examples: "Examples") -> "tuple[Tensor, Tensor]":
        """Mean cross-entropy (nats) and accuracy."""
        from grokode.nets.tasks.examples import evaluate_classes

        return evaluate_classes(values, examples)


def products(corners: int) -> NDArray[np.int64]:
    """Multiplication table of the dihedral group, (2 corners, 2 corners) with x outermost.

    Examples
    --------
    >>> products(1).tolist()
    [[0, 1], [1, 0]]
    """
    x, y = np.indices((2 * corners, 2 * corners))
    (flips, turns), (flips_y, turns_y) = np.divmod(x, corners), np.divmod(y, corners)
    turned = (turns + np.where(flips, -turns_y, turns_y)) % corners
    return (flips + flips_y) % 2 * corners + turned
