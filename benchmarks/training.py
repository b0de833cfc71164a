"""Training steps, beside plain PyTorch loops over all ordered pairs with autograd.

Both start from the same weights and take the same steps on one thread, in float32. Neither logs
anything while it is timed. The error is the larger of the relative differences between the losses
and between the weights of the two after 50 steps. Times are of the processor, as trainings are long
enough for other processes to come between.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grokode import nets

from .record import row

STEPS = 50
REPEATS = 3
PLAIN = "plain PyTorch loop, autograd, one thread"
MODULES = "linear modules over one-hot pairs, autograd, one thread"
VMAP = "torch.func.vmap of grad over the seeds, one thread"
# Nothing is logged or saved but before the first and after the last step.
SILENT: dict[str, Any] = {"checkpoint_every": 10**9, "log_every": 10**9}
ACTIVATIONS = {"quadratic": torch.square, "relu": torch.relu}
Form = Callable[[Tensor], Tensor]
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
    """A training: its processor time, mean loss at the end, and weights (layer, neuron, p)."""

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
            name = f"training step, p = {p}, {name}"
            results.append(beside(name, config, steps, partial(plain, config), PLAIN))
            if p == moduli[0]:
                theirs = partial(plain, config, form=one_hot)
                results.append(beside(name, config, steps, theirs, MODULES))
    steps = max(20, timed // moduli[0] ** 2)
    config = nets.TrainingConfig(p=moduli[0], neurons=neurons, **RECIPES["ReLU, AdamW"], **SILENT)
    results += _several_seeds(config, steps, seeds)
    results.append(_grokking(moduli[0], neurons, steps, total))
    return results


def ours(config: nets.TrainingConfig, steps: int, seeds: Sequence[int] = (0,)) -> Trained:
    """Our training; loss and weights are those of the last seed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = nets.train(config.replace(steps=steps), Path(folder) / "run", seeds=seeds)
        seconds = time.process_time() - began
        last = run.select(seeds[-1])
        return Trained(seconds, float(last.metrics.train_loss[-1]), _layers(last, -1))


def embedded(x: Tensor, y: Tensor, p: int) -> Form:
    """Hidden values from rows of theta (p, neuron)."""
    return lambda theta: functional.embedding(x, theta) + functional.embedding(y, theta)


def one_hot(x: Tensor, y: Tensor, p: int) -> Form:
    """Hidden values by a linear module over one-hot pairs, as papers' trainers have them."""
    pairs = (functional.one_hot(x, p) + functional.one_hot(y, p)).float()
    return lambda theta: functional.linear(pairs, theta.T)


def plain(
    config: nets.TrainingConfig, steps: int, seed: int = 0, form: Callable[..., Form] = embedded
) -> Trained:
    """The same training as one writes it down first."""
    (theta, xi), (x, y) = started(config, seed)
    hidden, answers = form(x, y, config.p), (x + y) % config.p
    activation = ACTIVATIONS[config.activation]

    def loss() -> Tensor:
        return functional.cross_entropy(activation(hidden(theta)) @ xi.T, answers)

    seconds = descend([theta, xi], loss, config, steps)
    weights = np.stack([layer.detach().numpy().T for layer in (theta, xi)])
    return Trained(seconds, float(loss().detach()), weights)


def vmapped(config: nets.TrainingConfig, steps: int, seeds: Sequence[int]) -> Trained:
    """Several seeds at once, by `torch.func.vmap`; loss and weights are those of the last."""
    starts = [started(config, seed) for seed in seeds]
    theta, xi = (
        torch.stack([layers[i].detach() for layers, _ in starts]).requires_grad_() for i in (0, 1)
    )
    x, y = (torch.stack([pairs[i] for _, pairs in starts]) for i in (0, 1))
    activation = ACTIVATIONS[config.activation]

    def loss(theta: Tensor, xi: Tensor, x: Tensor, y: Tensor) -> Tensor:
        hidden = activation(embedded(x, y, config.p)(theta))
        return functional.cross_entropy(hidden @ xi.T, (x + y) % config.p)

    gradient = torch.func.vmap(torch.func.grad(loss, (0, 1)))

    def pull() -> None:
        theta.grad, xi.grad = gradient(theta.detach(), xi.detach(), x, y)

    seconds = descend([theta, xi], pull, config, steps)
    weights = np.stack([layer[-1].detach().numpy().T for layer in (theta, xi)])
    return Trained(seconds, float(loss(theta[-1], xi[-1], x[-1], y[-1]).detach()), weights)


def started(
    config: nets.TrainingConfig, seed: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Theta and xi, each (p, neuron), as our training starts, and x and y of its pairs."""
    with tempfile.TemporaryDirectory() as folder:
        start = nets.train(config.replace(steps=1), Path(folder) / "run", seeds=[seed])
        theta, xi = (torch.tensor(layer.T.copy()).requires_grad_() for layer in _layers(start, 0))
        x, y = torch.tensor(start.train_pairs.T)
    return (theta, xi), (x, y)


def descend(
    parameters: Sequence[Tensor],
    loss: Callable[[], Tensor | None],
    config: nets.TrainingConfig,
    steps: int,
) -> float:
    """Seconds of torch's optimiser over so many steps of a loss, or of what fills the gradients."""
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    else:
        optimizer = torch.optim.AdamW(
            parameters,
            lr=config.learning_rate,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
        )
    began = time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rule.rate(step)
        optimizer.zero_grad()
        value = loss()
        if value is not None:
            value.backward()
        optimizer.step()
    return time.process_time() - began


def _layers(run: nets.Run, step: int) -> NDArray[Any]:
    weights = run.weights.isel(step=step)
    return np.stack([weights.theta.values, weights.xi.values])


def beside(
    name: str,
    config: nets.TrainingConfig,
    steps: int,
    theirs: Callable[[int], Trained],
    peer: str,
) -> dict[str, Any]:
    """A row: our training step, and that of another loop which takes the same steps."""
    seconds, others = _seconds_a_step(lambda n: ours(config, n), theirs, steps=steps)
    error = _difference(ours(config, STEPS), theirs(STEPS))
    return row(name, seconds * 1e3, "ms/step", error=error, peer=peer, theirs=others * 1e3)


def _several_seeds(config: nets.TrainingConfig, steps: int, count: int) -> list[dict[str, Any]]:
    seeds = range(count)
    together, alone, vmap = _seconds_a_step(
        lambda n: ours(config, n, seeds),
        lambda n: ours(config, n),
        lambda n: vmapped(config, n, seeds),
        steps=steps,
    )
    name = f"training step and seed, {count} seeds together, p = {config.p}, ReLU, AdamW"
    last, others = (
        ours(config, STEPS, seeds),
        (ours(config, STEPS, seeds[-1:]), vmapped(config, STEPS, seeds)),
    )
    return [
        row(
            name,
            together / count * 1e3,
            "ms/step",
            error=_difference(last, other),
            peer=peer,
            theirs=theirs * 1e3,
        )
        for peer, theirs, other in zip(
            ("ours, one seed alone", VMAP), (alone, vmap / count), others, strict=True
        )
    ]


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
