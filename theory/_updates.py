"""What flows over the weights share: activations with their slopes, and the optimisers' updates."""

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from grokode.theory.rule import TrainingRule

__all__ = ["ACTIVATIONS", "activation_code", "optimiser_settings", "sigma", "update"]

Array = NDArray[Any]

ACTIVATIONS = ("quadratic", "relu", "abs", "quartic", "softplus", "gelu")
"""z^2, max(z, 0), |z|, z^4, log(1 + e^z) and z times the normal distribution function."""


def activation_code(rule: TrainingRule) -> int:
    """Which of `ACTIVATIONS` a rule has, or ValueError."""
    if rule.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {rule.activation!r}"
        )
    return ACTIVATIONS.index(rule.activation)


def optimiser_settings(rule: TrainingRule) -> Array:
    """What `update` needs of a rule, as numbers; its steps begin with those that are unmoved."""
    return np.array(
        [
            rule.optimizer == "adamw",
            rule.learning_rate,
            rule.momentum,
            rule.weight_decay,
            *rule.betas,
            rule.eps,
            rule.warmup,
            rule.first_step - rule.unmoved,
        ]
    )


@nb.njit(cache=True, forceinline=True)
def sigma(code: int, z: float) -> tuple[float, float]:
    """Activation and its derivative."""
    if code == 0:
        return z * z, 2 * z
    if code == 1:
        return (z, 1.0) if z > 0 else (0.0, 0.0)
    if code == 2:
        return abs(z), float(np.sign(z))
    if code == 3:
        return z**4, 4 * z**3
    if code == 4:
        decay = math.exp(-abs(z))
        return max(z, 0.0) + math.log1p(decay), (1.0 if z > 0 else decay) / (1 + decay)
    below = math.erfc(-z / math.sqrt(2.0)) / 2
    return z * below, below + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@nb.njit(cache=True, forceinline=True)
def update(
    weights: Array, m1: Array, m2: Array, gradient: Array, step: int, settings: Array
) -> None:
    """All weights' update, flat, as torch.optim.SGD and torch.optim.AdamW make it; steps from 1."""
    adamw, rate, momentum, decay, beta1, beta2, eps, warmup, first_step = settings
    if warmup > 0:
        rate *= min((first_step + step - 1) / warmup, 1.0)
    bias1, bias2 = 1 - beta1**step, 1 - beta2**step
    for i in range(weights.size):
        if adamw == 0:
            # The first gradient fills the buffer undamped, which a zero buffer gives too.
            m1[i] = momentum * m1[i] + gradient[i] + decay * weights[i]
            weights[i] -= rate * m1[i]
        else:
            m1[i] = beta1 * m1[i] + (1 - beta1) * gradient[i]
            m2[i] = beta2 * m2[i] + (1 - beta2) * gradient[i] * gradient[i]
            scale = math.sqrt(m2[i] / bias2) + eps
            weights[i] = (1 - rate * decay) * weights[i] - rate * m1[i] / bias1 / scale
