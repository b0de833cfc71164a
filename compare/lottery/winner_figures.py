"""Pictures of `grokode.compare.winners` and `grokode.compare.lottery.corollary`."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from grokode.compare.common.style import (
    AMBER,
    CHANCE,
    GREEN,
    NETWORK,
    PURPLE,
    SEQUENTIAL,
    STEPS,
    THEORY,
    plain_log,
)

__all__ = [
    "accuracy_by_predictor",
    "corollary_curve",
    "final_magnitude",
    "leader_agreement",
    "predictor_style",
    "winner_confusion",
]

# Of the four-variable flow, theory's own colour; none is the network's blue. Lines are all broken.
_STYLES: dict[str, dict[str, Any]] = {
    "misalignment": {"color": "#5B2C83", "linestyle": ":"},
    "largest_magnitude": {"color": "#A6761D", "linestyle": ":"},
    "blowup_time": THEORY,
    "ticket_flow": THEORY,
    "neuron_flow": {"color": AMBER, "linestyle": "-."},
    "clock_flow": {"color": GREEN, "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "moment_flow": {"color": PURPLE, "linestyle": (0, (7, 1.5))},
    "symmetric_flow": {"color": "#8C8C00", "linestyle": (0, (3, 1, 1, 1))},
    "harmonic_flow": {"color": "#A50F15", "linestyle": "--"},
}
_OUTSIDE_HATCH = "////"


def predictor_style(predictor: str) -> dict[str, Any]:
    """Colour and line of a predictor, the same in every figure.

    Examples
    --------
    >>> predictor_style("ticket_flow")["color"]
    '#D55E00'
    """
    return CHANCE if predictor == "chance" else _STYLES.get(predictor, THEORY)


def accuracy_by_predictor(winners: xr.Dataset, ax: Axes) -> Axes:
    """Fraction of neurons whose winner each predictor predicted, with 95% intervals and chance.

    Predictors outside their assumption are hatched; one without a number says why.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    ax : Axes
    """
    predictors = [str(predictor) for predictor in winners.predictor.values if predictor != "chance"]
    shown = winners.sel(predictor=predictors)
    rows = np.arange(len(predictors))
    inside = shown.within_assumptions.values
    bars = ax.barh(
        rows,
        shown.accuracy.fillna(0),
        color=[predictor_style(predictor)["color"] for predictor in predictors],
        hatch=["" if within else _OUTSIDE_HATCH for within in inside],
        edgecolor="white",
        height=0.7,
    )
    ends = shown.interval.transpose("predictor", "bound").values
    accuracy = shown.accuracy.values
    ax.hlines(rows, ends[:, 0], ends[:, 1], color="black", linewidth=1.2)
    for row, (low, high) in enumerate(ends):
        if np.isfinite(high):
            ax.plot([low, high], [row, row], "|", color="black", markersize=6)
        text = (
            f"{accuracy[row]:.3f}"
            if np.isfinite(high)
            else _short(shown.accuracy_reason.values[row])
        )
        at = high if np.isfinite(high) else 0
        ax.annotate(text, (at, row), (5, 0), textcoords="offset points", va="center")
    chance = winners.attrs["chance"]
    ax.axvline(chance, **CHANCE)
    ax.annotate(
        f" chance {chance:.3f}",
        (chance, 1),
        xycoords=("data", "axes fraction"),
        va="bottom",
        color=CHANCE["color"],
    )
    ax.set(xlim=(0, 1.15), xlabel="winners of the network that theory names\n(fraction of neurons)")
    ax.set_yticks(rows, [predictor.replace("_", " ") for predictor in predictors])
    ax.invert_yaxis()
    if not inside.all() and bars:
        mark = Patch(facecolor="0.6", edgecolor="white", hatch=_OUTSIDE_HATCH)
        ax.legend(
            [mark],
            ["outside its assumption"],
            loc="lower right",
            bbox_to_anchor=(1, 1),
            borderaxespad=0,
            fontsize="small",
            frameon=False,
        )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def leader_agreement(winners: xr.Dataset, ax: Axes) -> Axes:
    """Fraction of neurons whose current leading frequency each predictor has right, over steps.

    Put `grokode.compare.figures.loss_curve` beneath, on the same steps.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`; predictors that rank only are left out.
    ax : Axes
    """
    for predictor in winners.predictor.values:
        curve = winners.leader_agreement.sel(predictor=predictor)
        if predictor == "chance":
            ax.axhline(float(curve[0]), **CHANCE, label="chance")
        elif curve.notnull().any():
            label = f"theory, {str(predictor).replace('_', ' ')}"
            if not winners.within_assumptions.sel(predictor=predictor):
                label += " (outside its assumption)"
            ax.plot(winners.step, curve, **predictor_style(str(predictor)), label=label)
    ax.set(xlabel=STEPS, ylabel="leader as in the network\n(fraction of neurons)", ylim=(0, 1.05))
    ax.legend(fontsize="small", loc="lower left")
    return ax


def final_magnitude(winners: xr.Dataset, predictor: str, ax: Axes) -> Axes:
    """Predicted final beta of each neuron's predicted winner against that of the observed one.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    predictor : str
        One that predicts magnitudes, not ranks only.
    ax : Axes

    Raises
    ------
    ValueError
        If the predictor predicts no magnitude.
    """
    row = winners.sel(predictor=predictor)
    known = row.predicted_magnitude > 0
    if not known.any():
        some = winners.predictor[(winners.predicted_magnitude > 0).any("neuron")].values.tolist()
        raise ValueError(
            f"predictor must predict magnitudes, as {', '.join(some)}; got {predictor!r}"
        )
    right = row.predicted == row.observed
    for chosen, marker, color, text in (
        (right, "o", predictor_style(predictor)["color"], "right winner"),
        (~right, "x", "black", "wrong winner"),
    ):
        shown = row.sel(neuron=known & chosen)
        ax.plot(
            shown.observed_magnitude,
            shown.predicted_magnitude,
            marker,
            color=color,
            markersize=4,
            alpha=0.6,
            label=f"{text} ({shown.sizes['neuron']} neurons)",
        )
    values = xr.concat([row.observed_magnitude, row.predicted_magnitude], "side").where(known)
    ends = [float(values.min()) / 1.2, float(values.max()) * 1.2]
    ax.plot(ends, ends, color="0.5", linewidth=0.8, label="theory = network")
    if ends[1] > 10 * ends[0]:
        ax.set(xscale="log", yscale="log")
        plain_log(ax.xaxis)
        plain_log(ax.yaxis)
    ax.set(
        title=_title(row),
        xlabel="network: final β of the winner (units of the weights)",
        ylabel="theory: final β of its winner (units of the weights)",
        aspect="equal",
    )
    ax.legend(fontsize="small")
    return ax


def winner_confusion(winners: xr.Dataset, predictor: str, ax: Axes) -> Axes:
    """Predicted against observed winning frequency; neurons on the diagonal are right.

    A predictor that names no winner, as chance, leaves the picture empty and says so.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    predictor : str
    ax : Axes
    """
    K = (winners.attrs["p"] - 1) // 2
    row = winners.sel(predictor=predictor)
    named = row.sel(neuron=row.predicted > 0)
    counts = np.zeros((K, K), dtype=int)
    np.add.at(counts, (named.predicted.values - 1, named.observed.values - 1), 1)
    edges = np.arange(K + 1) + 0.5
    # Rasterized: viewers of SVG draw hairlines between the cells of a mesh.
    mesh = ax.pcolormesh(edges, edges, counts, cmap=SEQUENTIAL, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label="neurons")
    if not named.sizes["neuron"]:
        ax.text(0.5, 0.5, "names no winner", transform=ax.transAxes, ha="center", color="white")
    ax.set(
        title=_title(row),
        xlabel="network: observed winner (frequency)",
        ylabel="theory: predicted winner (frequency)",
        aspect="equal",
    )
    return ax


def corollary_curve(corollary: xr.Dataset, ax: Axes, networks: xr.Dataset | None = None) -> Axes:
    """How often each simple predictor names the winner, over the spread of initial magnitudes.

    Parameters
    ----------
    corollary : Dataset
        From `grokode.compare.lottery.corollary.corollary`.
    ax : Axes
    networks : Dataset, optional
        From `grokode.compare.lottery.corollary.corollary_of_runs`.
    """
    for predictor in corollary.predictor.values:
        row, color = corollary.sel(predictor=predictor), predictor_style(str(predictor))["color"]
        low, high = (row.interval.sel(bound=bound) for bound in ("low", "high"))
        label = f"theory: {str(predictor).replace('_', ' ')} against blow-up time"
        ax.fill_between(row.spread, low, high, color=color, alpha=0.25, linewidth=0)
        ax.plot(row.spread, row.accuracy, ".--", color=color, label=label)
    if networks is not None:
        for predictor, marker in zip(networks.predictor.values, "osv^D", strict=False):
            row = networks.sel(predictor=predictor)
            ends = row.interval.transpose("bound", "spread") - row.accuracy
            label = f"network: its winner against {str(predictor).replace('_', ' ')}"
            style = NETWORK | {"linestyle": "none", "capsize": 3, "label": label}
            ax.errorbar(row.spread, row.accuracy, yerr=abs(ends), fmt=marker, **style)
    gaussian = corollary.attrs["gaussian_spread"]
    ax.axvline(gaussian, color="0.5", linewidth=0.8)
    ax.annotate(
        "as Gaussian weights",
        (gaussian, 1),
        xycoords=("data", "axes fraction"),
        va="bottom",
        ha="center",
        color="0.5",
    )
    ax.axhline(corollary.attrs["chance"], **CHANCE, label="chance")
    ax.set(
        xlabel="spread of the initial magnitudes\n(standard deviation of their logarithm)",
        ylabel="winners named (fraction of neurons)",
        ylim=(0, 1.03),
    )
    # Curves and points fill the picture.
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)
    return ax


def _title(row: xr.Dataset) -> str:
    name = str(row.predictor.item()).replace("_", " ")
    return name if row.within_assumptions else f"{name} (outside its assumption)"


def _short(reason: str, length: int = 60) -> str:
    return reason if len(reason) <= length else reason[: length - 1] + "…"
