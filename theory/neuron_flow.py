"""Each neuron alone, under its own optimiser: exact while softmax is near 1/p.

With uniform softmax the gradient of the mean loss on a neuron does not involve the others,

    grad xi[j]    = -(1/n) (S[j] - mean S),   S[j] = sum over pairs with x+y = j of sigma(z),
    grad theta[x] = -(1/n) sum over pairs holding x of sigma'(z) (xi[x+y] - mean xi),

z = theta[x] + theta[y], sums over the training pairs. The optimiser's own update is applied step by
step, so this holds for any activation, optimiser and training set, and for several frequencies in a
neuron, up to the end of the plateau. Cost: O(p^2) a neuron and step.
"""

import math
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import fourier
from grokode.theory.rule import TrainingRule

__all__ = ["ACTIVATIONS", "PLATEAU_MARGIN", "neuron_flow"]

Array = NDArray[Any]

ACTIVATIONS = ("quadratic", "relu", "abs", "quartic", "softplus", "gelu")
"""z^2, max(z, 0), |z|, z^4, log(1 + e^z) and z times the normal distribution function."""

PLATEAU_MARGIN = 2.0
"""The plateau is over when the mean margin, right answer over mean logit, is this times log p.

Were all margins equal, softmax would by then give the right answer all but about 1/p of its mass,
so the residual that uniform softmax takes for one is nearly gone.
"""

_CHECK_EVERY = 50


def neuron_flow(
    initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike, *, past_plateau: bool = False
) -> xr.Dataset:
    """Spectrum at steps of the optimiser, every neuron moving alone.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency).
    rule : TrainingRule
        Any of `ACTIVATIONS`; SGD with momentum and decay, or AdamW.
    steps : integers (step,)
        Increasing, counted from the initial state.
    past_plateau : bool
        Go on although the flow's own estimate of the loss, log p - mean margin to first order in
        the logits, says that the plateau is over (see `PLATEAU_MARGIN`).

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front. Attribute ``stopped``: the step from which on the
        state is held, because the plateau was over or a neuron diverged (both looked for every 50
        steps), or -1.

    Raises
    ------
    ValueError
        For an unknown activation, or steps that are not increasing.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> rule = TrainingRule(p=5, activation="relu", optimizer="adamw", learning_rate=1e-3)
    >>> neuron_flow(start, rule, [0, 20]).theta_hat.shape
    (2, 8, 2)
    """
    if rule.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {rule.activation!r}"
        )
    asked = rule.check_steps(steps)
    weights = fourier.weights(initial)
    state = np.stack([weights.theta.values, weights.xi.values], axis=1)
    moments = np.zeros((2, *state.shape))
    pairs, counts = rule.unordered_pairs()
    share = counts / counts.sum()
    code = ACTIVATIONS.index(rule.activation)
    settings = _settings(rule)
    path = np.empty((len(asked), *state.shape))
    step, stopped = 0, -1
    for index, until in enumerate(asked):
        while step < until and stopped < 0:
            stretch = min(until, step - step % _CHECK_EVERY + _CHECK_EVERY) - step
            before = state.copy()
            _advance(state, moments, pairs, share, code, settings, step, stretch)
            margin = _mean_margin(state, pairs, share, code)
            if not np.isfinite(state).all():
                state, stopped = before, step
            step += stretch
            if not past_plateau and margin > PLATEAU_MARGIN * np.log(rule.p):
                stopped = step
        path[index] = state
    dims = ("step", *(str(name) for name in initial.theta_mean.dims))
    at_steps = {"step": asked}
    result = fourier.spectrum(
        xr.DataArray(path[:, :, 0], at_steps, (*dims, "x")),
        xr.DataArray(path[:, :, 1], at_steps, (*dims, "output")),
    )
    return result.assign_coords(neuron=weights.neuron).assign_attrs(stopped=int(stopped))


def _settings(rule: TrainingRule) -> Array:
    return np.array(
        [
            rule.optimizer == "adamw",
            rule.learning_rate,
            rule.momentum,
            rule.weight_decay,
            *rule.betas,
            rule.eps,
        ]
    )


@nb.njit(cache=True, inline="always")
def _sigma(code: int, z: float) -> tuple[float, float]:
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


@nb.njit(cache=True, parallel=True)
def _advance(
    state: Array,
    moments: Array,
    pairs: Array,
    share: Array,
    code: int,
    settings: Array,
    first: int,
    count: int,
) -> None:
    """Take `count` steps of every neuron; `moments` carries what the optimiser remembers."""
    for m in nb.prange(len(state)):
        p = state.shape[-1]
        gradient = np.empty((2, p))
        for step in range(first + 1, first + count + 1):
            _gradient(state[m], pairs, share, code, gradient)
            for layer in range(2):
                for x in range(p):
                    _update(
                        state[m, layer],
                        moments[0, m, layer],
                        moments[1, m, layer],
                        x,
                        gradient[layer, x],
                        step,
                        settings,
                    )


@nb.njit(cache=True, inline="always")
def _gradient(weights: Array, pairs: Array, share: Array, code: int, gradient: Array) -> None:
    theta, xi = weights[0], weights[1]
    p = len(theta)
    mean_xi = xi.mean()
    gradient[:] = 0
    total = 0.0
    for u in range(len(pairs)):
        x, y = pairs[u, 0], pairs[u, 1]
        answer = x + y if x + y < p else x + y - p
        value, slope = _sigma(code, theta[x] + theta[y])
        gradient[1, answer] -= share[u] * value
        total += share[u] * value
        pull = share[u] * slope * (xi[answer] - mean_xi)
        gradient[0, x] -= pull
        gradient[0, y] -= pull
    gradient[1] += total / p


@nb.njit(cache=True, inline="always")
def _update(
    weight: Array, m1: Array, m2: Array, x: int, gradient: float, step: int, settings: Array
) -> None:
    """One weight's update, as torch.optim.SGD and torch.optim.AdamW make it."""
    adamw, rate, momentum, decay, beta1, beta2, eps = settings
    if adamw == 0:
        gradient += decay * weight[x]
        # The first gradient fills the buffer undamped, which a zero buffer gives as well.
        m1[x] = momentum * m1[x] + gradient
        weight[x] -= rate * m1[x]
        return
    weight[x] *= 1 - rate * decay
    m1[x] = beta1 * m1[x] + (1 - beta1) * gradient
    m2[x] = beta2 * m2[x] + (1 - beta2) * gradient * gradient
    scale = math.sqrt(m2[x] / (1 - beta2**step)) + eps
    weight[x] -= rate * m1[x] / (1 - beta1**step) / scale


@nb.njit(cache=True, parallel=True)
def _mean_margin(state: Array, pairs: Array, share: Array, code: int) -> float:
    """Mean over pairs of the right answer's logit above the mean logit, summed over neurons."""
    p = state.shape[-1]
    margin = 0.0
    for m in nb.prange(len(state)):
        theta, xi = state[m]
        mean_xi = xi.mean()
        for u in range(len(pairs)):
            x, y = pairs[u, 0], pairs[u, 1]
            value, _ = _sigma(code, theta[x] + theta[y])
            margin += share[u] * value * (xi[(x + y) % p] - mean_xi)
    return margin
