"""Figures of hidden states: the automaton, states and losses over training, pairs and criteria."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from grokode.compare.common.style import AMBER, CHANCE, GREEN, NETWORK, PURPLE, SKY, THEORY, say

__all__ = ["automaton", "criteria", "losses", "pair_distances", "positions", "state_counts"]

_LEGIBLE = 60
"""States that can be told apart in a drawing."""
_COLORS = (NETWORK["color"], AMBER, GREEN, PURPLE)


def state_counts(states: xr.Dataset, ax: Axes) -> Axes:
    """Number of states over epochs, one line to a tolerance.

    Parameters
    ----------
    states : Dataset
        See `grokode.compare.automata.measure.states_over_training`.
    ax : Axes
    """
    epochs = states.step / states.attrs["epoch"]
    for tolerance, color in zip(states.within.values, _COLORS, strict=False):
        one = states.sel(within=tolerance)
        ax.plot(epochs, one.states, color=color, label=f"within {tolerance:g} sigma")
        ax.plot(epochs, one.states_linked, color=color, lw=0.8, ls=":", label="the same by chains")
    if np.isfinite(states.attrs["drop_step"]):
        drop = states.attrs["drop_step"] / states.attrs["epoch"]
        ax.axvline(drop, color="0.6", lw=0.8, label="test loss below 0.1")
    ax.set(xlabel="epoch", ylabel="hidden states", yscale="log")
    ax.legend(fontsize="small")
    return ax


def losses(states: xr.Dataset, ax: Axes) -> Axes:
    """Loss over epochs, one line to a length, the shortest palest."""
    epochs = states.step / states.attrs["epoch"]
    count = states.sizes["length"]
    for n, length in enumerate(states.length.values):
        ax.plot(
            epochs,
            states.loss.sel(length=length),
            color=NETWORK["color"],
            alpha=0.25 + 0.75 * n / max(count - 1, 1),
            label=f"length {length}" if n in (0, count - 1) else None,
        )
    ax.set(xlabel="epoch", ylabel="loss", yscale="log")
    ax.legend(fontsize="small")
    return ax


def automaton(machine: xr.Dataset, ax: Axes) -> Axes:
    """The states at the end on a circle, arrows for 0 and 1, filled where the answer is 1.

    Parameters
    ----------
    machine : Dataset
        ``transitions`` (state, symbol), ``outputs`` (state,), attribute ``start``.
    ax : Axes
    """
    count = machine.sizes["state"]
    if count > _LEGIBLE:
        return say(f"{count} states are too many to be drawn; ask for a wider tolerance", ax)
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    x, y = np.cos(angle), np.sin(angle)
    for symbol, color in enumerate((SKY, THEORY["color"])):
        for state, target in enumerate(machine.transitions.values[:, symbol]):
            if target < 0:
                continue
            if target == state:
                ax.plot(
                    1.09 * x[state], 1.09 * y[state], "o", ms=11, mfc="none", mec=color, zorder=1
                )
                continue
            ends = ((x[state], y[state]), (x[target], y[target]))
            curve = f"arc3,rad={0.12 + 0.1 * symbol}"
            arrow = FancyArrowPatch(
                *ends,
                arrowstyle="-|>",
                connectionstyle=curve,
                mutation_scale=9,
                shrinkA=6,
                shrinkB=6,
                color=color,
                linewidth=0.9,
            )
            ax.add_patch(arrow)
        ax.plot([], [], color=color, label=f"symbol {symbol}")
    filled = {0: "white", 1: "0.35"}
    colors = [filled.get(int(output), "#ffd0d0") for output in machine.outputs.values]
    ax.scatter(x, y, s=90, c=colors, edgecolors="black", zorder=3)
    start = int(machine.attrs["start"])
    ax.annotate("start", (x[start], y[start]), (1.25 * x[start], 1.25 * y[start]), ha="center")
    ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
    ax.set_axis_off()
    ax.legend(fontsize="small", loc="lower right")
    return ax


def pair_distances(pairs: xr.Dataset, begin: str, ax: Axes, most: int = 6) -> Axes:
    """Distances of some pairs over steps, network and pair flow, agreeing and not.

    Parameters
    ----------
    pairs : Dataset
        See `grokode.compare.automata.mergers.pair_theory`.
    begin : {"start", "plateau"}
    ax : Axes
    most : int
        Pairs of either kind.
    """
    told = pairs.predicted.sel(begin=begin)
    known = np.flatnonzero(~pairs.fitted.values & told.notnull().any("step").values)
    if not known.size:
        return say("no rates were fitted from there", ax)
    for agreeing, color in ((True, GREEN), (False, NETWORK["color"])):
        those = known[pairs.agreeing.values[known] == agreeing]
        for n, pair in enumerate(those[:: max(1, len(those) // most)][:most]):
            label = ("agreeing" if agreeing else "disagreeing") if n == 0 else None
            ax.plot(pairs.step, pairs.observed.isel(pair=pair), color=color, lw=1, label=label)
            ax.plot(pairs.step, told.isel(pair=pair), color=color, lw=1, ls="--")
    ax.plot([], [], color="0.4", ls="--", label="pair flow")
    within = float(pairs.within[0])
    ax.axhline(pairs.attrs["sigma"] * within, label=f"{within:g} sigma", **CHANCE)
    ax.set(xlabel="optimiser steps", ylabel="distance of hidden states", yscale="log")
    ax.legend(fontsize="small")
    return ax


def criteria(score: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy of the criteria with intervals, from either begin, at either tolerance.

    Parameters
    ----------
    score : Dataset
        See `grokode.compare.automata.mergers.score`.
    ax : Axes
    """
    cells = [(b, t) for b in score.begin.values for t in score.within.values]
    for n, (name, color) in enumerate(
        zip(score.criterion.values, (THEORY["color"], GREEN, "0.6"), strict=True)
    ):
        chosen = [score.sel(criterion=name, begin=b, within=t) for b, t in cells]
        value = np.array([float(cell.accuracy) for cell in chosen])
        span = np.array([[float(c.accuracy - c.low), float(c.high - c.accuracy)] for c in chosen]).T
        at = np.arange(len(cells)) + 0.25 * (n - 1)
        ax.errorbar(at, value, np.maximum(span, 0), fmt="o", color=color, label=str(name))
    ax.set_xticks(range(len(cells)), [f"from {b}\n{t:g} sigma" for b, t in cells])
    ax.set_ylabel("right about merging")
    ax.legend(fontsize="small")
    return ax


def positions(places: xr.Dataset, at: int, ax: Axes) -> Axes:
    """Hidden states at one checkpoint in the plane of their largest spread over training.

    Parameters
    ----------
    places : Dataset
        ``position`` (step, sequence, axis), ``answer`` (sequence,), ``length`` (sequence,).
    at : int
        Which checkpoint.
    ax : Axes
    """
    x, y = places.position.isel(step=at).values.T
    size = 40 / (1 + places.length.values)
    odd = places.answer.values == 1
    ax.scatter(x[~odd], y[~odd], s=size[~odd], color=NETWORK["color"], alpha=0.5, lw=0)
    ax.scatter(x[odd], y[odd], s=size[odd], color=AMBER, alpha=0.5, lw=0)
    ax.set_title(f"epoch {int(places.step[at]) / places.attrs['epoch']:.0f}", fontsize="small")
    ax.set(xticks=[], yticks=[])
    return ax
