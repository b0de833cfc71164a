"""Networks and runs whose answers are known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import xarray as xr

from grokode import nets
from grokode.nets.tasks import all_pairs, complement, split_pairs
from grokode.theory import fourier

P, K = 23, 11
SMALL_P = 7
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
    return SimpleNamespace(
        weights=weights, parameters=weights, config=config, path="made", seed=0, seeds=(0,)
    )


def made_run(theta, xi, *, train=None, steps=None, metrics=None, **settings):
    """What the analysis reads of a run, with weights (step, neuron, p) as given."""
    theta, xi = np.asarray(theta, dtype=float), np.asarray(xi, dtype=float)
    _, neurons, p = theta.shape
    steps = np.arange(len(theta)) * 100 if steps is None else np.asarray(steps)
    train, test = complement(all_pairs(p) if train is None else train, p)
    weights = xr.Dataset(
        {"theta": (("step", "neuron", "x"), theta), "xi": (("step", "neuron", "output"), xi)},
        coords={"step": steps},
    )
    if metrics is None:
        metrics = {name: np.full(len(steps), np.nan) for name in ("train", "test")}
    logged = xr.Dataset(
        {f"{name}_accuracy": ("step", np.asarray(values)) for name, values in metrics.items()},
        coords={"step": steps},
    )
    return SimpleNamespace(
        weights=weights,
        parameters=weights,
        metrics=logged,
        config=nets.TrainingConfig(p=p, neurons=neurons, **settings),
        knows_split=True,
        train_pairs=train,
        test_pairs=test,
        path=Path("made"),
        seed=0,
    )


def waves(A, B):
    """Weights (neuron, p) of complex waves (neuron, K)."""
    none = np.zeros(len(A))
    return fourier.from_waves(none, A), fourier.from_waves(none, B)


def knowing_network(p, copies=4, size=1.0):
    """Aligned single-frequency neurons of every frequency, phases evenly spread: always right."""
    k = (p - 1) // 2
    phi = 2 * np.pi * np.arange(copies * 5) / (copies * 5)
    own = np.repeat(np.eye(k), len(phi), axis=0)
    turn = np.tile(phi, k)[:, None]
    return waves(size * own * np.exp(1j * turn), size * own * np.exp(2j * turn))


def grokking_run(**settings):
    """Twelve checkpoints that know nothing, then the training pairs (by the log), then all."""
    rng = np.random.default_rng(0)
    nothing = rng.normal(size=(2, 60, SMALL_P)) / 100
    knows = np.stack(knowing_network(SMALL_P))
    parts = [nothing, nothing + knows / 100, knows]
    layers = np.stack([parts[min(row // 4, 2)] for row in range(12)], axis=1)
    metrics = {
        "train": [0.1] * 3 + [0.8] + [1.0] * 8,
        "test": [0.0] * 7 + [0.9] + [1.0] * 4,
    }
    train = split_pairs(SMALL_P, 0.6, 0)[0]
    return made_run(*layers, train=train, metrics=metrics, **settings)


def decaying_run(ratio, **settings):
    """A run that has memorised at once, whose losing waves decay at a ratio of the decay's rate."""
    steps = np.arange(30) * 100
    rate, strength = 1e-3, 2.0
    rng, k = np.random.default_rng(0), (SMALL_P - 1) // 2
    own = np.eye(k)[rng.integers(k, size=8)]
    A, B = rng.normal(size=(2, 8, k)) + 1j * rng.normal(size=(2, 8, k))
    left = 0.1 * np.exp(-ratio * rate * strength * steps)[:, None, None]
    theta, xi = (
        np.stack([fourier.from_waves(np.zeros(8), row) for row in 9 * own + (1 - own) * left * X])
        for X in (A, B)
    )
    logged = {"train": np.ones(30), "test": np.where(steps < 1500, 0.5, 1.0)}
    settings = {"optimizer": "adamw", "weight_decay": strength} | settings
    train = split_pairs(SMALL_P, 0.6, 0)[0]
    return made_run(
        theta, xi, train=train, steps=steps, metrics=logged, learning_rate=rate, **settings
    )


def table(machine):
    """Transitions and outputs of a machine as arrays."""
    return np.array(machine.transitions), np.array(machine.outputs)
