"""What every reader gives: one record of a training, checked, before anything is written."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grokode.nets import tasks
from grokode.nets.config import TrainingConfig
from grokode.nets.mlp import Examples, Gradient, evaluate, outputs

__all__ = ["LARGEST_P", "Imported", "Reader", "check_losses", "check_size"]

LARGEST_P = 1021
"""A table of all pairs times their outputs is 8 GiB here: a tiny file can declare far more."""

_ROUNDINGS = 32
"""Float32 roundings of the largest logit (or of 1) by which a loss recomputed in float64 may be off
the stored one. On the 300 published checkpoints of arXiv:2602.16849 it is 3.4 at most, and a wrong
activation shows by 6 or more at the first of them, by thousands at the last."""

_UPDATES = 10
"""Where the loss of a checkpoint is stored only for the update before: how many times the largest
change between recorded losses it may have moved since. On the published runs it is 1 at most."""


@dataclass(frozen=True)
class Imported:
    """A training as a reader found it.

    Parameters
    ----------
    config : TrainingConfig
        With ``initial="published"``: no recipe of ours drew the start.
    parameters : mapping step -> {name: array}
        Weights of each checkpoint by name: theta, theta_y where the network has one, and xi, each
        (neuron, residue).
    metrics : mapping step -> {name: number}, optional
        Stored numbers of each step, named as in `grokode.nets.runs.METRICS`; those missing are NaN.
    train, test : integers (n, 2), optional
        Pairs trained on and held out; None where nobody knows.
    attrs : mapping, optional
        What else is known, plain values by name; ``source`` names what was read.
    """

    config: TrainingConfig
    parameters: Mapping[int, Mapping[str, NDArray[Any]]]
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    train: NDArray[np.int64] | None = None
    test: NDArray[np.int64] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def layers(self, step: int) -> torch.Tensor:
        """Weights of a checkpoint as `grokode.nets.mlp` has them, (layer, 1, p, neuron)."""
        named = self.parameters[step].values()
        return torch.tensor(np.stack([w.T for w in named])[:, None], dtype=torch.float64)

    def examples(self, pairs: NDArray[np.int64]) -> Examples:
        """Pairs with the answers of the task."""
        table = [tasks.table(self.config.task, self.config.p)]
        return Examples.of([pairs], table, symmetric=self.config.symmetric)

    def measured(self, step: int) -> dict[str, float]:
        """Metrics of a checkpoint, computed from its weights; of them all but its norm needs pairs.

        Returns
        -------
        dict
            In the order of `grokode.nets.runs.METRICS`.
        """
        layers = self.layers(step)
        norm = {"weight_norm": float(layers.norm())}
        if self.train is None or self.test is None:
            return norm
        sets = [self.examples(pairs) for pairs in (self.train, self.test)]
        losses, accuracies = zip(
            *(evaluate(layers, examples, self.config.activation) for examples in sets), strict=True
        )
        gradient = Gradient(sets[0], self.config.activation, layers)
        gradient()
        names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
        numbers = dict(zip(names, map(float, (*losses, *accuracies)), strict=True))
        return numbers | {"gradient_norm": float(gradient.value.norm())} | norm


@dataclass(frozen=True)
class Reader:
    """A kind of checkpoints that can be read.

    Parameters
    ----------
    reads : str
        What its files are, in a few words, for errors and help.
    recognise : function path -> bool
        Whether a file or directory looks like this kind; cheap, and True or False for any path.
    read : function (path, *, ...) -> Imported
        Reads it, or raises a ValueError of one line that names the file. Keyword arguments are
        what a user can say about it; each must have a default.
    """

    reads: str
    recognise: Callable[[Path], bool]
    read: Callable[..., Imported]

    @property
    def options(self) -> tuple[str, ...]:
        """What a user can say about such files: the names of the keyword arguments of `read`."""
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def check_size(p: int) -> None:
    """Raise a ValueError if a modulus is so large that its pairs would not fit in memory."""
    if p > LARGEST_P:
        raise ValueError(
            f"p = {p} is beyond {LARGEST_P}, the largest whose pairs are held here; if the weights "
            "are stored the other way round, transpose them"
        )


def check_losses(imported: Imported) -> None:
    """Hold stored losses against those of the weights, at the first and last checkpoint.

    Where a loss is stored for the very step of a checkpoint, float32 rounding may lie between;
    where only that of the step before is, one update more.

    Raises
    ------
    ValueError
        If they disagree, naming both.
    """
    steps = sorted(imported.parameters)
    for name, pairs in (("train_loss", imported.train), ("test_loss", imported.test)):
        curve = {
            step: row[name]
            for step, row in sorted(imported.metrics.items())
            if np.isfinite(row.get(name, np.nan))
        }
        if pairs is None or not len(pairs) or not curve:
            continue
        examples = imported.examples(pairs)
        exact = [step for step in steps if step in curve]
        for step in sorted({steps[0], steps[-1], *exact[:1], *exact[-1:]}):
            _check_loss(imported, name, step, examples, curve)


def _check_loss(
    imported: Imported, name: str, step: int, examples: Examples, curve: Mapping[int, float]
) -> None:
    config = imported.config
    recorded = np.array(list(curve))
    before = recorded[recorded <= step]
    between = np.abs(np.diff(list(curve.values())))
    at = int(before[-1]) if len(before) else step
    if at not in curve or (at < step and (not len(between) or step - at > np.diff(recorded).max())):
        return  # nothing recorded is near enough
    layers = imported.layers(step)
    loss = float(evaluate(layers, examples, config.activation)[0])
    largest = float(outputs(layers, examples, config.activation).abs().max())
    allowed = _ROUNDINGS * np.finfo(np.float32).eps * (1 + largest)
    if at < step:
        allowed += _UPDATES * between.max()
    if not abs(loss - curve[at]) <= allowed:
        raise ValueError(
            f"{imported.attrs.get('source')}: its weights of step {step}, read as {config.neurons} "
            f"{config.activation} neurons on {config.task} mod {config.p}, have {name} {loss:.5g}, "
            f"but {curve[at]:.5g} is stored for step {at}; give the activation it was trained "
            "with, or fetch the files again"
        )
