"""Progress measures over training, and the phases that they show.

Source: Nanda et al., arXiv:2301.05217, section 5. The paper tells its phases (memorisation to about
step 1,400, circuit formation to 9,400, cleanup to 14,000 of its mainline) by eye; here they are
defined, so that they can be looked for in any run, and not found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grokode.compare.circuit.computation import Computation
from grokode.compare.circuit.waves import (
    SumWaves,
    excluded_losses,
    frequency_norms,
    gini,
    pair_losses,
    restricted_loss,
    weighted,
)

__all__ = ["PHASES", "Phase", "phases", "progress"]

RIGHT = 0.99
"""Part of a set answered rightly from which it counts as learned."""
RISE = 2.0
"""A loss has turned when it is this many times its least or below its most by this factor."""

PHASES = {
    "memorisation": (
        "to the least excluded loss, once 99% of the training pairs are right, if it doubles later"
    ),
    "circuit_formation": (
        "from there to the last step at which the test loss is above half of its largest value"
    ),
    "cleanup": "from there to the first step from which 99% of the test pairs stay right",
}


@dataclass(frozen=True)
class Phase:
    """A stretch of training, or why it is not there.

    Parameters
    ----------
    start, end : int or None
        Steps; None if not found.
    reason : str
        Empty if found.
    """

    start: int | None
    end: int | None
    reason: str = ""

    @property
    def steps(self) -> tuple[int, int] | None:
        """Start and end, None if not found."""
        return None if self.start is None or self.end is None else (self.start, self.end)


def progress(computations: Iterable[tuple[int, Computation]], keys: Sequence[int]) -> xr.Dataset:
    """Progress measures of a network over its checkpoints.

    Parameters
    ----------
    computations : iterable of (step, Computation)
        In order of steps, with their training pairs.
    keys : sequence of int
        Key frequencies, those of the last checkpoint: seen from the end, as in the paper.

    Returns
    -------
    Dataset
        Over ``step``: ``train_loss, test_loss, train_accuracy, test_accuracy`` (p classes),
        ``restricted_loss`` (all pairs), ``restricted_train_loss``, ``excluded_loss`` and
        ``excluded_loss_3d`` (training pairs), ``excluded_loss_per_key (step, key)``,
        ``sum_squares``, ``gini_embedding``, ``gini_output``.

    Raises
    ------
    ValueError
        If the training pairs are not known, or there is no checkpoint.
    """
    rows = []
    steps = []
    for step, computation in computations:
        if computation.trained is None:
            raise ValueError(
                f"training pairs of step {step} are not known; excluded loss is taken over them"
            )
        steps.append(step)
        rows.append(_row(computation, computation.trained, keys))
    if not rows:
        raise ValueError("computations must hold at least one checkpoint")
    data = {
        name: (
            ("step", "key") if name == "excluded_loss_per_key" else "step",
            np.array([row[name] for row in rows]),
        )
        for name in rows[0]
    }
    return xr.Dataset(data, {"step": steps, "key": list(keys)}, {"p": computation.p})


def _row(
    computation: Computation, trained: np.ndarray, keys: Sequence[int]
) -> dict[str, float | list[float]]:
    p, logits = computation.p, computation.logits
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    waves = SumWaves.of(logits)
    right = logits.argmax(-1) == answers
    held_out = 1 - trained
    tested = held_out.sum()

    def excluded(some: Sequence[int], **settings: bool) -> float:
        return weighted(excluded_losses(logits, waves, some, **settings), trained)

    losses = pair_losses(logits, answers)
    row: dict[str, float | list[float]] = {
        "train_loss": weighted(losses, trained),
        "test_loss": weighted(losses, held_out),
        "train_accuracy": float((right * trained).sum() / trained.sum()),
        "test_accuracy": float((right * held_out).sum() / tested) if tested else np.nan,
        "restricted_loss": restricted_loss(waves, keys),
        "restricted_train_loss": restricted_loss(waves, keys, trained),
        "excluded_loss": excluded(keys),
        "excluded_loss_3d": excluded(keys, three_dimensional=True),
        "excluded_loss_per_key": [excluded([k]) for k in keys],
        "sum_squares": computation.sum_squares,
        "gini_embedding": gini(frequency_norms(computation.embedding)),
    }
    to_logits = computation.to_logits
    row["gini_output"] = np.nan if to_logits is None else gini(frequency_norms(to_logits))
    return row


def phases(series: xr.Dataset) -> dict[str, Phase]:
    """The three phases, by the definitions in `PHASES`.

    Parameters
    ----------
    series : Dataset
        From `progress`; steps between checkpoints are not seen.

    Examples
    --------
    >>> step = [0, 10, 20, 30, 40]
    >>> series = xr.Dataset(
    ...     {
    ...         "train_accuracy": ("step", [0.1, 1, 1, 1, 1]),
    ...         "test_accuracy": ("step", [0.1, 0.1, 0.1, 0.5, 1]),
    ...         "test_loss": ("step", [3.0, 8, 9, 2, 0.1]),
    ...         "excluded_loss": ("step", [3.0, 0.1, 2, 5, 9]),
    ...     },
    ...     {"step": step},
    ... )
    >>> [phase.steps for phase in phases(series).values()]
    [(0, 10), (10, 20), (20, 40)]
    """
    step = series.step.values
    excluded, test_loss = series.excluded_loss.values, series.test_loss.values
    nothing = _nothing(series)
    if nothing:
        return {name: Phase(None, None, nothing) for name in PHASES}
    memorised = int(np.argmax(series.train_accuracy.values >= RIGHT))
    generalised = _from_when_on(series.test_accuracy.values >= RIGHT)
    by_name: dict[str, Phase] = {}
    turn = memorised + int(np.argmin(excluded[memorised : generalised + 1]))
    if turn == generalised or excluded[turn:].max() < RISE * excluded[turn]:
        reason = "the excluded loss has no least value before the test pairs are learned"
        by_name["memorisation"] = Phase(None, None, reason)
    else:
        by_name["memorisation"] = Phase(int(step[0]), int(step[turn]))
    high = np.flatnonzero(test_loss[: generalised + 1] > test_loss.max() / RISE)
    fall = int(high[-1]) if len(high) else 0
    if by_name["memorisation"].steps is None or fall <= turn:
        reason = by_name["memorisation"].reason or (
            "the test loss falls as soon as the training pairs are memorised"
        )
        by_name["circuit_formation"] = Phase(None, None, reason)
    else:
        by_name["circuit_formation"] = Phase(int(step[turn]), int(step[fall]))
    if fall <= memorised:
        reason = "the test loss never stood high once the training pairs were right"
        by_name["cleanup"] = Phase(None, None, reason)
    else:
        by_name["cleanup"] = Phase(int(step[fall]), int(step[generalised]))
    return by_name


def _nothing(series: xr.Dataset) -> str:
    """Why there are no phases at all; empty if there may be."""
    if not (series.train_accuracy >= RIGHT).any():
        return "fewer than 99% of the training pairs are right at every checkpoint"
    if series.test_accuracy.isnull().all():
        return "every pair was trained on; there is nothing to generalise to"
    if not series.test_accuracy.values[-1] >= RIGHT:
        return "fewer than 99% of the test pairs are right at the last checkpoint"
    return ""


def _from_when_on(holds: np.ndarray) -> int:
    """First index from which it holds to the end."""
    broken = np.flatnonzero(~holds)
    return int(broken[-1]) + 1 if len(broken) else 0
