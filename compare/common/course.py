"""What becomes of a network whose weights are predicted: loss and accuracy over the steps."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from grokode.compare.common.events import GENERALISED, SUSTAINED, Boundary, boundary
from grokode.compare.common.outputs import finite, outputs

__all__ = ["course", "foretold", "half_loss"]


def course(
    path: xr.Dataset, activation: str, train_pairs: ArrayLike, test_pairs: ArrayLike
) -> xr.Dataset:
    """Loss and accuracies of the networks along a path of spectra.

    Parameters
    ----------
    path : Dataset
        Spectrum (step, neuron, frequency), predicted or observed; with ``theta_y (step, neuron,
        y)`` where y has input weights of its own.
    activation : str
    train_pairs, test_pairs : integers (n, 2)

    Returns
    -------
    Dataset over ``step``
        ``train_loss`` (nats), ``train_accuracy`` and ``test_accuracy``; NaN where a weight is, and
        where there are no such pairs.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> wave = np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> path = fourier.spectrum(wave, wave).expand_dims(step=[0])
    >>> run = course(path, "quadratic", [(0, 0), (1, 2)], [])
    >>> run.train_accuracy.values.tolist(), run.test_accuracy.isnull().values.tolist()
    ([0.5], [True])
    """
    train, test = (
        np.asarray(pairs, dtype=np.int64).reshape(-1, 2) for pairs in (train_pairs, test_pairs)
    )
    both = np.concatenate([train, test])
    if "theta_y" not in path:
        # The network is symmetric: a pair and its mirror image are computed once.
        both = np.sort(both, axis=1)
    pairs, place = np.unique(both, axis=0, return_inverse=True)
    # A theory that blew up has no weights from there on.
    there = finite(path).values
    rows = np.full((len(there), 3), np.nan)
    for at in np.flatnonzero(there):
        logits = outputs(path.isel(step=at), activation, pairs)
        answers = pairs.sum(1) % logits.shape[1]
        own = logits[np.arange(len(pairs)), answers]
        losses = (logsumexp(logits, axis=1) - own)[place]
        right = (logits.argmax(1) == answers)[place]
        rows[at] = _mean(losses[: len(train)]), *map(_mean, np.split(right, [len(train)]))
    loss, known, held_out = rows.T
    return xr.Dataset(
        {
            "train_loss": ("step", loss, {"units": "nats"}),
            "train_accuracy": ("step", known),
            "test_accuracy": ("step", held_out),
        },
        {"step": path.step.values},
    )


def foretold(
    run: xr.Dataset, threshold: float = GENERALISED, sustained: int = SUSTAINED
) -> tuple[Boundary, Boundary]:
    """From when on all training pairs are known, and from when on the test pairs.

    Defined as `grokode.compare.common.events` has them for trainings, at the steps of the course.

    Parameters
    ----------
    run : Dataset
        From `course`.
    threshold : float
        Test accuracy from which on it has generalised.
    sustained : int
        Steps in a row at which a condition has to hold.

    Examples
    --------
    >>> known = ("step", [0.5, 1.0, 1.0]), ("step", [0.0, 0.5, 0.9])
    >>> run = xr.Dataset(dict(zip(["train_accuracy", "test_accuracy"], known)), {"step": [0, 5, 9]})
    >>> [event.step for event in foretold(run, threshold=0.9, sustained=1)]
    [5, 9]
    """
    steps = run.step.values
    return (
        boundary(steps, run.train_accuracy, 1.0, sustained, "training accuracy"),
        boundary(steps, run.test_accuracy, threshold, sustained, "test accuracy"),
    )


def half_loss(losses: xr.DataArray) -> float:
    """First step at which a loss is at most half of what it was at the first, NaN if there is none.

    Parameters
    ----------
    losses : DataArray (step)
        Values that are NaN are left out.

    Examples
    --------
    >>> half_loss(xr.DataArray([2.0, np.nan, 1.5, 1.0], {"step": [0, 10, 20, 30]}))
    30.0
    """
    known = losses.dropna("step")
    halved = known.step.values[known.values <= known.values[:1] / 2]
    return float(halved[0]) if halved.size else np.nan


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else np.nan
