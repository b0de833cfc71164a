"""The one pass over the checkpoints of a run, with one rule for those that are not finite.

A checkpoint with a weight that is not finite has no numbers: it is passed over with a reason, and
whatever is measured over steps is NaN there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.observe import one_network
from grokode.nets.runs import Run

__all__ = ["NOT_FINITE", "Checkpoint", "last_finite", "over_checkpoints"]

Array = NDArray[Any]

NOT_FINITE = "weights are not all finite"
# Weights held at once: reading few large blocks takes a tenth of the time of many small ones.
_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One checkpoint of a two-layer network.

    Parameters
    ----------
    index, step : int
        Which of the checkpoints it is, and its optimiser step.
    theta, xi : float64 arrays (neuron, p)
    reason : str
        Why it has no numbers, or ``""``.
    theta_y : float64 array (neuron, p), optional
        Input weights of y where they are not those of x.
    """

    index: int
    step: int
    theta: Array
    xi: Array
    reason: str
    theta_y: Array | None = None


def over_checkpoints(
    run: Run, steps: ArrayLike | None = None, *, any_inputs: bool = False
) -> Iterator[Checkpoint]:
    """Every checkpoint of a run, in order, some tens of megabytes in memory at a time.

    Parameters
    ----------
    run : Run
        Of one seed, with one set of input weights.
    steps : integers, optional
        Only the checkpoints at these steps, increasing.
    any_inputs : bool
        Whether a second set of input weights, that of y, is no reason to refuse.

    Raises
    ------
    NotMeasured
        As `grokode.compare.common.observe.one_network`.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=4, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     passed = list(over_checkpoints(train(config, f"{folder}/run")))
    >>> [(now.step, now.theta.shape, now.reason) for now in passed]
    [(0, (8, 5), ''), (2, (8, 5), ''), (4, (8, 5), '')]
    """
    weights = one_network(run, any_inputs=any_inputs)
    if steps is not None:
        weights = weights.sel(step=np.asarray(steps))
    rows = max(1, _BLOCK_BYTES // (weights.theta[0].size * 16))
    for start in range(0, weights.sizes["step"], rows):
        yield from _block(weights, start, start + rows)


def last_finite(run: Run) -> Checkpoint | None:
    """The last checkpoint of finite weights, or None if there is none.

    Parameters
    ----------
    run : Run
        As for `over_checkpoints`.
    """
    weights = one_network(run)
    each = (next(_block(weights, i, i + 1)) for i in reversed(range(weights.sizes["step"])))
    return next((now for now in each if not now.reason), None)


def _block(weights: xr.Dataset, start: int, stop: int) -> Iterator[Checkpoint]:
    """Some checkpoints, read in one go."""
    block = weights.isel(step=slice(start, stop))
    names = [name for name in ("theta", "xi", "theta_y") if name in block]
    layers = [block[name].values.astype(np.float64) for name in names]
    for row, step in enumerate(block.step.values.tolist()):
        theta, xi, *own = (layer[row] for layer in layers)
        finite = all(np.isfinite(layer).all() for layer in (theta, xi, *own))
        yield Checkpoint(start + row, step, theta, xi, "" if finite else NOT_FINITE, *own)
