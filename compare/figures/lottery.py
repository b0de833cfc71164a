"""Picture of `grokode.theory.lottery.contour`."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator

from grokode.compare.figures.style import SEQUENTIAL

__all__ = ["contour"]


def contour(lottery: xr.Dataset, quantity: str, ax: Axes) -> Axes:
    """Contours and colours of a lottery quantity over initial misalignment and magnitude.

    Parameters
    ----------
    lottery : Dataset
        From `grokode.theory.lottery.contour`.
    quantity : {"blowup_time", "final_magnitude"}
    ax : Axes
    """
    values = lottery[quantity].transpose("magnitude", "misalignment")
    finite = values.where(np.isfinite(values) & (values > 0))
    mesh = ax.pcolormesh(
        lottery.misalignment,
        lottery.magnitude,
        finite,
        cmap=SEQUENTIAL + ("_r" if quantity == "blowup_time" else ""),
        norm=LogNorm(),
        rasterized=True,
    )
    lines = ax.contour(
        lottery.misalignment,
        lottery.magnitude,
        finite,
        levels=LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(
            float(finite.quantile(0.02)), float(finite.quantile(0.98))
        ),
        colors="k",
        linewidths=0.7,
    )
    ax.clabel(lines, fmt="%g", fontsize="small")
    ax.figure.colorbar(mesh, ax=ax, label=values.attrs.get("long_name", quantity))
    ax.set(
        xlabel="initial misalignment D (rad)",
        ylabel="initial magnitude",
    )
    return ax
