"""Pictures of `grokode.theory.lottery`: contours of the lottery, and when its winner dominates."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from grokode.compare.common.style import (
    AMBER,
    CHANCE,
    GREEN,
    PURPLE,
    SEQUENTIAL,
    SKY,
    THEORY,
    plain_log,
)

__all__ = ["contour", "dominance_distribution", "dominance_scaling"]

_COLOURS = (GREEN, PURPLE, SKY, AMBER)
_MARKERS = "os^v"


def contour(
    lottery: xr.Dataset, quantity: Literal["blowup_time", "final_magnitude"], ax: Axes
) -> Axes:
    """Contours and colours of a lottery quantity over initial misalignment and magnitude.

    Bright wins: the colours of the blow-up time are reversed. They end at its 99th percentile,
    since it grows without bound towards D = pi.

    Parameters
    ----------
    lottery : Dataset
        From `grokode.theory.lottery.contour`; D may run over -pi..pi or 0..2 pi.
    quantity : {"blowup_time", "final_magnitude"}
    ax : Axes

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For another quantity, or one that is nowhere positive and finite.

    Notes
    -----
    Source: arXiv:2602.16849, Figure 11, is the final magnitude with D over 0..2 pi.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from grokode.theory import lottery
    >>> c = lottery.contour(23, [0.01, 0.02, 0.05], [0.5, 1.5, 2.5])
    >>> contour(c, "blowup_time", Figure().subplots()).get_xlabel()
    'initial misalignment D (rad)'
    """
    labels = {
        "blowup_time": "blow-up time T (gradient-flow time)",
        "final_magnitude": f"output magnitude β at time {lottery.attrs['saturation_time']:.3g}",
    }
    if quantity not in labels:
        raise ValueError(f"quantity must be one of {', '.join(labels)}, got {quantity!r}")
    values = lottery[quantity].transpose("magnitude", "misalignment")
    finite = values.where(np.isfinite(values) & (values > 0))
    if finite.isnull().all():
        raise ValueError(f"{quantity} is nowhere positive and finite; choose another time or grid")
    growing = quantity == "blowup_time"
    least, most = float(finite.min()), float(finite.quantile(0.99 if growing else 1.0))
    mesh = ax.pcolormesh(
        lottery.misalignment,
        lottery.magnitude,
        values.where(values > 0).clip(max=most),
        cmap=SEQUENTIAL + ("_r" if growing else ""),
        norm=LogNorm(least, most),
        rasterized=True,
    )
    bar = ax.figure.colorbar(
        mesh,
        ax=ax,
        label=labels[quantity],
        extend="max" if (values > most).any() else "neither",
    )
    levels = np.asarray(LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(least, most))
    levels = levels[(levels > least) & (levels < most)]
    # A grid of a single row or column, or of nearly equal values, has no contours.
    if min(finite.shape) > 1 and levels.size:
        bar.set_ticks(list(levels), labels=[f"{level:g}" for level in levels])
        bar.minorticks_off()
        _lines(finite, levels, ax)
    _quarter_turns(ax, lottery.misalignment)
    ratio = lottery.attrs["ratio"]
    ax.set(
        title=f"one ticket, p = {lottery.attrs['p']}",
        yscale="log",
        xlabel="initial misalignment D (rad)",
        ylabel="initial magnitude α"
        + (" = β" if ratio == 1 else f", β = {ratio:g} α")
        + " (units of the weights)",
    )
    plain_log(ax.yaxis)
    return ax


def dominance_distribution(times: xr.Dataset, ax: Axes) -> Axes:
    """Fraction of neurons whose winner dominates by a time, beside its blow-up and the law.

    Parameters
    ----------
    times : Dataset
        From `grokode.theory.lottery.dominance_times`.
    ax : Axes

    Returns
    -------
    Axes

    Notes
    -----
    Source of the law log p / (p kappa): arXiv:2602.16849, section 4; its constant is left open and
    drawn as 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from grokode.theory import lottery
    >>> d = lottery.dominance_times(23, 0.1, neurons=20, seed=0)
    >>> dominance_distribution(d, Figure().subplots()).get_ylabel()
    'fraction of neurons'
    """
    p, kappa, factor = (times.attrs[name] for name in ("p", "kappa", "factor"))
    median = float(times.dominance_time.median())
    ax.ecdf(
        times.dominance_time,
        color=_COLOURS[0],
        label=f"measured dominance, β {factor:g} × every rival\n(median {median:.3g})",
    )
    ax.ecdf(times.blowup_time, color=_COLOURS[1], label="measured blow-up time of the winner")
    law = np.log(p) / (p * kappa)
    ax.axvline(law, **THEORY, label=f"published law log p / (p κ) = {law:.3g}")
    ax.set(
        title=f"{times.sizes['neuron']} neurons, p = {p}, κ = {kappa:g}, "
        f"{times.attrs['initialisation']} start",
        xlabel="time (gradient-flow time)",
        ylabel="fraction of neurons",
        ylim=(0, 1.02),
    )
    ax.set_xlim(left=0)
    # Below, because the curves may run anywhere.
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def dominance_scaling(
    scalings: Sequence[xr.Dataset], against: Literal["p", "kappa"], ax: Axes
) -> Axes:
    """Median time of dominance against p or kappa, with the fitted powers and the published law.

    Parameters
    ----------
    scalings : sequence of Dataset
        From `grokode.theory.lottery.dominance_scaling`, one to an initialisation, over the same
        moduli and kappas.
    against : {"p", "kappa"}
        The other one of the two is kept at its first value.
    ax : Axes

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is nothing to draw, or for something else to draw it against.

    Notes
    -----
    Source of the law log p / (p kappa): arXiv:2602.16849, section 4; its constant is left open and
    drawn as 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from grokode.theory import lottery
    >>> s = lottery.dominance_scaling([11, 23, 47], [0.01, 0.1], neurons=20, seed=0)
    >>> dominance_scaling([s], "p", Figure().subplots()).get_xlabel()
    'modulus p'
    """
    others = {"p": "kappa", "kappa": "p"}
    symbols = {"p": "p", "kappa": "κ"}
    if against not in others:
        raise ValueError(f"against must be 'p' or 'kappa', got {against!r}")
    if not scalings:
        raise ValueError("scalings must hold at least one Dataset of dominance_scaling, got none")
    other = others[against]
    for scaling, colour, marker in zip(scalings, _COLOURS, _MARKERS, strict=False):
        line = scaling.isel({other: 0})
        x = line[against].astype(float)
        exponent = float(scaling[f"exponent_{against}"])
        error = float(scaling[f"exponent_{against}_error"])
        digits = int(np.clip(-np.floor(np.log10(error)), 2, 4)) if error else 4
        power = f"{symbols[against]}$^{{{exponent:.{digits}f} ± {error:.{digits}f}}}$"
        ax.plot(
            x,
            line.dominance_time,
            marker,
            color=colour,
            label=f"measured, {scaling.attrs['initialisation']} start,\nfit {power}",
        )
        # The exponents are fitted to all values of the other variable, the height to this one.
        height = np.exp(float((np.log(line.dominance_time) - exponent * np.log(x)).mean()))
        ax.plot(x, height * x**exponent, color=colour, linewidth=1)
    law = scalings[0].isel({other: 0})
    slope = float(law.exponent_p_published) if against == "p" else -1.0
    ax.plot(
        law[against],
        law.published,
        **THEORY,
        label=f"published law log p / (p κ),\nhere as {symbols[against]}$^{{{slope:.2f}}}$",
    )
    ax.set(
        title=f"{symbols[other]} = {float(law[other]):g}",
        xscale="log",
        yscale="log",
        xlabel="modulus p" if against == "p" else "initial scale κ (units of the weights)",
        ylabel="median time of dominance\n(gradient-flow time)",
    )
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _lines(values: xr.DataArray, levels: NDArray[Any], ax: Axes) -> None:
    """Labelled contours."""
    D, magnitude = values.misalignment.values, values.magnitude.values
    lines = ax.contour(D, magnitude, values, levels=levels, colors="k", linewidths=0.7)
    # Labels stand where D is a right angle: near D = pi the lines run upright and would pile up.
    column = int(np.abs(D - np.pi / 2).argmin())
    known = np.isfinite(values.values[:, column])
    across, magnitude = values.values[known, column], magnitude[known]
    order = np.argsort(across)
    # Not in the outermost tenth of the axis, where the frame would cut them.
    inner = np.quantile(across, [0.05, 0.95]) if known.any() else (np.inf, -np.inf)
    shown = levels[(levels > inner[0]) & (levels < inner[1])]
    heights = np.interp(shown, across[order], magnitude[order]) if shown.size else []
    ax.clabel(lines, fmt="%g", manual=[(D[column], height) for height in heights])


def _quarter_turns(ax: Axes, misalignment: xr.DataArray) -> None:
    """Ticks at multiples of pi / 2, and a dotted line at the misalignments that never win."""
    least, most = float(misalignment.min()), float(misalignment.max())
    slack = 1e-9 + (most - least) / 100
    quarters = np.arange(
        np.ceil((least - slack) / (np.pi / 2)), (most + slack) / (np.pi / 2) + 1e-9
    )
    if len(quarters) < 3:
        return
    names = {-2: "-π", -1: "-π/2", 0: "0", 1: "π/2", 2: "π", 3: "3π/2", 4: "2π"}
    ax.set_xticks(quarters * np.pi / 2, [names.get(int(q), f"{int(q)}π/2") for q in quarters])
    for quarter in quarters:
        if quarter % 4 == 2:
            ax.axvline(quarter * np.pi / 2, **CHANCE, linewidth=0.8)
