"""The two forces on the weights: the loss gradient, and decay.

A gradient says what SGD does with the loss. AdamW divides it by its own running size, so that tiny
gradients still move weights by the learning rate a step; there the *push* tells: the mean force
that must have acted between two checkpoints, beside decay, to bring one to the other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from grokode.nets.networks.activations import check_activation
from grokode.nets.networks.two_layer_model import Gradient, Layers
from grokode.nets.tasks import check_pairs
from grokode.nets.tasks.examples import CrossEntropy, Examples
from grokode.nets.threads import one_thread_below
from grokode.nets.training.config import TrainingConfig

__all__ = ["Decay", "Pass", "cosine", "loss_gradient", "push"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Pass:
    """What one pass over pairs gives.

    Parameters
    ----------
    logits : array (u, p)
    losses : array (u,)
        Cross-entropy of each pair (nats).
    theta_gradient, xi_gradient : arrays (neuron, p)
        Gradient of the weighted sum of the losses.
    """

    logits: Array
    losses: Array
    theta_gradient: Array
    xi_gradient: Array


def loss_gradient(
    theta: ArrayLike, xi: ArrayLike, activation: str, pairs: ArrayLike, weights: ArrayLike
) -> Pass:
    """Logits and losses of pairs of addition, and the gradient of their weighted sum, in float64.

    The gradient is that of the trainings themselves, over any weighted pairs.

    Parameters
    ----------
    theta, xi : arrays (neuron, p)
    activation : str
    pairs : integers (u, 2)
    weights : array (u,)
        0 for pairs that are looked at but not trained on.

    Returns
    -------
    Pass

    Raises
    ------
    ValueError
        For an unknown activation, or pairs out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weights = rng.normal(size=(2, 4, 5))
    >>> done = loss_gradient(*weights, "quadratic", [(0, 1), (2, 2)], [0.5, 0.5])
    >>> bool(np.allclose(done.xi_gradient.sum(1), 0))
    True
    """
    check_activation(activation)
    pairs = check_pairs(pairs, np.shape(theta)[1])
    layers = Layers((_seed_of(theta),), _seed_of(xi))
    gradients = Layers((torch.empty_like(layers.inputs[0]),), torch.empty_like(layers.xi))
    answers = torch.tensor(pairs.sum(1) % np.shape(theta)[1])
    share = torch.tensor(np.asarray(weights, dtype=np.float64))
    examples = Examples(pairs, answers[None], share[None])
    loss = CrossEntropy(examples, torch.float64, summed=True)
    logits = torch.empty(0)

    def watched(
        values: torch.Tensor, part: tuple[slice, slice] = (slice(None), slice(None))
    ) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal logits
        logits = values[0]
        return loss(values, part)

    with one_thread_below(len(pairs) * layers.xi.shape[-1]):
        Gradient(examples, activation, watched, layers, gradients)(step=0)
        losses = torch.nn.functional.cross_entropy(logits, answers, reduction="none")
    return Pass(
        logits=logits.numpy(),
        losses=losses.numpy(),
        theta_gradient=gradients.inputs[0][0].T.numpy(),
        xi_gradient=gradients.xi[0].T.numpy(),
    )


def _seed_of(layer: ArrayLike) -> torch.Tensor:
    """A layer (neuron, p) as an ensemble of one has it."""
    return torch.tensor(np.ascontiguousarray(np.asarray(layer, dtype=np.float64).T))[None]


@dataclass(frozen=True)
class Decay:
    """Weight decay as an optimiser takes it: each step keeps 1 - rate * strength of a weight.

    Parameters
    ----------
    rate : float
        Learning rate; with momentum, once it is up to speed, 1 / (1 - momentum) times that.
    strength : float
    until : int, optional
        Step from which on there is none.
    """

    rate: float
    strength: float
    until: int | None = None

    @classmethod
    def of(cls, config: TrainingConfig) -> "Decay":
        """The decay of a training."""
        momentum = config.momentum if config.optimizer == "sgd" else 0.0
        return cls(config.learning_rate / (1 - momentum), config.weight_decay, config.decay_until)

    def at(self, step: int) -> float:
        """Strength in the update that follows a step."""
        return 0.0 if self.until is not None and step >= self.until else self.strength


def push(before: Array, after: Array, steps: int, decay: Decay, step: int) -> Array:
    """Mean force of the loss between two checkpoints, as the optimiser applied it.

    With w -> (1 - rate * strength) w + rate * push at every step, the constant push that leads from
    one to the other. In units of the gradient, so that it compares with strength * w; for SGD
    without momentum it is minus the gradient where that does not change in between.

    Parameters
    ----------
    before, after : arrays of one shape
    steps : int
        Optimiser steps between them, at least 1.
    decay : Decay
    step : int
        That of ``before``.

    Examples
    --------
    >>> still = np.ones(2)
    >>> push(still, still, 100, Decay(rate=0.01, strength=2.0), 0).round(9).tolist()
    [2.0, 2.0]
    """
    loss = decay.rate * decay.at(step)
    kept = (1 - loss) ** steps
    return (after - kept * before) / (decay.rate * ((1 - kept) / loss if loss else steps))


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two arrays, NaN if one of them is zero.

    Examples
    --------
    >>> cosine(np.array([1.0, 0.0]), np.array([-2.0, 0.0]))
    -1.0
    """
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.vdot(a, b) / size) if size else float("nan")
