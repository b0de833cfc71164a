"""How a network is trained: one frozen record that validates itself."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from grokode.nets.activations import check_activation
from grokode.nets.initial import INITIALISATIONS
from grokode.nets.tasks import TASKS
from grokode.theory.fourier import check_modulus

__all__ = ["TrainingConfig", "is_due", "parse_setting"]

_CHOICES = {
    "task": tuple(TASKS),
    "optimizer": ("sgd", "adamw"),
    "loss": ("mean", "sum"),
    "loss_dtype": ("float32", "float64"),
    "dtype": ("float32", "float64"),
    "device": ("auto", "cpu", "cuda"),
    # The last two name starts that no recipe drew.
    "initial": (*INITIALISATIONS, "given", "published"),
}

_LARGEST = 2**32 - 1
"""Of any integer here: a seed and a step have 32 bits each in the seed of dropout."""


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of one full-batch training on the cross-entropy.

    Parameters
    ----------
    p : int
        Odd modulus.
    neurons : int
        Width.
    task : {"addition", "subtraction", "multiplication", "quadratic_form", "random"}
        See `grokode.nets.tasks`.
    activation : str
        One of `grokode.nets.activations.ACTIVATIONS`.
    separate_inputs : bool
        Give y input weights of its own, theta_y, rather than those of x.
    embedding : int, optional
        Train theta as a product of input weights and a learned embedding of this dimension, drawn
        as N(0, 1) / sqrt(embedding); the input weights are then drawn as the initialisation says.
    optimizer : {"sgd", "adamw"}
    learning_rate : float
    warmup : int
        Updates over which the rate rises from 0: the update after s others has min(s / warmup, 1)
        of it. The code of arXiv:2602.16849 has 10.
    momentum : float
        SGD only.
    betas, eps : AdamW only; the published betas are (0.9, 0.98)
    weight_decay : float
        Decoupled for AdamW, added to the gradient for SGD.
    decay_until : int, optional
        Step from which on there is no more weight decay.
    loss : {"mean", "sum"}
        What the optimiser descends, over the training pairs. Logged losses are always means.
    loss_dtype : {"float32", "float64"}
        Number format of softmax and loss.
    dropout : float
        Probability that a neuron is left out of a pair's logits while training.
    initial : {"gaussian", "equal_magnitude", "single_frequency"}
    scale : float
        Size of the initial weights, see `grokode.nets.initial`.
    train_fraction : float
        Part of the pairs trained on; the rest is the test set.
    seed : int
        Of the initial weights, of the split, of dropout, and of a random task.
    dtype : {"float32", "float64"}
    steps : int
        Optimiser steps at most.
    stop_loss : float, optional
        Stop at the first logged step whose training loss is below.
    checkpoint_every, log_every : int or "log"
        Steps between checkpoints and between logged metrics; "log" for twenty to a decade.
    log_grid : bool
        Log for every pair whether it is answered rightly.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    ValueError
        For a value of another type or out of range, naming it.

    Examples
    --------
    >>> TrainingConfig(p=23, neurons=512).learning_rate
    0.1
    """

    p: int
    neurons: int
    task: str = "addition"
    activation: str = "quadratic"
    separate_inputs: bool = False
    embedding: int | None = None
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    warmup: int = 0
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay_until: int | None = None
    loss: str = "mean"
    loss_dtype: str = "float64"
    dropout: float = 0.0
    initial: str = "gaussian"
    scale: float = 0.1
    train_fraction: float = 1.0
    seed: int = 0
    dtype: str = "float32"
    steps: int = 10_000
    stop_loss: float | None = None
    checkpoint_every: int | str = 200
    log_every: int | str = 100
    log_grid: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            object.__setattr__(self, name, _plain(name, kind, getattr(self, name)))
        check_modulus(self.p)
        object.__setattr__(self, "activation", check_activation(self.activation))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name in ("checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value != "log" and (isinstance(value, str) or value < 1):
                raise ValueError(f"{name} must be 'log' or an integer of at least 1, got {value!r}")
        for name in ("neurons", "steps", "embedding", "decay_until"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("learning_rate", "scale", "eps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("momentum", "weight_decay", "warmup", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must be in (0, 1], got {self.train_fraction}")
        if self.stop_loss is not None and not self.stop_loss > 0:
            raise ValueError(f"stop_loss must be positive, got {self.stop_loss}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    @property
    def symmetric(self) -> bool:
        """Whether the network and the task treat x and y alike."""
        return TASKS[self.task].symmetric and not self.separate_inputs

    def rate(self, step: int) -> float:
        """Learning rate of the update after `step` others."""
        return (
            self.learning_rate * min(step / self.warmup, 1) if self.warmup else self.learning_rate
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Back from `to_dict`; unknown names raise ValueError."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown configuration {', '.join(sorted(unknown))}")
        return cls(**values)


def _kinds() -> dict[str, str]:
    """The type of every field as it is written above."""
    return {
        field.name: field.type.__name__ if type(field.type) is type else str(field.type)
        for field in fields(TrainingConfig)
    }


def _plain(name: str, kind: str, value: Any) -> Any:
    """The value in plain Python, as JSON keeps it; ValueError if it is not of that kind."""
    if isinstance(value, np.generic):
        value = value.item()
    if kind.startswith("tuple") and isinstance(value, tuple | list | np.ndarray):
        return tuple(_plain(name, "float", number) for number in value)
    kinds = ["NoneType" if kind == "None" else kind for kind in kind.split(" | ")]
    if "float" in kinds and type(value) is int and abs(value) <= _LARGEST:
        return float(value)
    if type(value).__name__ not in kinds:
        raise ValueError(f"{name} must be {kind}, got {' '.join(repr(value).split())[:60]}")
    if type(value) is int and value > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST}, got {value:.3g}")
    return value


def parse_setting(name: str, text: str) -> Any:
    """A field's value from the text of a command line.

    Parameters
    ----------
    name : str
        A field of `TrainingConfig`.
    text : str
        A number, true or false, a name, numbers with commas between, or none.

    Raises
    ------
    ValueError
        For an unknown field, or text that is no value of its type.

    Examples
    --------
    >>> parse_setting("steps", "500"), parse_setting("betas", "0.9,0.999")
    (500, (0.9, 0.999))
    """
    types = _kinds()
    if name not in types:
        raise ValueError(f"unknown setting {name!r}; choose one of {', '.join(types)}")
    for kind in types[name].partition("[")[0].split(" | "):
        try:
            return _FROM_TEXT[kind](text)
        except (KeyError, ValueError):
            continue
    raise ValueError(f"{name} must be {types[name]}, got {text!r}")


def _numbers(text: str) -> tuple[float, ...]:
    first, second = text.split(",")
    return float(first), float(second)


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "tuple": _numbers,
    "bool": {"true": True, "false": False}.__getitem__,
    "None": {"none": None}.__getitem__,
    "int": int,
    "float": float,
    "str": str,
}


def is_due(step: int, every: int | str) -> bool:
    """Whether a step is on a schedule: every n steps, or "log", twenty to a decade.

    Examples
    --------
    >>> [step for step in range(1, 16) if is_due(step, "log")]
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]
    """
    if isinstance(every, int):
        return step % every == 0
    return step == 0 or step == round(10 ** (round(20 * math.log10(step)) / 20))
