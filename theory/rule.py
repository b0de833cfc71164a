"""How a network is trained, as far as theory needs to know it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._checks import any_array, check_increasing, check_integer
from grokode.theory.fourier import check_spectrum
from grokode.theory.modulus import check_modulus
from grokode.theory.optimizer import OptimizerRule
from grokode.theory.spelling import spelled

__all__ = ["OPTIMIZERS", "TrainingRule"]

OPTIMIZERS = ("sgd", "adamw")


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRule(OptimizerRule):
    """Optimiser, activation and data of a full-batch training on the mean cross-entropy.

    Parameters
    ----------
    p : int
        Odd modulus.
    activation : str
        Ours or as published, as Quad or ReLU.
    first_step : int
        Updates done before the initial state.
    train_pairs : integers (n, 2), optional
        The training pairs (x, y), each in 0..p-1. All pairs if not given.
    steps : int, optional
        Length of the training, for predictors that follow it to its end.
    **optimizer
        As `grokode.theory.optimizer.OptimizerRule`.

    Raises
    ------
    TypeError
        If p or the steps are not integers, or a rate is not a number.
    ValueError
        If p is even or below 3, the optimizer unknown, a number out of its range, or the training
        pairs are none on Z_p.

    Examples
    --------
    >>> TrainingRule(p=5, learning_rate=0.5).time_per_step
    0.02
    """

    p: int
    activation: str = "quadratic"
    first_step: int = 0
    train_pairs: NDArray[np.int64] | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", spelled(self.activation))
        check_modulus(self.p)
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}"
            )
        check_integer("first_step", self.first_step, least=0)
        if self.steps is not None:
            check_integer("steps", self.steps, least=0)
        if self.train_pairs is not None:
            self._check_pairs(any_array("train_pairs", self.train_pairs))

    def _check_pairs(self, pairs: NDArray[Any]) -> None:
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs) or pairs.dtype.kind not in "iu":
            raise ValueError(
                f"train_pairs must be integers (n, 2) with n >= 1, got shape {pairs.shape} and "
                f"dtype {pairs.dtype}"
            )
        if pairs.min() < 0 or pairs.max() >= self.p:
            raise ValueError(
                f"train_pairs must be residues in 0..{self.p - 1}, got {pairs.min()} to "
                f"{pairs.max()}; take them mod p"
            )

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

    @property
    def unmoved(self) -> int:
        """Updates before the initial state that had no rate, but left the optimiser a memory.

        The first of a warm-up is such a one, so that the state after it is the start.
        """
        return int(self.warmup > 0 and self.first_step == 1)

    def risen(self, steps: ArrayLike) -> NDArray[np.float64]:
        """Share of the learning rate in the update after each of these steps, 1 but in the warm-up.

        Examples
        --------
        >>> TrainingRule(p=5, warmup=4).risen([0, 1, 9]).tolist()
        [0.0, 0.25, 1.0]
        """
        done = self.first_step + np.asarray(steps, dtype=float)
        return np.minimum(done / self.warmup, 1) if self.warmup else np.ones_like(done)

    def time(self, steps: ArrayLike) -> NDArray[np.float64]:
        """Gradient-flow time of the summed loss at steps counted from the initial state.

        Examples
        --------
        >>> rule = TrainingRule(p=5, learning_rate=0.5, warmup=10, first_step=1)
        >>> (rule.time([0, 9, 100]) / rule.time_per_step).round(9).tolist()
        [0.0, 4.5, 95.5]
        """
        warming = np.arange(max(0, self.warmup - self.first_step) + 1)
        lost = np.append(0, np.cumsum(1 - self.risen(warming[:-1])))
        done = np.asarray(steps, dtype=float)
        return (done - np.interp(done, warming, lost)) * self.time_per_step

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

    def check_initial(self, initial: xr.Dataset) -> xr.Dataset:
        """The state at step 0, without the coordinate of a step it was taken at, or an error.

        Parameters
        ----------
        initial : Dataset
            Spectrum (..., neuron, frequency).

        Raises
        ------
        TypeError, ValueError
            As `grokode.theory.fourier.check_spectrum`, or if it holds more than one step.
        """
        spectrum = check_spectrum(initial, self.p)
        if "step" in spectrum.dims:
            raise ValueError(
                f"initial must be one state, got {spectrum.sizes['step']} steps; pick one with isel"
            )
        return spectrum.drop_vars("step", errors="ignore")

    def check_network(self, initial: xr.Dataset) -> xr.Dataset:
        """As `check_initial`, of one network alone: dimensions (neuron, frequency)."""
        spectrum = self.check_initial(initial)
        others = [str(dim) for dim in spectrum.theta_hat.dims if dim not in ("neuron", "frequency")]
        if others:
            raise ValueError(
                f"initial must be one network (neuron, frequency), got {', '.join(others)} as "
                "well; pick one with isel"
            )
        return spectrum

    def check_steps(self, steps: ArrayLike) -> NDArray[np.int64]:
        """Steps as an increasing int64 array (step,), or a TypeError or ValueError."""
        asked = np.atleast_1d(any_array("steps", steps))
        if asked.size and asked.dtype.kind not in "iu":
            raise TypeError(f"steps must be integers, got dtype {asked.dtype}")
        return check_increasing("steps", asked).astype(np.int64)
