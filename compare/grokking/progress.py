"""How far a training has come at each of its checkpoints, measured from the weights alone.

Source: arXiv:2602.16849, section on grokking (Figure 14), for misalignment and sparsity.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.checkpoints import last_finite, over_checkpoints
from grokode.compare.grokking.forces import Decay, Pass, cosine, loss_gradient, push
from grokode.compare.grokking.split import GROUPS, KINDS
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = ["SERIES", "progress", "spread_steps"]

Array = NDArray[Any]

_OPERATIONS = 16e9  # of a gradient, in a second of a core

SERIES = {
    "train_loss": ("mean cross-entropy over the training pairs", "nats"),
    "test_loss": ("mean cross-entropy over the test pairs", "nats"),
    "train_accuracy": ("part of the training pairs answered rightly", "1"),
    "test_accuracy": ("part of the test pairs answered rightly", "1"),
    "mean_abs_sin": ("mean over neurons of |sin D| at the frequency of largest beta", "1"),
    "participation_theta": ("mean over neurons of sum alpha^4 / (sum alpha^2)^2", "1"),
    "participation_xi": ("mean over neurons of sum beta^4 / (sum beta^2)^2", "1"),
    "theta_norm": ("norm of the input weights", "weight"),
    "xi_norm": ("norm of the output weights", "weight"),
    "weight_norm": ("norm of all weights", "weight"),
    "gradient_norm": ("norm of the loss gradient", "nats/weight"),
    "decay_norm": ("decay times the norm of all weights", "weight"),
    "force_cosine": ("cosine between minus the gradient and minus the weights", "1"),
    "push_norm": ("norm of the loss's mean force since the checkpoint before", "weight"),
    "push_cosine": ("cosine between that force and minus the weights", "1"),
    "rest_theta": ("root mean square alpha of all but the winning frequencies", "weight"),
    "rest_xi": ("root mean square beta of all but the winning frequencies", "weight"),
}
"""What is measured at every checkpoint, with its unit."""


def progress(run: Run, pairs: xr.Dataset, steps: ArrayLike | None = None) -> xr.Dataset:
    """Losses, accuracies, alignment, sparsity and forces over the checkpoints of a run.

    Parameters
    ----------
    run : Run
        Of one seed, trained on addition with one set of input weights. Checkpoints are read one at
        a time.
    pairs : Dataset
        From `grokode.compare.grokking.split.pair_kinds` of its training pairs.
    steps : integers, optional
        The checkpoints to look at, increasing, as from `spread_steps`; all if not given.

    Returns
    -------
    Dataset over ``step``
        Everything in `SERIES`, as float64 arithmetic has it; ``accuracy (step, kind)`` over all
        pairs of each kind and ``group_accuracy (step, group)`` over the training pairs of each
        group; ``correct (step, x, y)``, whether a pair is answered rightly; ``leader (step,
        neuron)``, the frequency of largest beta. The winning frequencies are the leaders of the
        last finite checkpoint. Where weights are not finite numbers are NaN, leaders 0 and nothing
        is correct; attribute ``skipped`` lists those steps. Means over no pairs are NaN.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.compare.grokking.split import pair_kinds
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(config, f"{folder}/run")
    ...     series = progress(run, pair_kinds(5, run.train_pairs))
    >>> series.correct.shape
    (3, 5, 5)
    """
    steps = run.weights.step.values if steps is None else np.asarray(steps)
    last = last_finite(run)
    measure = _Measurement(run, pairs, None if last is None else _leaders(last.xi))
    rows, skipped = [], []
    before, step_before = None, 0
    for now in over_checkpoints(run, steps):
        if now.reason:
            skipped.append(now.step)
            rows.append(measure.nothing())
            continue
        layers = np.stack([now.theta, now.xi])
        rows.append(measure(layers, now.step, before, step_before))
        before, step_before = layers, now.step
    dims = {
        "accuracy": ("kind",),
        "group_accuracy": ("group",),
        "correct": ("x", "y"),
        "leader": ("neuron",),
    }
    series = xr.Dataset(
        {
            name: (("step", *dims.get(name, ())), np.array([row[name] for row in rows]))
            for name in (*SERIES, *dims)
        },
        coords={"step": steps, "kind": list(KINDS), "group": list(GROUPS)},
        attrs={"p": pairs.attrs["p"], "skipped": skipped},
    )
    for name, (text, units) in SERIES.items():
        series[name].attrs = {"long_name": text, "units": units}
    return series


def spread_steps(run: Run, affordable: float, needed: Sequence[int]) -> Array:
    """Checkpoints to look at within a time: all, or as many as it allows, evenly spread.

    Parameters
    ----------
    run : Run
    affordable : float
        Seconds of a core, not negative; measured at p = 97 to hold within a factor of two.
    needed : sequence of int
        Steps whose first checkpoint at or after them is among those chosen, as are the first and
        the last.

    Returns
    -------
    integer array, increasing
    """
    if not affordable >= 0:
        raise ValueError(f"affordable must be a number of seconds, at least 0, got {affordable}")
    every, p = run.weights.step.values, run.config.p
    cost = 3 * p**2 * (p + 1) * run.config.neurons / _OPERATIONS
    count = min(len(every), max(2, round(min(affordable / cost, len(every)))))
    chosen = np.linspace(0, len(every) - 1, count).round().astype(int)
    later = np.searchsorted(every, np.asarray(needed, dtype=int))
    return every[np.union1d(chosen, later[later < len(every)])]


class _Measurement:
    """Measures one checkpoint after another of a run."""

    def __init__(self, run: Run, pairs: xr.Dataset, winners: Array | None) -> None:
        self._activation = run.config.activation
        self._decay = Decay.of(run.config)
        self._train, self._test = tuple(run.train_pairs.T), tuple(run.test_pairs.T)
        self._kinds = [pairs.kind.values == kind for kind in KINDS]
        self._groups = [pairs.group.values == group for group in GROUPS]
        p = pairs.attrs["p"]
        # The network is symmetric: pairs with x <= y are all there is to compute.
        self._pairs = np.stack(np.triu_indices(p), -1)
        trained = self._kinds[0].astype(float)
        counts = np.triu(trained) + np.triu(trained.T, 1)
        scale = 1 if run.config.loss == "sum" else 1 / trained.sum()
        self._weights = counts[tuple(self._pairs.T)] * scale
        self._winners = winners
        self._shape = (run.config.neurons, p)

    def nothing(self) -> dict[str, Any]:
        """The row of a checkpoint whose weights are not finite."""
        neurons, p = self._shape
        return dict.fromkeys(SERIES, np.nan) | {
            "accuracy": np.full(len(KINDS), np.nan),
            "group_accuracy": np.full(len(GROUPS), np.nan),
            "correct": np.zeros((p, p), dtype=bool),
            "leader": np.zeros(neurons, dtype=int),
        }

    def __call__(
        self, layers: Array, step: int, before: Array | None, step_before: int
    ) -> dict[str, Any]:
        """Everything about one checkpoint; ``before`` is the measured one before it."""
        done = loss_gradient(layers[0], layers[1], self._activation, self._pairs, self._weights)
        return (
            self._answers(done)
            | self._forces(done, layers, step, before, step_before)
            | (self._waves(layers))
        )

    def _answers(self, done: Pass) -> dict[str, Any]:
        x, y = self._pairs.T
        p = self._shape[1]
        losses, correct = np.empty((p, p)), np.empty((p, p), dtype=bool)
        right = done.logits.argmax(-1) == (x + y) % p
        for table, values in ((losses, done.losses), (correct, right)):
            table[x, y] = table[y, x] = values
        return {
            "train_loss": _mean(losses[self._train]),
            "test_loss": _mean(losses[self._test]),
            "train_accuracy": _mean(correct[self._train]),
            "test_accuracy": _mean(correct[self._test]),
            "accuracy": [_mean(correct[mask]) for mask in self._kinds],
            "group_accuracy": [_mean(correct[mask]) for mask in self._groups],
            "correct": correct,
        }

    def _forces(
        self, done: Pass, layers: Array, step: int, before: Array | None, step_before: int
    ) -> dict[str, float]:
        gradient = np.stack([done.theta_gradient, done.xi_gradient])
        decay = self._decay.at(step)
        norms = [float(np.linalg.norm(layer)) for layer in layers]
        total = float(np.hypot(norms[0], norms[1]))
        if before is None:
            pushed = np.full_like(layers, np.nan)
        else:
            pushed = push(before, layers, step - step_before, self._decay, step_before)
        return {
            "theta_norm": norms[0],
            "xi_norm": norms[1],
            "weight_norm": total,
            "gradient_norm": float(np.linalg.norm(gradient)),
            "decay_norm": decay * total,
            "force_cosine": cosine(gradient, layers),
            "push_norm": float(np.linalg.norm(pushed)),
            "push_cosine": -cosine(pushed, layers if before is None else layers + before),
        }

    def _waves(self, layers: Array) -> dict[str, Any]:
        _, waves = fourier.to_waves(layers)
        A, B = waves
        leader = _leaders(layers[1])
        at = np.arange(len(A)), leader - 1
        # Unit phasors: squares of tiny waves would underflow.
        misalignment = 2 * np.angle(A[at]) - np.angle(B[at])
        rest = np.arange(1, A.shape[1] + 1) != np.asarray(self._winners)[:, None]
        sizes = np.abs(waves)
        return {
            "mean_abs_sin": float(np.abs(np.sin(misalignment)).mean()),
            "participation_theta": _participation(sizes[0]),
            "participation_xi": _participation(sizes[1]),
            "rest_theta": float(np.sqrt(_mean(sizes[0][rest] ** 2))),
            "rest_xi": float(np.sqrt(_mean(sizes[1][rest] ** 2))),
            "leader": leader,
        }


def _leaders(xi: Array) -> Array:
    """Frequency of largest beta of every neuron."""
    return 1 + np.abs(fourier.to_waves(xi)[1]).argmax(-1)


def _participation(sizes: Array) -> float:
    """Mean over neurons of the inverse participation ratio; a neuron without waves is left out."""
    powers = sizes**2
    powers = powers[powers.any(-1)]
    shares = powers / powers.sum(-1, keepdims=True)
    return _mean((shares**2).sum(-1))


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
