"""What every reader gives: one record of a training, checked, before anything is written."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.runs import METRICS
from grokode.nets.tasks.examples import Examples
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.ensemble import Ensemble

__all__ = ["LARGEST_P", "Imported", "Reader", "check_losses", "check_size"]

LARGEST_P = 1021
"""A table of all pairs times their outputs is 8 GiB here: a tiny file can declare far more."""

_ROUNDINGS = 32
"""Float32 roundings of the largest logit (or of 1) by which a loss recomputed in float64 may be off
the stored one. On the 300 published checkpoints of arXiv:2602.16849 it is 3.0 at most, and a wrong
activation shows by 200 or more at the first of them, where all logits are still small."""

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
        Parameters of each checkpoint, named and shaped as the network of `config` lays them out.
    metrics : mapping step -> {name: number}, optional
        Stored numbers of each step, named as in `grokode.nets.runs.METRICS`; those missing are NaN.
    train, test : integers (n,), optional
        Examples trained on and held out, as indices into ``config.data.inputs``; None where nobody
        knows.
    attrs : mapping, optional
        What else is known, plain values by name; ``source`` names what was read.
    """

    config: TrainingConfig
    parameters: Mapping[int, Mapping[str, NDArray[Any]]]
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    train: NDArray[np.int64] | None = None
    test: NDArray[np.int64] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def examples(self, chosen: NDArray[np.int64]) -> Examples:
        """Examples with their answers, by their indices."""
        config = self.config
        return Examples.of(config.data, [config.seed], [chosen], symmetric=config.symmetric)

    def outputs(self, step: int, examples: Examples) -> Tensor:
        """Outputs (1, example, class) of a checkpoint, in float64."""
        named = {
            name: torch.tensor(values[None], dtype=torch.float64)
            for name, values in self.parameters[step].items()
        }
        return self.config.network.outputs(named, examples.inputs)

    def measured(self, step: int) -> dict[str, float]:
        """Metrics of a checkpoint, from its parameters; all but their norm need the examples."""
        if self.train is None or self.test is None:
            squares = (
                float(np.square(w, dtype=float).sum()) for w in self.parameters[step].values()
            )
            return {"weight_norm": math.sqrt(sum(squares))}
        parts = [self.examples(chosen) for chosen in (self.train, self.test)]
        ensemble = Ensemble(
            self.config.replace(dtype="float64"),
            [self.config.seed],
            {name: values[None] for name, values in self.parameters[step].items()},
            parts[0],
            "cpu",
        )
        ensemble.loss(0)
        return dict(zip(METRICS, ensemble.measure(*parts)[0].tolist(), strict=True))


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
    for name, chosen in (("train_loss", imported.train), ("test_loss", imported.test)):
        curve = {
            step: row[name]
            for step, row in sorted(imported.metrics.items())
            if np.isfinite(row.get(name, np.nan))
        }
        if chosen is None or not len(chosen) or not curve:
            continue
        examples = imported.examples(chosen)
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
    values = imported.outputs(step, examples)
    loss = float(config.data.evaluate(values, examples)[0])
    largest = float(values.abs().max())
    allowed = _ROUNDINGS * np.finfo(np.float32).eps * (1 + largest)
    if at < step:
        allowed += _UPDATES * between.max()
    if not abs(loss - curve[at]) <= allowed:
        raise ValueError(
            f"{imported.attrs.get('source')}: its weights of step {step} have {name} {loss:.5g}, "
            f"but {curve[at]:.5g} is stored for step {at}; they were read as {config.network} on "
            f"{config.data}: give the activation they were trained with, or fetch them again"
        )
