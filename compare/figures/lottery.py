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
    middle = finite.isel(misalignment=finite.sizes["misalignment"] // 2)
    locator = LogLocator(subs=(1.0, 2.0, 5.0))
    levels = np.asarray(locator.tick_values(float(middle.min()), float(middle.max())))
    lines = ax.contour(
        lottery.misalignment,
        lottery.magnitude,
        finite,
        levels=levels,
        colors="k",
        linewidths=0.7,
    )
    # Labels stand along the middle; at the edges every line runs upright and they would pile up.
    rising = middle.sortby(middle)
    shown = levels[(levels > float(middle.min())) & (levels < float(middle.max()))]
    heights = np.interp(shown, rising, rising.magnitude)
    ax.clabel(lines, fmt="%g", manual=[(float(middle.misalignment), h) for h in heights])
    ax.figure.colorbar(mesh, ax=ax, label=values.attrs.get("long_name", quantity))
    ax.set(
        yscale="log",
        xlabel="initial misalignment D (rad)",
        ylabel="initial magnitude",
    )
    return ax
