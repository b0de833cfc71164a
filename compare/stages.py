"""Grokking in stages: memorising, memorised, generalised, and what goes on in each.

The network *has memorised* from the first logged step on at which it answers every training pair
rightly, and *has generalised* from the first one at which it answers at least a threshold of the
test pairs rightly, each held over a few logged steps. A boundary that is not found has no step but
a reason.

Source: arXiv:2602.16849, section on grokking (Figures 14 to 17).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.forces import Decay
from grokode.compare.observe import training_rule
from grokode.compare.progress import progress
from grokode.compare.split import free_accuracy, pair_kinds, why_none_held_out
from grokode.compare.statistics import GROKKED
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = [
    "STAGES",
    "Boundary",
    "Stages",
    "boundary",
    "heatmaps",
    "milestones",
    "per_stage",
    "stages",
]

Array = NDArray[Any]

STAGES = ("memorising", "memorised", "generalised")

SUSTAINED = 3
"""Logged steps in a row at which a boundary's condition has to hold, the first included."""


@dataclass(frozen=True)
class Boundary:
    """Where a stage ends.

    Parameters
    ----------
    step : int or None
        None if it was not found.
    reason : str
        Why it was not found, or ``""``.
    definition : str
    lapses : int
        Logged steps after it at which the condition did not hold.
    """

    step: int | None
    reason: str
    definition: str
    lapses: int = 0


@dataclass(frozen=True, eq=False)
class Stages:
    """A training in stages.

    Parameters
    ----------
    memorised, generalised : Boundary
    series : Dataset over ``step``
        From `grokode.compare.progress.progress`, with a coordinate ``stage (step)``.
    pairs : Dataset
        From `grokode.compare.split.pair_kinds`.
    free_accuracy : dict
        From `grokode.compare.split.free_accuracy`.
    decay : Decay
    """

    memorised: Boundary
    generalised: Boundary
    series: xr.Dataset
    pairs: xr.Dataset
    free_accuracy: dict[str, float]
    decay: Decay

    @property
    def measured(self) -> xr.Dataset:
        """The series without the checkpoints whose weights are not finite."""
        return self.series.sel(step=~np.isin(self.series.step, self.series.attrs["skipped"]))

    def checkpoint(self, step: int | None) -> int | None:
        """First measured checkpoint at or after a step; None if there is none."""
        steps = self.measured.step.values
        later = steps[steps >= step] if step is not None else steps[:0]
        return int(later[0]) if len(later) else None


