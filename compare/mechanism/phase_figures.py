"""Pictures of `grokode.compare.mechanism.phases`: Observations 2 and 3 on one network."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import CHANCE, GREEN, NETWORK, PURPLE, SKY, THEORY, say

__all__ = [
    "frequency_bars",
    "magnitude_strips",
    "phase_circles",
    "phase_doubling_scatter",
    "resultant_bars",
]

_ORDER_COLORS = (NETWORK["color"], SKY, GREEN, PURPLE)
_MAGNITUDES = {"theta": "input magnitude α", "xi": "output magnitude β"}
_PI_TICKS = (-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi)
_PI_LABELS = ("-π", "-π/2", "0", "π/2", "π")


def phase_doubling_scatter(doubling: xr.Dataset, ax: Axes) -> Axes:
    """Output phase against twice the input phase, a point to a neuron.

    Parameters
    ----------
    doubling : Dataset
        From `grokode.compare.mechanism.phases.phase_doubling`.
    ax : Axes
    """
    if doubling.attrs["reason"]:
        return say(doubling.attrs["reason"], ax)
    ax.scatter(
        doubling.two_phi,
        doubling.psi,
        s=9,
        color=NETWORK["color"],
        alpha=0.6,
        linewidths=0,
        label=f"network: mean |sin D| = {float(doubling.mean_abs_sin):.3f}",
    )
    ax.plot([-np.pi, np.pi], [-np.pi, np.pi], **THEORY, label="theory: ψ = 2φ")
    ax.set(
        xlabel="twice the input phase 2φ (rad)",
        ylabel="output phase ψ (rad)",
        xticks=_PI_TICKS,
        yticks=_PI_TICKS,
        xticklabels=_PI_LABELS,
        yticklabels=_PI_LABELS,
        aspect="equal",
    )
    ax.legend(fontsize="small", loc="lower right")
    return ax


def phase_circles(doubling: xr.Dataset, frequency: int, ax: Axes) -> Axes:
    """Multiples 1, 2 and 4 of one frequency's input phases, each on its circle.

    Dots are neurons; the arrow from the centre is their mean e^{i n phi}, in units of the circle,
    and the dotted circle around the centre the mean length of independent uniform phases.

    Parameters
    ----------
    doubling : Dataset
        From `grokode.compare.mechanism.phases.phase_doubling`.
    frequency : int
    ax : Axes
    """
    phases = doubling.phi.values[doubling.frequency.values == frequency]
    if not phases.size:
        return say(f"no neuron has k = {frequency}", ax)
    turn = np.linspace(0, 2 * np.pi, 200)
    random = np.sqrt(np.pi / phases.size) / 2
    for column, order in enumerate((1, 2, 4)):
        centre = 2.5 * column
        dots = np.exp(1j * order * phases)
        mean = dots.mean()
        ax.plot(centre + np.cos(turn), np.sin(turn), color="0.8", lw=0.8)
        ax.plot(
            centre + random * np.cos(turn),
            random * np.sin(turn),
            **CHANCE,
            lw=1,
            label="random phases" if column == 0 else None,
        )
        ax.scatter(
            centre + dots.real,
            dots.imag,
            s=11,
            color=NETWORK["color"],
            alpha=0.6,
            linewidths=0,
            label="network: neurons" if column == 0 else None,
        )
        ax.plot(
            [centre, centre + mean.real],
            [0, mean.imag],
            color="black",
            marker="o",
            ms=3,
            markevery=[1],
            label="network: mean" if column == 0 else None,
        )
        ax.plot(centre, 0, marker="+", ms=8, color=THEORY["color"], lw=0)
        name = {1: "φ", 2: "2φ", 4: "4φ"}[order]
        ax.text(centre, -1.2, f"{name}: {abs(mean):.2f}", ha="center", va="top")
    ax.plot([], [], "+", color=THEORY["color"], label="theory: mean 0")
    ax.set(
        title=f"k = {frequency}, {phases.size} neurons",
        aspect="equal",
        xlim=(-1.2, 6.2),
        ylim=(-1.6, 1.9),
    )
    ax.set_axis_off()
    ax.legend(fontsize="small", ncols=4, loc="upper center", columnspacing=1, handlelength=1.2)
    return ax


def resultant_bars(uniformity: xr.Dataset, ax: Axes) -> Axes:
    """Resultants of the phases against those of independent uniform ones, by order and frequency.

    Parameters
    ----------
    uniformity : Dataset
        From `grokode.compare.mechanism.phases.phase_uniformity`.
    ax : Axes
    """
    if uniformity.attrs["reason"]:
        return say(uniformity.attrs["reason"], ax)
    relative = uniformity.resultant / uniformity.random_resultant
    orders = uniformity.order.values
    width = 0.8 / len(orders)
    for index, order in enumerate(orders):
        ax.bar(
            uniformity.frequency + (index - (len(orders) - 1) / 2) * width,
            relative.sel(order=order),
            width=width,
            color=_ORDER_COLORS[index % len(_ORDER_COLORS)],
            label=f"network: {'' if order == 1 else order}φ",
        )
    ax.axhline(1, **CHANCE, label="random phases")
    ax.axhline(0, **THEORY, label="theory: 0")
    smallest = float(uniformity.adjusted_p_value.min())
    top = float(relative.max())
    ax.set(
        ylim=(-0.03 * max(top, 1), 1.3 * max(top, 1)),
        xlabel="frequency k",
        ylabel="resultant / that of random phases",
        title=f"smallest Rayleigh p-value (Holm) {smallest:.2g}",
    )
    ax.legend(fontsize="small", ncols=3, loc="upper center")
    return ax


def frequency_bars(balance: xr.Dataset, ax: Axes) -> Axes:
    """Neurons that each frequency won (Observation 3).

    Parameters
    ----------
    balance : Dataset
        From `grokode.compare.mechanism.phases.frequency_balance`.
    ax : Axes
    """
    ax.bar(balance.frequency, balance.neurons, color=NETWORK["color"], label="network")
    expected = float(balance.expected)
    ax.axhline(expected, **THEORY, label=f"theory: {expected:.1f} to each")
    reason = balance.attrs["reason"]
    ax.set(
        ylim=(0, 1.3 * max(float(balance.neurons.max()), expected, 1)),
        xlabel="frequency k",
        ylabel="neurons",
        title=reason if reason else f"chi-square test: p = {float(balance.p_value):.2g}",
    )
    ax.title.set_fontsize("medium")
    ax.legend(fontsize="small", ncols=2, loc="upper center")
    return ax


def magnitude_strips(doubling: xr.Dataset, homogeneity: xr.Dataset, layer: str, ax: Axes) -> Axes:
    """Magnitudes of each frequency's neurons and their mean (Observation 3).

    Parameters
    ----------
    doubling : Dataset
        From `grokode.compare.mechanism.phases.phase_doubling`.
    homogeneity : Dataset
        From `grokode.compare.mechanism.phases.magnitude_homogeneity`.
    layer : {"theta", "xi"}
    ax : Axes
    """
    if doubling.attrs["reason"]:
        return say(doubling.attrs["reason"], ax)
    sizes = doubling.alpha if layer == "theta" else doubling.beta
    here = homogeneity.sel(layer=layer)
    ax.scatter(
        doubling.frequency,
        sizes,
        marker="_",
        s=60,
        color=NETWORK["color"],
        alpha=0.5,
        label="network: neurons",
    )
    ax.plot(
        here.frequency,
        here.mean_magnitude,
        color="black",
        marker="o",
        ms=4,
        lw=0,
        label="network: mean of a frequency",
    )
    ax.axhline(
        float(sizes.mean()), **THEORY, label="theory: all alike (at the mean of all neurons)"
    )
    within = float(here.variation_within)
    title = homogeneity.attrs["reason"] or f"variation within a frequency {within:.1%}"
    ax.set(
        ylim=(0, 1.35 * float(sizes.max())),
        xlabel="frequency k",
        ylabel=f"{_MAGNITUDES[layer]} (units of the weights)",
        title=title,
    )
    ax.legend(fontsize="small", loc="upper center")
    return ax
