"""How a network is trained, as far as theory needs to know it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        SGD only; at least 0 and below 1.
    betas, eps : AdamW only
    weight_decay : float
    train_pairs : integers (n, 2), optional
        All pairs if not given.
    steps : int, optional
        Length of the training, for predictors that follow it to its end.

    Raises
    ------
    ValueError
        If p is even or below 3, the learning rate is not positive, or momentum not in [0, 1).

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
    steps: int | None = None

    def __post_init__(self) -> None:
        check_modulus(self.p)
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    @property
    def pairs(self) -> int:
        """Number of training pairs."""
        return self.p**2 if self.train_pairs is None else len(self.train_pairs)

    @property
    def time_per_step(self) -> float:
        """Gradient-flow time of the summed loss that one SGD step advances: lr / pairs.

        With momentum, once it is up to speed, 1 / (1 - momentum) times that.
        """
        return self.learning_rate / (1 - self.momentum) / self.pairs

    def unordered_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training pairs (u, 2) with x <= y, and how many ordered pairs each stands for.

        The network is symmetric in x and y, so these are all that matter.
        """
        pairs = self.train_pairs
        if pairs is None:
            pairs = np.argwhere(np.ones((self.p, self.p)))
        return np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)

    def require(self, **settings: Any) -> None:
        """Raise ValueError unless the rule has these settings, a predictor's assumption."""
        for name, needed in settings.items():
            if getattr(self, name) != needed:
                raise ValueError(
                    f"{name} must be {needed!r} for this predictor, got {getattr(self, name)!r}; "
                    "choose another from grokode.theory.PREDICTORS"
                )

    def check_steps(self, steps: ArrayLike) -> NDArray[np.int64]:
        """Steps as an increasing int64 array, or a ValueError."""
        asked = np.atleast_1d(np.asarray(steps))
        if asked.ndim != 1 or asked.dtype.kind not in "iu" or not asked.size or asked[0] < 0:
            raise ValueError("steps must be a non-empty list of integers >= 0")
        if (np.diff(asked) <= 0).any():
            raise ValueError("steps must be increasing; sort them and drop repeats")
        return asked.astype(np.int64)
