"""Pictures of `grokode.compare.logits`: the network's logits beside Proposition 1."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.figures.style import DIVERGING, NETWORK, THEORY

__all__ = ["logit_heatmap", "logit_scatter"]


def logit_heatmap(logits: xr.Dataset, source: str, x: int, ax: Axes) -> Axes:
    """Logits over y and output at one x, on a scale shared by network and theory (He, Figure 8).

    Proposition 1 has three lines here: the answer x+y, and half as high 2x and 2y.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    source : {"network", "theory"}
    x : int
        The fixed first input.
    ax : Axes
    """
    slices = logits[["network", "theory"]].sel(x=x)
    limit = max(float(abs(values).max()) for values in slices.values())
    mesh = ax.pcolormesh(
        logits.output,
        logits.y,
        slices[source],
        cmap=DIVERGING,
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    ax.figure.colorbar(mesh, ax=ax, label="centred logit")
    title = "Proposition 1" if source == "theory" else "network"
    ax.set(title=f"{title}, x = {x}", xlabel="output j", ylabel="y", aspect="equal")
    return ax


def logit_scatter(logits: xr.Dataset, ax: Axes) -> Axes:
    """Every logit of the network against Proposition 1 at the fitted scale."""
    theory, network = logits.theory.values.ravel(), logits.network.values.ravel()
    ax.scatter(theory, network, s=2, alpha=0.15, color=NETWORK["color"], rasterized=True)
    ends = np.array([theory.min(), theory.max()])
    ax.plot(ends, ends, **THEORY, label="Proposition 1 exactly")
    ax.set(
        xlabel="Proposition 1, fitted scale",
        ylabel="network's centred logit",
        title=f"$R^2$ = {float(logits.r2):.3f}",
    )
    ax.legend(fontsize="small")
    return ax
