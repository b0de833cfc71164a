"""Loss and accuracy over the optimiser's steps, as they were logged or measured."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import CHANCE, NETWORK, STEPS, TEST

__all__ = ["accuracy_curve", "loss_curve"]


def loss_curve(metrics: xr.Dataset, classes: int | None, ax: Axes) -> Axes:
    """Training loss over steps, and test loss where there is one.

    A cross-entropy has the line of who guesses among the classes; without classes, the loss is a
    mean of squares.
    """
    metrics = _thinned(metrics)
    ax.plot(metrics.step, metrics.train_loss, **NETWORK, label="network, training loss")
    if metrics.test_loss.notnull().any():
        ax.plot(metrics.step, metrics.test_loss, **TEST, label="network, test loss")
    if classes is not None:
        ax.axhline(np.log(classes), **CHANCE, label=f"guessing, log {classes}")
    label = "mean square error" if classes is None else "cross-entropy (nats)"
    ax.set(xlabel=STEPS, ylabel=label, ylim=(0, None))
    ax.legend(fontsize="small")
    return ax


def accuracy_curve(metrics: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy over steps on training and test pairs, where it was logged."""
    for name, look, pairs in (
        ("train_accuracy", NETWORK, "training"),
        ("test_accuracy", TEST, "test"),
    ):
        known = _thinned(metrics[[name]].dropna("step"))[name]
        if known.size:
            ax.plot(known.step, known, **look, label=f"network, {pairs} examples")
            ax.legend(fontsize="small")
    ax.set(xlabel=STEPS, ylabel="accuracy (fraction of examples)", ylim=(0, 1.02))
    return ax


def _thinned(metrics: xr.Dataset) -> xr.Dataset:
    """Every nth logged step: more than 2000 are more than a figure has dots, and slow to draw."""
    return metrics.isel(step=slice(None, None, -(-metrics.sizes["step"] // 2000) or 1))
