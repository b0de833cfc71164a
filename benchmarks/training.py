"""Training steps, beside a plain PyTorch loop over all ordered pairs with autograd.

Both start from the same weights and take the same steps on one thread, in float32. Neither logs
anything while it is timed. The error is the larger of the relative differences between the losses
and between the weights of the two after 50 steps.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from grokode import nets

from .record import row

STEPS = 50
REPEATS = 3
PLAIN = "plain PyTorch loop, autograd, one thread"
# Nothing is logged or saved but before the first and after the last step.
SILENT: dict[str, Any] = {"checkpoint_every": 10**9, "log_every": 10**9}
RECIPES: dict[str, dict[str, Any]] = {
    "quadratic, SGD": {"activation": "quadratic", "optimizer": "sgd", "learning_rate": 0.1},
    "ReLU, AdamW": {
        "activation": "relu",
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "weight_decay": 2.0,
    },
}


@dataclass(frozen=True)
class Trained:
    """A training: its wall time, mean loss at the end, and weights (layer, neuron, p)."""

    seconds: float
    loss: float
    weights: NDArray[Any]


def rows(
    moduli: Sequence[int] = (23, 97),
    neurons: int = 512,
    timed: int = 1_000_000,
    seeds: int = 16,
    total: int = 50_000,
) -> list[dict[str, Any]]:
    """Milliseconds a step, and minutes of the longest published training.

    Parameters
    ----------
    moduli, neurons : as in `grokode.nets.TrainingConfig`
    timed : int
        Pairs to pass through each timed training, from which the number of its steps follows.
    seeds : int
        Networks trained side by side at the first modulus.
    total : int
        Steps to which the published training is extrapolated.
    """
    results = []
    for p in moduli:
        steps = max(20, timed // p**2)
        for name, recipe in RECIPES.items():
            config = nets.TrainingConfig(p=p, neurons=neurons, **recipe, **SILENT)
            results.append(_beside_plain(f"training step, p = {p}, {name}", config, steps))
    steps = max(20, timed // moduli[0] ** 2)
    config = nets.TrainingConfig(p=moduli[0], neurons=neurons, **RECIPES["ReLU, AdamW"], **SILENT)
    results.append(_several_seeds(config, steps, seeds))
    results.append(_grokking(moduli[0], neurons, steps, total))
    return results


def ours(config: nets.TrainingConfig, steps: int, seeds: Sequence[int] = (0,)) -> Trained:
    """Our training; loss and weights are those of the last seed."""
    with tempfile.TemporaryDirectory() as folder:
        run = nets.train(config.replace(steps=steps), Path(folder) / "run", seeds=seeds)
        last = run.select(seeds[-1])
        return Trained(
            run.attrs["seconds"],
            float(last.metrics.train_loss[-1]),
            _layers(last, -1),
        )


def plain(config: nets.TrainingConfig, steps: int, seed: int = 0) -> Trained:
    """The same training as one writes it down first."""
    with tempfile.TemporaryDirectory() as folder:
        start = nets.train(config.replace(steps=1), Path(folder) / "run", seeds=[seed])
        theta, xi = (torch.tensor(layer.T.copy()).requires_grad_() for layer in _layers(start, 0))
        x, y = torch.tensor(start.train_pairs.T)
    answers = (x + y) % config.p
    activation = {"quadratic": torch.square, "relu": torch.relu}[config.activation]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            [theta, xi],
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    else:
        optimizer = torch.optim.AdamW(
            [theta, xi],
            lr=config.learning_rate,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
        )

    def loss() -> torch.Tensor:
        hidden = activation(functional.embedding(x, theta) + functional.embedding(y, theta))
        return functional.cross_entropy(hidden @ xi.T, answers)

    began = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rule.rate(step)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    seconds = time.perf_counter() - began
    weights = np.stack([layer.detach().numpy().T for layer in (theta, xi)])
    return Trained(seconds, float(loss().detach()), weights)


def _layers(run: nets.Run, step: int) -> NDArray[Any]:
    weights = run.weights.isel(step=step)
    return np.stack([weights.theta.values, weights.xi.values])


def _beside_plain(name: str, config: nets.TrainingConfig, steps: int) -> dict[str, Any]:
    seconds, theirs = _seconds_a_step(
        lambda n: ours(config, n), lambda n: plain(config, n), steps=steps
    )
    return row(
        name,
        seconds * 1e3,
        "ms/step",
        error=_difference(ours(config, STEPS), plain(config, STEPS)),
        peer=PLAIN,
        theirs=theirs * 1e3,
    )


def _several_seeds(config: nets.TrainingConfig, steps: int, count: int) -> dict[str, Any]:
    seeds = range(count)
    together, alone = _seconds_a_step(
        lambda n: ours(config, n, seeds), lambda n: ours(config, n), steps=steps
    )
    last = ours(config, STEPS, seeds), ours(config, STEPS, seeds[-1:])
    return row(
        f"training step and seed, {count} seeds together, p = {config.p}, ReLU, AdamW",
        together / count * 1e3,
        "ms/step",
        error=_difference(*last),
        peer="ours, one seed alone",
        theirs=alone * 1e3,
    )


def _grokking(p: int, neurons: int, steps: int, total: int) -> dict[str, Any]:
    """With its own logging and checkpoints; the peer has none."""
    config = nets.preset("he2026/grokking", p=p, neurons=neurons)
    # Whole periods of both schedules, so that what is extrapolated has its share of each.
    steps = 200 * max(1, steps // 200)
    short, long = ours(config, 200), ours(config, 200 + steps)
    seconds = short.seconds + (long.seconds - short.seconds) / steps * (total - 200)
    return row(
        f"he2026/grokking, {total:,} steps extrapolated from {steps:,}",
        seconds / 60,
        "min",
        error=_difference(ours(config, STEPS), plain(config, STEPS)),
        peer=f"{PLAIN}, nothing logged",
        theirs=plain(config, steps).seconds / steps * total / 60,
    )


def _seconds_a_step(*sides: Callable[[int], Trained], steps: int) -> list[float]:
    """Of each side, without what a training of no matter how many steps needs to begin and end."""
    for side in sides:
        side(1)  # compiles
    times = np.empty((REPEATS, len(sides), 2))
    # In turn, so that what disturbs the machine for a while disturbs all sides.
    for repeat, (index, side) in product(range(REPEATS), enumerate(sides)):
        times[repeat, index] = side(1).seconds, side(1 + steps).seconds
    short, long = times.min(axis=0).T
    return [float(seconds) for seconds in (long - short) / steps]


def _difference(one: Trained, other: Trained) -> float:
    """The larger relative difference, of the losses or of the weights."""
    weights = float(np.linalg.norm(one.weights - other.weights) / np.linalg.norm(other.weights))
    return max(abs(one.loss / other.loss - 1), weights)
