"""Published trainings on a card: seconds for the whole of each, the floor, and plain PyTorch.

A training is timed with its own metrics and checkpoints, a long one over some of its steps and
extrapolated, as its name then says. The floor is what the operations of its steps would take at the
speed of this card's own matrix products, or its parameters, gradients and moments at the speed of
its own copies, whichever is longer: with nothing else read or written, and no time between kernels.
Peers log nothing.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from grokode import nets
from grokode.nets.tasks.examples import Examples
from grokode.nets.training import requests
from grokode.nets.training.ensemble import Ensemble

from .card_operations import Operations
from .record import row

__all__ = ["ensemble_of", "floor", "peaks", "plain", "training_row", "transformer_rows"]
__all__ += ["two_layer_rows"]

PLAIN = "plain PyTorch, autograd, fused optimiser"
VMAP = "torch.func.vmap of it"
PEER_STEPS = 200


def two_layer_rows() -> Iterator[dict[str, Any]]:
    """Of ``he2026/standard``, 256 seeds of it, and ``he2026/grokking``."""
    speeds = peaks()
    yield from _speed_rows(speeds)
    standard, grokking = nets.preset("he2026/standard"), nets.preset("he2026/grokking")
    yield training_row("he2026/standard", standard, 1, standard.steps, speeds)
    yield training_row("he2026/standard", standard, 256, standard.steps, speeds)
    yield training_row("he2026/grokking", grokking, 1, 10_000, speeds)


def transformer_rows() -> Iterator[dict[str, Any]]:
    """Of ``nanda2023/mainline``, and 16 seeds of it."""
    speeds = peaks()
    mainline = nets.preset("nanda2023/mainline")
    yield training_row("nanda2023/mainline", mainline, 1, 4_000, speeds)
    yield training_row("nanda2023/mainline", mainline, 16, 1_000, speeds)


def peaks(device: str = "cuda", size: int = 8192) -> dict[str, float]:
    """Operations a second of a float32 matrix product, and bytes a second of a copy, measured."""
    one, other = torch.randn(2, size, size, device=device)
    product = _seconds(lambda: one @ other, device)
    copy = _seconds(lambda: one.copy_(other), device)
    return {"operations": 2 * size**3 / product, "bytes": 2 * one.nbytes / copy}


def floor(config: nets.TrainingConfig, seeds: int, speeds: Mapping[str, float]) -> float:
    """Seconds that a step takes at least at these speeds."""
    ensemble = ensemble_of(config, range(seeds))
    with Operations() as written:
        ensemble._marked_loss(0)
    # Parameters read and written, the gradient read, and two moments read and written by AdamW.
    passes = {"adamw": 7, "adam": 7, "sgd": 5 if config.momentum else 3}[config.optimizer]
    moved = passes * ensemble._buffer.nbytes
    return max(written.computed / speeds["operations"], moved / speeds["bytes"])


def ensemble_of(config: nets.TrainingConfig, seeds: Any) -> Ensemble:
    """An ensemble as `grokode.nets.train` makes it."""
    device = requests.device_of(config)
    chosen = requests.split(config, seeds, None)["train"]
    examples = Examples.of(
        config.data,
        seeds,
        [*chosen],
        symmetric=config.symmetric,
        dtype=getattr(torch, config.dtype),
        device=device,
    )
    return Ensemble(config, seeds, requests.start(config, seeds, None), examples, device)


def training_row(
    name: str, config: nets.TrainingConfig, seeds: int, steps: int, speeds: Mapping[str, float]
) -> dict[str, Any]:
    """One training beside its peer.

    Parameters
    ----------
    name : str
    config : TrainingConfig
        With the schedule of the whole training.
    seeds : int
    steps : int
        To be timed, all or fewer.
    speeds : mapping
        Of the card, see `peaks`.
    """
    total = config.steps
    _train(config.replace(steps=1), seeds)  # compiles
    seconds = _train(config.replace(steps=steps), seeds)
    if steps < total:
        # What a training needs to begin and end is no part of what is extrapolated.
        once = _train(config.replace(steps=1), seeds)
        seconds = once + (seconds - once) * total / steps
    count = f"{seeds} seeds of " if seeds > 1 else ""
    timed = f", extrapolated from {steps:,} steps" if steps < total else ""
    peer, theirs = f"{PLAIN}, nothing logged", _peer(config, seeds, total)
    if seeds > 1:
        peer = f"{VMAP}, nothing logged"
    least = floor(config, seeds, speeds) * total
    return row(f"{count}{name}, {total:,} steps{timed}", seconds, "s", peer=peer, theirs=theirs) | {
        "seed_steps_per_second": seeds * total / seconds,
        "floor": least,
        "times_the_floor": seconds / least,
        "memory_needed": nets.memory_needed(config, seeds),
    }


def _train(config: nets.TrainingConfig, seeds: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = nets.train(config, Path(folder) / "run", seeds=range(seeds))
        return float(run.attrs["seconds"])


def _peer(config: nets.TrainingConfig, seeds: int, total: int) -> float | str:
    try:
        return plain(config, seeds, PEER_STEPS)[0] * total
    except Exception as error:  # whatever goes wrong in a peer, our own number still stands
        return f"{type(error).__name__}: {error}".splitlines()[0]


def plain(config: nets.TrainingConfig, seeds: int, steps: int) -> tuple[float, Tensor]:
    """Seconds a step of the same training as one writes it down first, and the last loss (seed,).

    Several seeds are a vmap of one. The seconds leave out a few first steps.
    """
    device, task = requests.device_of(config), config.data
    start = requests.start(config, range(seeds), None)
    leaves = {name: torch.tensor(v, device=device).requires_grad_() for name, v in start.items()}
    chosen = requests.split(config, range(seeds), None)["train"]
    inputs = torch.tensor(np.asarray(task.inputs)[chosen], device=device)
    answers = torch.tensor(
        np.stack([task.answers(seed)[rows] for seed, rows in enumerate(chosen)]), device=device
    )
    forward = _two_layer if isinstance(config.network, nets.networks.TwoLayer) else _transformer
    make = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[config.optimizer]
    options = {"betas": config.betas, "eps": config.eps} if config.optimizer == "adamw" else {}
    optimizer = make(
        [*leaves.values()],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
        **options,
    )

    def loss_of(parameters: dict[str, Tensor], pairs: Tensor, right: Tensor) -> Tensor:
        return cross_entropy(forward(config, parameters, pairs), right)

    def loss() -> Tensor:
        if seeds == 1:
            return loss_of({n: leaf[0] for n, leaf in leaves.items()}, inputs[0], answers[0])[None]
        return torch.func.vmap(loss_of)(leaves, inputs, answers)

    values, began, warm = torch.zeros(seeds), 0.0, min(10, steps // 2)
    for step in range(steps):
        if step == warm:
            _wait(device)
            began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = config.rule.rate(step)
        optimizer.zero_grad()
        values = loss()
        values.sum().backward()
        optimizer.step()
    _wait(device)
    return (time.perf_counter() - began) / (steps - warm), values.detach()


def _two_layer(config: nets.TrainingConfig, parameters: dict[str, Tensor], pairs: Tensor) -> Tensor:
    activation: Callable[[Tensor], Tensor]
    activation = {"quadratic": torch.square, "relu": torch.relu}[config.activation]
    theta, xi = parameters["theta"], parameters["xi"]
    return activation(theta.T[pairs[:, 0]] + theta.T[pairs[:, 1]]) @ xi


def _transformer(
    config: nets.TrainingConfig, parameters: dict[str, Tensor], pairs: Tensor
) -> Tensor:
    whole = {name: value[None] for name, value in parameters.items()}
    logits: Tensor = config.network.outputs(whole, pairs)  # type: ignore[arg-type]
    return logits[0]


def _speed_rows(speeds: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    yield row("float32 matrix product, this card", 1e12 / speeds["operations"], "s/TFLOP")
    yield row("copy, this card", 1e12 / speeds["bytes"], "s/TB")


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _seconds(function: Callable[[], Any], device: str, repeats: int = 10) -> float:
    """The least of some times."""
    times = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        function()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
