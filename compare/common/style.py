"""One look for every figure: colours, axis labels, and how a figure becomes an inline picture."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from grokode.files import create_file

__all__ = [
    "AMBER",
    "CHANCE",
    "DIVERGING",
    "GREEN",
    "LAYER_COLORS",
    "LAYER_NAMES",
    "LEAST",
    "NETWORK",
    "PRINTED",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "STEPS",
    "TEST",
    "THEORY",
    "YELLOW",
    "figure_svg",
    "fourier_heatmap",
    "legible",
    "plain_log",
    "save_figure",
    "say",
]

THEORY: dict[str, Any] = {"color": "#D55E00", "linestyle": "--"}
NETWORK: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
# The rest of Okabe and Ito's colours, for what is neither theory nor network as a whole.
GREEN, PURPLE, SKY, AMBER, YELLOW = "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442"
# The network on pairs it was not trained on; thin, so that the training pairs show beneath it.
TEST: dict[str, Any] = {"color": SKY, "linestyle": "-", "linewidth": 1.2}
CHANCE: dict[str, Any] = {"color": "0.5", "linestyle": ":"}
SEQUENTIAL = "viridis"
DIVERGING = "PuOr"
STEPS = "optimiser steps"
PRINTED = 7.0
"""Inches that a figure may be wide on A4 paper; a wider one is made smaller, its letters too."""
LEAST = 7.0
"""Points of the smallest letters on paper."""
LAYER_COLORS = {"theta": NETWORK["color"], "xi": SKY}
LAYER_NAMES = {"theta": "input weights θ", "xi": "output weights ξ"}


def say(reason: str, ax: Axes) -> Axes:
    """An empty figure that says why there is nothing to draw."""
    ax.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, transform=ax.transAxes)
    ax.set_axis_off()
    return ax


def plain_log(axis: Axis) -> None:
    """Ticks of a log axis at powers of ten alone, as 0.01; call it last.

    Powers set as formulas, and nine small ticks to a decade, take longer to draw than the data.
    Where powers alone would leave a tick or two, 2 and 5 times them are ticks too.
    """
    low, high = axis.get_view_interval()
    if high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def fourier_heatmap(values: NDArray[np.floating], ax: Axes) -> None:
    """Coefficients (neuron, basis) in the real orthonormal Fourier basis, one tick to a frequency.

    A few neurons may be far larger than the rest; what is beyond the 99th in 100 saturates.
    """
    limit = float(np.quantile(np.abs(values), 0.99)) or 1.0
    mesh = ax.imshow(
        values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    K = (values.shape[1] - 1) // 2
    shown = range(1, K + 1, -(-K // 6))
    # A wave's tick stands between its cosine and its sine.
    ax.set_xticks([0, *(2 * k - 0.5 for k in shown)], ["0", *map(str, shown)])
    ax.set(xlabel="frequency k (cosine, sine; 0: mean)", ylabel="neuron, sorted by winner")
    ax.figure.colorbar(mesh, ax=ax, label="coefficient (units of the weights)", extend="both")


def legible(figure: Figure) -> Figure:
    """Enlarge the letters of a figure that are below `LEAST` where it is no wider than paper.

    Parameters
    ----------
    figure : Figure
        Changed in place.

    Examples
    --------
    >>> figure = Figure(figsize=(14, 4))
    >>> label = figure.subplots().set_xlabel("steps", fontsize="small")
    >>> legible(figure) and label.get_fontsize()
    14.0
    """
    least = LEAST * max(1.0, figure.get_figwidth() / PRINTED)
    for ax in figure.axes:
        for name in ("x", "y"):
            # Ticks are made when they are drawn; the first one has the size that all will have.
            if getattr(ax, f"{name}axis").get_major_ticks(1)[0].label1.get_fontsize() < least:
                ax.tick_params(axis=name, which="both", labelsize=least)
    for text in figure.findobj(Text):
        if float(text.get_fontsize()) < least:
            text.set_fontsize(least)
    return figure


def figure_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element that can stand inside an HTML page, `legible`.

    The same data gives the same text: ids are seeded and no date is written.

    Examples
    --------
    >>> figure_svg(Figure()).startswith("<svg")
    True
    """
    buffer = io.StringIO()
    layout = legible(figure).get_layout_engine()
    if layout is not None:
        # Laid out here: to be saved, a figure with an engine is drawn once more only for that.
        layout.execute(figure)
        figure.set_layout_engine(None)
    with mpl.rc_context({"svg.hashsalt": "grokode"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save_figure(figure: Figure, path: Path, **options: Any) -> Path:
    """Write a figure, `legible`, to a file of its own: whole or not at all, never over another.

    Parameters
    ----------
    figure : Figure
    path : Path
        Its ending names the format.
    **options
        As of `matplotlib.figure.Figure.savefig`.

    Raises
    ------
    FileExistsError
        If there is a file of that name.
    """
    legible(figure)
    kind = path.suffix.removeprefix(".")
    create_file(path, lambda file: figure.savefig(file, format=kind, **options))
    return path
