"""Full-batch training of the two-layer network into a run that survives being killed."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from grokode.nets import tasks
from grokode.nets.config import TrainingConfig
from grokode.nets.initial import INITIALISATIONS
from grokode.nets.mlp import Batch, Gradient
from grokode.nets.runs import Run, RunWriter, never_published
from grokode.theory import fourier

__all__ = ["DivergedError", "train"]

OnStep = Callable[[int, float, float], None]


class DivergedError(RuntimeError):
    """The loss stopped being finite; what was saved before is kept."""


def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    initial: xr.Dataset | None = None,
    train_pairs: ArrayLike | None = None,
    resume: bool = False,
    on_step: OnStep | None = None,
) -> Run:
    """Train a network and return its run, which is written as training goes.

    The checkpoint of step s holds the weights after s updates, so step 0 is the start. Metrics
    logged at step s belong to those same weights. The last step always has both.

    Parameters
    ----------
    config : TrainingConfig
    out : path
        Directory of the run; it must not exist unless resumed.
    initial : Dataset, optional
        Spectrum (neuron, frequency) to start from, in place of the configured initialisation.
    train_pairs : integers (n, 2), optional
        Pairs to train on, in place of the configured fraction; the others are the test set.
    resume : bool
        Go on with the run in `out` from its last checkpoint, to the same result (the same bits on
        the same CPU) as if it had never stopped. Start afresh if there is no run yet. The
        configuration must be that of the run, but for ``steps`` and ``stop_loss``.
    on_step : function (step, loss, accuracy), optional
        Called at every logged step.

    Raises
    ------
    FileExistsError
        If `out` exists and is not resumed.
    DivergedError
        If the loss or a weight stops being finite. Earlier checkpoints are kept.
    ValueError
        For a start, pairs or a run that do not fit the configuration.

    Examples
    --------
    >>> import tempfile
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(config, Path(folder) / "run").weights.step.values.tolist()
    [0, 10, 20]
    """
    path = Path(out)
    if initial is not None:
        config = replace(config, initial="given")
    if train_pairs is not None:
        config = replace(config, train_fraction=len(np.asarray(train_pairs)) / config.p**2)
    resuming = resume and (path / "run.json").exists()
    if path.exists() and not resuming and not (resume and never_published(path)):
        raise FileExistsError(
            f"{path} exists and is not overwritten; choose another directory, or resume a run"
        )
    if resuming:
        _check_same(config, Run(path))
    else:
        # Everything that can be refused is refused before a directory is made.
        theta, xi = _initial_weights(config, initial)
        pairs = _split(config, train_pairs)
    device = _device(config.device)
    with RunWriter(path) as writer:
        if resuming:
            writer.reopen(config)
        else:
            writer.create(config, *pairs, {"device": device, "seconds": 0.0})
            batches = _batches(*pairs, config, device)
            start = _on(device, theta, xi)
            first = _metrics(0, start[0], start[1], batches, config)
            writer.append([0], theta[None], xi[None], [first], {}, 0.0)
        _advance(Run(path), writer, config, device, on_step)
    return Run(path)


def _advance(
    run: Run, writer: RunWriter, config: TrainingConfig, device: str, on_step: OnStep | None
) -> None:
    """Train from the last checkpoint on; a new training is one resumed at step 0."""
    last = run.weights.isel(step=-1)
    step = int(last.step)
    if config.stop_loss is not None and _last_loss(run) < config.stop_loss:
        return
    theta, xi = _on(device, last.theta.values, last.xi.values)
    batches = _batches(run.train_pairs, run.test_pairs, config, device)
    gradient = Gradient(batches[0], config.activation, theta)
    theta.grad, xi.grad = gradient.theta, gradient.xi
    optimizer = _optimizer(config, theta, xi)
    if state := writer.state():
        optimizer.load_state_dict(state)
    logged: list[dict[str, float]] = []
    began = time.perf_counter() - run.attrs["seconds"]
    first = step
    while True:
        loss = gradient(theta, xi)
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss} at step {step} with learning_rate "
                f"{config.learning_rate}: lower it; the checkpoints of {run.path} are kept"
            )
        stop = step >= config.steps
        if step > first and (stop or step % config.log_every == 0):
            logged.append(_metrics(step, theta, xi, batches, config))
            if on_step is not None:
                on_step(step, logged[-1]["train_loss"], logged[-1]["train_accuracy"])
            if config.stop_loss is not None and logged[-1]["train_loss"] < config.stop_loss:
                stop = True
        if step > first and (stop or step % config.checkpoint_every == 0):
            writer.append(
                [step],
                theta.numpy(force=True)[None],
                xi.numpy(force=True)[None],
                logged,
                optimizer.state_dict(),
                time.perf_counter() - began,
            )
            logged = []
        if stop:
            return
        optimizer.step()
        step += 1


def _initial_weights(
    config: TrainingConfig, initial: xr.Dataset | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    if initial is None:
        if config.initial not in INITIALISATIONS:
            raise ValueError(
                f"initial {config.initial!r} names no recipe; pass the spectrum to start from, or "
                f"choose one of {', '.join(INITIALISATIONS)}"
            )
        draw = INITIALISATIONS[config.initial]
        initial = draw(config.p, config.neurons, config.scale, config.seed)
    weights = fourier.weights(initial)
    shape = (config.neurons, config.p)
    if weights.theta.shape != shape:
        raise ValueError(
            f"initial has weights of shape {weights.theta.shape}, the configuration asks for "
            f"(neurons, p) = {shape}; change one of them"
        )
    return weights.theta.values.astype(config.dtype), weights.xi.values.astype(config.dtype)


def _split(
    config: TrainingConfig, train_pairs: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if train_pairs is None:
        return tasks.split_pairs(config.p, config.train_fraction, config.seed)
    return tasks.complement(train_pairs, config.p)


def _device(name: str) -> str:
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _on(device: str, *arrays: NDArray[Any]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(array, device=device) for array in arrays)


def _batches(
    train: NDArray[Any], test: NDArray[Any], config: TrainingConfig, device: str
) -> tuple[Batch, Batch]:
    dtype = getattr(torch, config.dtype)
    return Batch.of(train, config.p, dtype, device), Batch.of(test, config.p, dtype, device)


def _optimizer(config: TrainingConfig, *weights: Tensor) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            weights,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(
        weights,
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
    )


def _metrics(
    step: int,
    theta: Tensor,
    xi: Tensor,
    batches: tuple[Batch, Batch],
    config: TrainingConfig,
) -> dict[str, float]:
    train, test = (batch.loss_and_accuracy(theta, xi, config.activation) for batch in batches)
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return {"step": step} | dict(zip(names, (*train, *test), strict=True))


def _last_loss(run: Run) -> float:
    return float(run.metrics.train_loss[-1])


def _check_same(config: TrainingConfig, run: Run) -> None:
    """Refuse to resume a run under another configuration; it may only be made longer."""
    may_differ = {"steps", "stop_loss", "device"}
    mine, stored = config.to_dict(), run.config.to_dict()
    for name in mine.keys() - may_differ:
        if mine[name] != stored[name]:
            raise ValueError(
                f"{name} is {stored[name]} in {run.path}, got {mine[name]}; resume with the run's "
                "own configuration"
            )
