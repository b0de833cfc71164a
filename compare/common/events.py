"""When a training has memorised and when it generalises: sustained boundaries, defined once.

An event is the first logged step from which a condition holds for a few logged steps in a row. One
that is not there has no step but a reason.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode import nets
from grokode.compare.common.checkpoints import over_checkpoints
from grokode.nets import tasks
from grokode.nets.runs import Run

__all__ = [
    "GENERALISED",
    "SUSTAINED",
    "Boundary",
    "boundary",
    "generalised",
    "memorised",
    "why_none_held_out",
]

GENERALISED = 0.95
"""Test accuracy at which a network counts as having generalised, as in the published analysis."""

SUSTAINED = 3
"""Logged steps in a row at which a boundary's condition has to hold: one alone may be a spike."""


@dataclass(frozen=True)
class Boundary:
    """Where a stage ends.

    Parameters
    ----------
    step : int or None
        None if there is none.
    reason : str
        Why there is none, or ``""``.
    definition : str
    lapses : int
        Logged steps after it at which the condition did not hold.
    """

    step: int | None
    reason: str
    definition: str
    lapses: int = 0


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


def memorised(run: Run, sustained: int = SUSTAINED) -> Boundary:
    """From when on the network answers every training pair rightly.

    Parameters
    ----------
    run : Run
        Of one seed. Where no accuracy was logged, the weights of its checkpoints are asked.
    sustained : int
        Logged steps in a row at which that has to hold.
    """
    rows = _accuracies(run)
    return boundary(rows.step, rows.train_accuracy, 1.0, sustained, "training accuracy")


def generalised(
    run: Run,
    threshold: float = GENERALISED,
    sustained: int = SUSTAINED,
    *,
    held_out: bool = True,
) -> Boundary:
    """From when on the network answers test pairs rightly, ones that it was not trained on.

    Parameters
    ----------
    run : Run
        Of one seed. Where no accuracy was logged, the weights of its checkpoints are asked.
    threshold : float
        Test accuracy.
    sustained : int
        Logged steps in a row at which it has to hold.
    held_out : bool
        Refuse test pairs that were all trained on; else it is just the step of that accuracy, as in
        published analyses of runs on all pairs.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=4, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     generalised(train(config, f"{folder}/run")).reason
    'the run has no test pairs'
    """
    rows = _accuracies(run)
    event = boundary(rows.step, rows.test_accuracy, threshold, sustained, "test accuracy")
    reason = why_none_held_out(run.train_pairs, run.test_pairs)
    if len(run.test_pairs) and not held_out:
        return event
    return Boundary(None, reason, event.definition) if reason else event


def why_none_held_out(train_pairs: ArrayLike, test_pairs: ArrayLike) -> str:
    """Why nothing shows whether a network generalises, or ``""``.

    Examples
    --------
    >>> why_none_held_out([(0, 0), (0, 1)], [(0, 1)])
    'every test pair was trained on'
    """
    trained, tested = (
        {*map(tuple, np.asarray(pairs).tolist())} for pairs in (train_pairs, test_pairs)
    )
    if tested - trained:
        return ""
    return "every test pair was trained on" if tested else "the run has no test pairs"


def _accuracies(run: Run) -> xr.Dataset:
    """Accuracy on training and test pairs where it was logged, else at the checkpoints."""
    logged = run.metrics[["train_accuracy", "test_accuracy"]]
    if logged.train_accuracy.notnull().any():
        return logged
    answers = tasks.table(run.config.task, run.config.p, run.config.seed)
    rows: dict[str, list[float]] = {"train_accuracy": [], "test_accuracy": []}
    steps = []
    for now in over_checkpoints(run):
        steps.append(now.step)
        for name, pairs in zip(rows, (run.train_pairs, run.test_pairs), strict=True):
            rows[name].append(np.nan if now.reason else _accuracy(run, now, pairs, answers))
    return xr.Dataset({name: ("step", row) for name, row in rows.items()}, {"step": steps})


def _accuracy(run: Run, now: Any, pairs: Any, answers: Any) -> float:
    if not len(pairs):
        return float("nan")
    outputs = nets.logits(now.theta, now.xi, run.config.activation, pairs)
    return float((outputs.argmax(-1) == answers[tuple(pairs.T)]).mean())
