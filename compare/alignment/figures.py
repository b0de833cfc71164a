"""Alignment scores over a run, and how they go along with test accuracy."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import (
    AMBER,
    CHANCE,
    GREEN,
    PURPLE,
    SEQUENTIAL,
    STEPS,
    TEST,
    YELLOW,
)

__all__ = ["lead_lag_profile", "score_against_accuracy", "score_curves"]

_COLOURS = (GREEN, PURPLE, AMBER, YELLOW)


def score_curves(
    scores: xr.Dataset,
    accuracy: xr.Dataset,
    ax: Axes,
    names: Sequence[str] = ("ell_neuron", "ell_neuron_norm", "ell_global"),
    t_grok: float = np.nan,
) -> Axes:
    """Scores over steps, each over its largest size, with test accuracy and the grokking step.

    Parameters
    ----------
    scores : Dataset
        From `grokode.compare.alignment.scores.scores`.
    accuracy : Dataset
        From `grokode.compare.common.observe.checkpoint_accuracy`.
    ax : Axes
    names : sequence of str
    t_grok : float
        Step to mark; NaN is not drawn.
    """
    for name, colour in zip(names, _COLOURS, strict=False):
        largest = float(abs(scores[name]).max())
        label = f"{name} / {largest:.3g}"
        ax.plot(scores.step, scores[name] / largest, label=label, color=colour)
    ax.plot(accuracy.step, accuracy.test_accuracy, label="network: test accuracy", **TEST)
    if np.isfinite(t_grok):
        ax.axvline(t_grok, label=f"grokking, step {t_grok:.0f}", **CHANCE)
    ax.set(xlabel=STEPS, ylabel="score over its largest size; accuracy (fraction)")
    ax.legend(fontsize="small")
    return ax


def score_against_accuracy(scores: xr.Dataset, accuracy: xr.Dataset, name: str, ax: Axes) -> Axes:
    """One score against test accuracy, a point to a checkpoint, coloured by its step."""
    points = ax.scatter(scores[name], accuracy.test_accuracy, c=scores.step, s=9, cmap=SEQUENTIAL)
    ax.set(xlabel=name, ylabel="network: test accuracy (fraction)")
    ax.figure.colorbar(points, ax=ax, label=STEPS)
    return ax


def lead_lag_profile(profile: xr.Dataset, name: str, ax: Axes) -> Axes:
    """Correlation of the changes of a score with later and earlier changes of test accuracy.

    Parameters
    ----------
    profile : Dataset
        From `grokode.compare.common.estimates.lead_lag`.
    name : str
        The score's name.
    ax : Axes
    """
    known = profile.pearson.dropna("lag")
    if known.size:
        label = f"network: {name} and test accuracy"
        ax.stem(known.lag, known, linefmt=GREEN, markerfmt="o", basefmt=" ", label=label)
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.axvline(0, label="at the same time", **CHANCE)
    ax.set(
        xlabel=f"steps by which {name} moves first",
        ylabel="Pearson correlation of changes",
        ylim=(-1, 1),
    )
    ax.locator_params(axis="x", nbins=5)
    ax.legend(fontsize="small")
    return ax
