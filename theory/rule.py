"""How a network is trained, as far as theory needs to know it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grokode.theory.fourier import check_modulus

__all__ = ["TrainingRule"]


@dataclass(frozen=True, eq=False)
class TrainingRule:
    """Optimiser, activation and data of a full-batch training on the mean cross-entropy.

    Parameters
    ----------
    p : int
        Odd modulus.
    activation : str
    optimizer : {"sgd", "adamw"}
    learning_rate : float
    momentum : float
        SGD only.
    betas, eps : AdamW only
    weight_decay : float
    train_pairs : integers (n, 2), optional
        All pairs if not given.

    Raises
    ------
    ValueError
        If p is even or below 3, or the learning rate is not positive.

    Examples
    --------
    >>> TrainingRule(p=5, learning_rate=0.5).time_per_step
    0.02
    """

    p: int
    activation: str = "quadratic"
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    train_pairs: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_modulus(self.p)
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")

    @property
    def pairs(self) -> int:
        """Number of training pairs."""
        return self.p**2 if self.train_pairs is None else len(self.train_pairs)

    @property
    def time_per_step(self) -> float:
        """Gradient-flow time of the summed loss that one SGD step advances: lr / pairs."""
        return self.learning_rate / self.pairs
