"""The two forces on the weights: the loss gradient, and decay.

A gradient says what SGD does with the loss. AdamW divides it by its own running size, so that tiny
gradients still move weights by the learning rate a step; there the *push* tells: the mean force
that must have acted between two checkpoints, beside decay, to bring one to the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from grokode.nets.networks.activations import ACTIVATIONS, check_activation
from grokode.nets.tasks import check_pairs
from grokode.nets.training.config import TrainingConfig

__all__ = ["Decay", "Pass", "cosine", "loss_gradient", "push"]

Array = NDArray[Any]

_NEURONS = 256  # at once: their hidden values on all pairs of p = 97 are ten megabytes


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

    With the residual R = softmax(f) - 1(x+y), each pair times its weight, and z = theta[x] +
    theta[y], the gradient for xi is sum over pairs of sigma(z) R, and the one for theta[x] the sum
    over the pairs with x of sigma'(z) (xi R), twice where x = y.

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
    sigma = ACTIVATIONS[check_activation(activation)]
    p = np.shape(theta)[1]
    x, y = torch.tensor(check_pairs(pairs, p).T)
    answers, rows = (x + y) % p, torch.arange(len(x))
    # A row to every residue, so that pairs pick whole rows.
    of_inputs, out, share = (
        torch.tensor(np.ascontiguousarray(np.asarray(values, dtype=np.float64).T))
        for values in (theta, xi, weights)
    )
    by_inputs, by_out = torch.zeros_like(of_inputs), torch.empty_like(out)
    logits = torch.zeros(len(x), p, dtype=torch.float64)
    blocks = [slice(at, at + _NEURONS) for at in range(0, of_inputs.shape[1], _NEURONS)]
    with _one_thread():
        for block in blocks:
            z = of_inputs[x, block] + of_inputs[y, block]
            logits.addmm_(sigma.value(z), out[:, block].T)
        log_probabilities = torch.log_softmax(logits, -1)
        residual = log_probabilities.exp()
        residual[rows, answers] -= 1
        residual *= share[:, None]
        for block in blocks:
            z = of_inputs[x, block] + of_inputs[y, block]
            by_out[:, block] = residual.T @ sigma.value(z)
            pull = sigma.times_slope(residual @ out[:, block], z)
            by_block = torch.zeros(p, pull.shape[1], dtype=pull.dtype)
            by_inputs[:, block] = by_block.index_add_(0, x, pull).index_add_(0, y, pull)
    return Pass(
        logits=logits.numpy(),
        losses=-log_probabilities[rows, answers].numpy(),
        theta_gradient=by_inputs.T.numpy(),
        xi_gradient=by_out.T.numpy(),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Arrays of one checkpoint are so small that threads cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