def stages(run: Run, threshold: float = GROKKED, sustained: int = SUSTAINED) -> Stages:
    """Stage boundaries of a training, and what happens at each of its checkpoints.

    Parameters
    ----------
    run : Run
        Of one seed, trained on addition.
    threshold : float
        Test accuracy from which on the network has generalised.
    sustained : int
        Logged steps in a row at which a boundary's condition has to hold.

    Returns
    -------
    Stages

    Raises
    ------
    ValueError
        For a threshold outside (0, 1], fewer than one sustained step, several seeds, or a run that
        is not of addition with one set of input weights.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = stages(train(config, f"{folder}/run"))
    >>> found.generalised.step, found.generalised.reason
    (None, 'the run has no test pairs')
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], such as 0.95, got {threshold}")
    if sustained < 1:
        raise ValueError(f"sustained must be at least 1 logged step, got {sustained}")
    p = training_rule(run).p
    pairs = pair_kinds(p, run.train_pairs)
    series = progress(run, pairs)
    memorised, generalised = _boundaries(run, series, threshold, sustained)
    stage = np.full(series.sizes["step"], STAGES[0], dtype=object)
    for name, found in zip(STAGES[1:], (memorised, generalised), strict=True):
        if found.step is not None:
            stage[series.step.values >= found.step] = name
    return Stages(
        memorised=memorised,
        generalised=generalised,
        series=series.assign_coords(stage=("step", stage.astype(str))),
        pairs=pairs,
        free_accuracy=free_accuracy(p, run.train_pairs, run.test_pairs),
        decay=Decay.of(run.config),
    )


def boundary(
    steps: ArrayLike, accuracy: ArrayLike, threshold: float, sustained: int, what: str
) -> Boundary:
    """First step at which an accuracy reaches a threshold and holds it.

    Parameters
    ----------
    steps, accuracy : arrays (n,)
        Values that are not finite are left out.
    threshold : float
    sustained : int
        How many in a row have to reach it, the first included.
    what : str
        The accuracy's name, for definition and reason.

    Returns
    -------
    Boundary

    Examples
    --------
    >>> boundary([0, 10, 20, 30, 40], [0, 1, 0.5, 1, 1], 1.0, 2, "training accuracy").step
    30
    >>> boundary([0, 10], [0.5, 1.0], 1.0, 2, "training accuracy").reason
    'training accuracy 1 was reached at step 10 but not held for 2 logged steps'
    """
    values = np.asarray(accuracy, dtype=float)
    known = np.isfinite(values)
    at, values = np.asarray(steps)[known], values[known]
    definition = f"first of {sustained} logged steps in a row with {what} of at least {threshold:g}"
    if not len(values):
        return Boundary(None, f"no {what} was logged", definition)
    reached = values >= threshold
    if not reached.any():
        reason = f"{what} never reached {threshold:g} (highest {values.max():.4g})"
        return Boundary(None, reason, definition)
    held = np.convolve(reached, np.ones(sustained), "full")[sustained - 1 :] == sustained
    if not held.any():
        reason = (
            f"{what} {threshold:g} was reached at step {at[reached.argmax()]} but not held for "
            f"{sustained} logged steps"
        )
        return Boundary(None, reason, definition)
    first = int(held.argmax())
    return Boundary(int(at[first]), "", definition, lapses=int((~reached[first:]).sum()))


def per_stage(found: Stages) -> xr.Dataset:
    """Means over the checkpoints of each stage, and the values at its last one.

    Parameters
    ----------
    found : Stages

    Returns
    -------
    Dataset over ``stage``
        Every series as ``(stage, summary)`` and the accuracies by kind and group, with ``summary``
        ``mean`` or ``end``; NaN for a stage without checkpoints. ``start, end`` (steps, -1 where
        there is none) and ``checkpoints``.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = per_stage(stages(train(config, f"{folder}/run")))
    >>> found.checkpoints.values.tolist(), found.end.values.tolist()
    ([3, 0, 0], [20, -1, -1])
    """
    series = found.measured.drop_vars(("correct", "leader"))
    rows, spans = [], []
    for name in STAGES:
        here = series.sel(step=series.stage == name).drop_vars("stage")
        steps = here.step.values
        spans.append((steps[0], steps[-1], len(steps)) if len(steps) else (-1, -1, 0))
        # A stage without checkpoints is one row of NaN.
        here = here if len(steps) else here.reindex(step=[-1])
        rows.append(xr.concat([here.mean("step"), here.isel(step=-1, drop=True)], "summary"))
    start, end, checkpoints = np.array(spans).T
    return (
        xr.concat(rows, "stage")
        .assign(start=("stage", start), end=("stage", end), checkpoints=("stage", checkpoints))
        .assign_coords(stage=list(STAGES), summary=["mean", "end"])
    )


def milestones(found: Stages) -> dict[str, int]:
    """Checkpoints to look at: the first, the first of each later stage, or the last instead.

    Parameters
    ----------
    found : Stages

    Returns
    -------
    dict of steps by name, increasing
        ``start``, ``memorised``, ``generalised``; ``last`` if one of these was not found. Empty
        if no checkpoint has finite weights.
    """
    steps = found.measured.step.values
    if not len(steps):
        return {}
    named = {"start": int(steps[0])}
    for name, at in zip(STAGES[1:], (found.memorised, found.generalised), strict=True):
        step = found.checkpoint(at.step)
        named |= {} if step is None else {name: step}
    if len(named) < 3:
        named["last"] = int(steps[-1])
    by_step = {step: name for name, step in reversed(named.items())}
    return {by_step[step]: step for step in sorted(by_step)}


def heatmaps(run: Run, found: Stages) -> xr.Dataset:
    """Weights in the real Fourier basis at the `milestones`, neurons sorted by their winner.

    Parameters
    ----------
    run : Run
    found : Stages
        Of that run.

    Returns
    -------
    Dataset
        ``theta, xi (step, neuron, component)``, with ``component`` const, cos 1, sin 1, ...;
        coordinates ``milestone (step)`` and ``winner (neuron)``, the frequency of largest beta in
        the last measured checkpoint, by which neurons are sorted.
    """
    named = milestones(found)
    weights = run.weights
    K = (found.pairs.attrs["p"] - 1) // 2
    components = ["const", *(f"{wave} {k}" for k in range(1, K + 1) for wave in ("cos", "sin"))]
    winner = found.measured.leader.values[-1] if named else np.zeros(run.config.neurons, dtype=int)
    order = np.argsort(winner, kind="stable")
    layers = {
        layer: [
            fourier.to_basis(weights[layer].sel(step=step).values)[order] for step in named.values()
        ]
        for layer in ("theta", "xi")
    }
    shape = (len(named), len(order), len(components))
    return xr.Dataset(
        {
            layer: (("step", "neuron", "component"), np.reshape(values, shape))
            for layer, values in layers.items()
        },
        coords={
            "step": list(named.values()),
            "milestone": ("step", list(named)),
            "winner": ("neuron", winner[order]),
            "component": components,
        },
    )


def _boundaries(
    run: Run, series: xr.Dataset, threshold: float, sustained: int
) -> tuple[Boundary, Boundary]:
    """Memorised and generalised, from the logged metrics or, without any, from the checkpoints."""
    logged = run.metrics[["train_accuracy", "test_accuracy"]]
    source = logged if logged.train_accuracy.notnull().any() else series
    memorised = boundary(
        source.step.values, source.train_accuracy.values, 1.0, sustained, "training accuracy"
    )
    generalised = boundary(
        source.step.values, source.test_accuracy.values, threshold, sustained, "test accuracy"
    )
    reason = why_none_held_out(run.train_pairs, run.test_pairs)
    if reason:
        generalised = Boundary(None, reason, generalised.definition)
    return memorised, generalised
