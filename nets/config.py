"""How a network is trained: one frozen record that validates itself."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from grokode.nets.initial import INITIALISATIONS
from grokode.nets.mlp import check_activation
from grokode.theory.fourier import check_modulus

__all__ = ["TrainingConfig"]

_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "dtype": ("float32", "float64"),
    "device": ("auto", "cpu", "cuda"),
    # The last two name starts that no recipe drew.
    "initial": (*INITIALISATIONS, "given", "published"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of one full-batch training on the mean cross-entropy.

    Parameters
    ----------
    p : int
        Odd modulus.
    neurons : int
        Width.
    activation : {"quadratic", "relu"}
    optimizer : {"sgd", "adamw"}
    learning_rate : float
    momentum : float
        SGD only.
    betas, eps : AdamW only; the published betas are (0.9, 0.98)
    weight_decay : float
        Decoupled for AdamW, added to the gradient for SGD.
    initial : {"gaussian", "equal_magnitude", "single_frequency"}
    scale : float
        Size of the initial weights, see `grokode.nets.initial`.
    train_fraction : float
        Part of the pairs trained on; the rest is the test set.
    seed : int
        Of the initial weights and of the split.
    dtype : {"float32", "float64"}
    steps : int
        Optimiser steps at most.
    stop_loss : float, optional
        Stop at the first logged step whose training loss is below.
    checkpoint_every, log_every : int
        Steps between checkpoints and between logged metrics.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> TrainingConfig(p=23, neurons=512).learning_rate
    0.1
    """

    p: int
    neurons: int
    activation: str = "quadratic"
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    initial: str = "gaussian"
    scale: float = 0.1
    train_fraction: float = 1.0
    seed: int = 0
    dtype: str = "float32"
    steps: int = 10_000
    stop_loss: float | None = None
    checkpoint_every: int = 200
    log_every: int = 100
    device: str = "auto"

    def __post_init__(self) -> None:
        check_modulus(self.p)
        check_activation(self.activation)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name in ("neurons", "steps", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "scale", "eps"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must be in (0, 1], got {self.train_fraction}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Back from `to_dict`; unknown names raise ValueError."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown configuration {', '.join(sorted(unknown))}")
        return cls(**(values | {"betas": tuple(values.get("betas", (0.9, 0.98)))}))
