"""Pictures of `grokode.compare.winners`."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.figures.style import CHANCE, SEQUENTIAL, THEORY

__all__ = ["accuracy_by_rule", "winner_confusion"]


def accuracy_by_rule(winners: xr.Dataset, ax: Axes) -> Axes:
    """Fraction of neurons whose winner each rule predicted, with chance beside it."""
    names = [str(rule).replace("_", " ") for rule in winners.rule.values]
    bars = ax.barh(names, winners.accuracy, color=THEORY["color"], height=0.6)
    ax.bar_label(bars, [f"{a:.3f}" for a in winners.accuracy.values], padding=3)
    ax.axvline(winners.attrs["chance"], **CHANCE)
    ax.annotate(
        f" chance {winners.attrs['chance']:.3f}",
        (winners.attrs["chance"], 1),
        xycoords=("data", "axes fraction"),
        va="bottom",
        color=CHANCE["color"],
    )
    ax.set(xlim=(0, 1.12), xlabel="winners predicted (fraction of neurons)")
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def winner_confusion(winners: xr.Dataset, rule: str, ax: Axes) -> Axes:
    """Predicted against observed winning frequency; neurons on the diagonal are right."""
    K = (winners.attrs["p"] - 1) // 2
    counts = np.zeros((K, K), dtype=int)
    np.add.at(counts, (winners.predicted.sel(rule=rule) - 1, winners.observed - 1), 1)
    edges = np.arange(K + 1) + 0.5
    # Rasterized: viewers of SVG draw hairlines between the cells of a mesh.
    mesh = ax.pcolormesh(edges, edges, counts, cmap=SEQUENTIAL, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label="neurons")
    ax.set(
        title=f"{rule.replace('_', ' ')} rule",
        xlabel="observed winner (frequency)",
        ylabel="predicted winner (frequency)",
        aspect="equal",
    )
    return ax
