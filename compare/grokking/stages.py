"""Grokking in stages: memorising, memorised, generalised, and what goes on in each.

The network *has memorised* from the first logged step on at which it answers every training pair
rightly, and *has generalised* from the first one at which it answers at least a threshold of the
test pairs rightly, each held over a few logged steps. A boundary that is not found has no step but
a reason.

Source: arXiv:2602.16849, section on grokking (Figures 14 to 17).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.common.events import (
    GENERALISED,
    SUSTAINED,
    Boundary,
    generalised,
    memorised,
)
from grokode.compare.common.observe import training_rule
from grokode.compare.grokking.forces import Decay
from grokode.compare.grokking.progress import progress, spread_steps
from grokode.compare.grokking.split import free_accuracy, pair_kinds
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = ["STAGES", "Stages", "heatmaps", "milestones", "per_stage", "stages"]

Array = NDArray[Any]

STAGES = ("memorising", "memorised", "generalised")


@dataclass(frozen=True, eq=False)
class Stages:
    """A training in stages: a view of two Datasets.

    Parameters
    ----------
    series : Dataset over ``step``
        From `grokode.compare.grokking.progress.progress`, with a coordinate ``stage (step)`` and
        the attributes ``memorised, generalised, free_accuracy, decay`` as plain values.
    pairs : Dataset
        From `grokode.compare.grokking.split.pair_kinds`.
    """

    series: xr.Dataset
    pairs: xr.Dataset

    @property
    def memorised(self) -> Boundary:
        """From when on every training pair is known."""
        return Boundary(**self.series.attrs["memorised"])

    @property
    def generalised(self) -> Boundary:
        """From when on the test pairs are known."""
        return Boundary(**self.series.attrs["generalised"])

    @property
    def free_accuracy(self) -> dict[str, float]:
        """From `grokode.compare.grokking.split.free_accuracy`."""
        return dict(self.series.attrs["free_accuracy"])

    @property
    def decay(self) -> Decay:
        """The decay of the training."""
        return Decay(**self.series.attrs["decay"])

    @property
    def measured(self) -> xr.Dataset:
        """The series without the checkpoints whose weights are not finite."""
        return self.series.sel(step=~np.isin(self.series.step, self.series.attrs["skipped"]))

    def checkpoint(self, step: int | None) -> int | None:
        """First measured checkpoint at or after a step; None if there is none."""
        steps = self.measured.step.values
        later = steps[steps >= step] if step is not None else steps[:0]
        return int(later[0]) if len(later) else None


def stages(
    run: Run,
    threshold: float = GENERALISED,
    sustained: int = SUSTAINED,
    *,
    affordable: float = np.inf,
) -> Stages:
    """Stage boundaries of a training, and what happens at each of its checkpoints.

    Parameters
    ----------
    run : Run
        Of one seed, trained on addition.
    threshold : float
        Test accuracy from which on the network has generalised.
    sustained : int
        Logged steps in a row at which a boundary's condition has to hold.
    affordable : float
        Seconds of a core for the checkpoints: where all would take more, as many as it allows,
        evenly spread, and those of the boundaries. Attribute ``checkpoints`` of the series says how
        many there are.

    Returns
    -------
    Stages

    Raises
    ------
    NotMeasured
        For a run that is not of addition with one set of input weights.
    ValueError
        For a threshold outside (0, 1], fewer than one sustained step, or several seeds.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     staged = stages(train(config, f"{folder}/run"))
    >>> staged.generalised.step, staged.generalised.reason
    (None, 'the run has no test pairs')
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], such as 0.95, got {threshold}")
    if sustained < 1:
        raise ValueError(f"sustained must be at least 1 logged step, got {sustained}")
    p = training_rule(run).p
    pairs = pair_kinds(p, run.train_pairs)
    events = memorised(run, sustained), generalised(run, threshold, sustained)
    needed = [at.step for at in events if at.step is not None]
    series = progress(run, pairs, spread_steps(run, affordable, needed))
    stage = np.full(series.sizes["step"], STAGES[0], dtype=object)
    for name, at in zip(STAGES[1:], events, strict=True):
        if at.step is not None:
            stage[series.step.values >= at.step] = name
    about = {
        "memorised": asdict(events[0]),
        "generalised": asdict(events[1]),
        "free_accuracy": free_accuracy(p, run.train_pairs, run.test_pairs),
        "decay": asdict(Decay.of(run.config)),
        "checkpoints": run.weights.sizes["step"],
    }
    series = series.assign_coords(stage=("step", stage.astype(str))).assign_attrs(about)
    return Stages(series, pairs)


def per_stage(staged: Stages) -> xr.Dataset:
    """Means over the checkpoints of each stage, and the values at its last one.

    Parameters
    ----------
    staged : Stages

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
    ...     summary = per_stage(stages(train(config, f"{folder}/run")))
    >>> summary.checkpoints.values.tolist(), summary.end.values.tolist()
    ([3, 0, 0], [20, -1, -1])
    """
    series = staged.measured.drop_vars(("correct", "leader"))
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


def milestones(staged: Stages) -> dict[str, int]:
    """Checkpoints to look at: the first, the first of each later stage, or the last instead.

    Parameters
    ----------
    staged : Stages

    Returns
    -------
    dict of steps by name, increasing
        ``start``, ``memorised``, ``generalised``; ``last`` if one of these was not found. Empty
        if no checkpoint has finite weights.
    """
    steps = staged.measured.step.values
    if not len(steps):
        return {}
    named = {"start": int(steps[0])}
    for name, at in zip(STAGES[1:], (staged.memorised, staged.generalised), strict=True):
        step = staged.checkpoint(at.step)
        named |= {} if step is None else {name: step}
    if len(named) < 3:
        named["last"] = int(steps[-1])
    by_step = {step: name for name, step in reversed(named.items())}
    return {by_step[step]: step for step in sorted(by_step)}


def heatmaps(run: Run, staged: Stages) -> xr.Dataset:
    """Weights in the real Fourier basis at the `milestones`, neurons sorted by their winner.

    Parameters
    ----------
    run : Run
    staged : Stages
        Of that run.

    Returns
    -------
    Dataset
        ``theta, xi (step, neuron, component)``, with ``component`` const, cos 1, sin 1, ...;
        coordinates ``milestone (step)`` and ``winner (neuron)``, the frequency of largest beta in
        the last measured checkpoint, by which neurons are sorted.
    """
    named = milestones(staged)
    weights = run.weights
    K = (staged.pairs.attrs["p"] - 1) // 2
    components = ["const", *(f"{wave} {k}" for k in range(1, K + 1) for wave in ("cos", "sin"))]
    winner = staged.measured.leader.values[-1] if named else np.zeros(run.config.neurons, dtype=int)
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
