"""Networks and runs whose answers are known."""

from types import SimpleNamespace

import numpy as np
import xarray as xr

P, K = 23, 11
# Of transforms of p numbers near 1.
ROUNDING = 1e-12


def single_waves(k, phi, psi, alpha=0.7, beta=1.3, p=P):
    """Weights (neuron, p) of neurons with one wave each; arguments broadcast over neurons."""
    k, phi, psi, alpha, beta = np.broadcast_arrays(k, phi, psi, alpha, beta)
    angle = 2 * np.pi / p * np.outer(k, np.arange(p))
    theta = alpha[:, None] * np.cos(angle + phi[:, None])
    return theta, beta[:, None] * np.cos(angle + psi[:, None])


def diversified(p=P, N=12, **sizes):
    """Every frequency in N aligned neurons, phases evenly spread."""
    phi = np.tile(2 * np.pi * np.arange(N) / N, (p - 1) // 2)
    k = np.repeat(np.arange(1, (p + 1) // 2), N)
    return single_waves(k, phi, 2 * phi, p=p, **sizes)


def gaussian(neurons, seed, p=P):
    return np.random.default_rng(seed).normal(size=(2, neurons, p))


def run_of(*checkpoints, activation="quadratic", initial="gaussian"):
    """What the functions read of a run, with these weights (theta, xi) as its checkpoints."""
    theta, xi = (np.stack(layer) for layer in zip(*checkpoints, strict=True))
    neurons, p = theta.shape[1:]
    weights = xr.Dataset(
        {"theta": (("step", "neuron", "x"), theta), "xi": (("step", "neuron", "output"), xi)},
        coords={"step": 10 * np.arange(len(theta)), "neuron": np.arange(neurons)},
    )
    config = SimpleNamespace(
        task="addition",
        seed=0,
        p=p,
        neurons=neurons,
        activation=activation,
        initial=initial,
        separate_inputs=False,
    )
    return SimpleNamespace(weights=weights, config=config, path="made", seed=0, seeds=(0,))
