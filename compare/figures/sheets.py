"""Several axes on one figure, with its caption: what more than one page shows."""

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from grokode.compare.figures.logits import logit_heatmap, logit_scatter
from grokode.compare.figures.trajectories import tickets

__all__ = ["blank_sheet", "logit_sheet", "trajectory_sheet"]


def blank_sheet(inches: tuple[float, float], rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of its own, which pyplot does not hold on to, with its axes.

    Parameters
    ----------
    inches : (width, height)
    rows, columns : int

    Returns
    -------
    figure, axes
        One Axes, or an array of them, as from ``Figure.subplots``.
    """
    figure = Figure(figsize=inches, layout="constrained")
    return figure, figure.subplots(rows, columns)


def trajectory_sheet(pair: xr.Dataset) -> tuple[Figure, str]:
    """Magnitudes and misalignment of the neuron whose first blow-up is the median, and a caption.

    Parameters
    ----------
    pair : Dataset
        From `grokode.compare.trajectories`.
    """
    first = pair.initial_blowup_time.min("frequency")
    neuron = int(first.neuron[int(first.values.argsort()[first.size // 2])])
    figure, axes = blank_sheet((14, 3.8), columns=3)
    for quantity, ax in zip(("alpha", "beta", "misalignment"), axes, strict=True):
        tickets(pair, neuron, quantity, ax)
    figure.suptitle(f"neuron {neuron}")
    caption = (
        f"All {pair.sizes['frequency']} frequencies of neuron {neuron}, the one of median blow-up "
        "time"
    )
    ends = "; theory ends at a ticket's blow-up." if pair.attrs["rule"] == "ticket_flow" else "."
    return figure, caption + ends


def logit_sheet(fit: xr.Dataset) -> tuple[Figure, str]:
    """Logits of network and Proposition 1 at one x, all of them against each other, and a caption.

    Parameters
    ----------
    fit : Dataset
        From `grokode.compare.logits`.
    """
    x = min(3, fit.sizes["x"] - 1)
    figure, axes = blank_sheet((15, 4.2), columns=3)
    logit_heatmap(fit, "network", x, axes[0])
    logit_heatmap(fit, "theory", x, axes[1])
    logit_scatter(fit, axes[2])
    return figure, f"Logits at x = {x} beside Proposition 1 at the fitted scale, and all of them."
