"""Hidden states of a recurrent network merging in the plane, the automaton beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import Range1d, UIElement

from grokode.compare.common.style import AMBER, NETWORK
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import (
    NETWORK_LINE,
    THEORY_LINE,
    legend_above,
    over_steps,
    plot,
)
from grokode.compare.explorer.material import Material, answer_reason, spread
from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.machine import automaton

__all__ = ["VIEW"]

_SEQUENCES = 512
_BEGINS = {"start": "the start", "plateau": "the plateau's end"}


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """States and their automaton at the step, pairs by theory, and how many states."""
    measured = material.answer("automaton")
    states = measured["states"]
    counts = states.states.isel(within=-1)
    losses = states.loss.mean("length")

    def told(step: int) -> str:
        count = int(counts.sel(step=step, method="nearest"))
        loss = float(losses.sel(step=step, method="nearest"))
        return f"At step {step} the hidden states make {count} states; mean loss {loss:.3g}."

    machines = states[["transitions", "outputs"]].assign(states=counts).sel(step=material.steps)
    return [
        _plane(measured["positions"], material, desk),
        automaton(machines, desk),
        _pairs(measured["pairs"], True, desk),
        _pairs(measured["pairs"], False, desk),
        _counts(states, desk),
        desk.telling([desk["step"]], told),
    ]


def _plane(positions: xr.Dataset, material: Material, desk: Desk) -> Any:
    count = material.limits.rows and _SEQUENCES
    shown = positions.isel(sequence=spread(np.arange(positions.sizes["sequence"]), count))
    size = 4 + 10 / np.sqrt(shown.length.values)
    odd = shown.answer.values.astype(bool)

    def places(step: int) -> dict[str, Any]:
        x, y = shown.position.sel(step=step).values.T
        return {"x": x, "y": y}

    colours = np.where(odd, AMBER, NETWORK["color"]).tolist()
    marker = np.where(odd, "triangle", "circle").tolist()
    fixed = {"size": size, "color": colours, "marker": marker}
    source = desk.source([desk["step"]], places, fixed, bits=8)
    reach = 1.08 * np.abs(shown.position.values).max((0, 1))
    figure = plot(
        "Hidden states: triangles answer 1",
        "first direction",
        "second direction",
        height=380,
        x_range=Range1d(-reach[0], reach[0]),
        y_range=Range1d(-reach[1], reach[1]),
    )
    figure.scatter(
        "x",
        "y",
        source=source,
        marker="marker",
        size="size",
        fill_color="color",
        fill_alpha=0.5,
        line_color="color",
    )
    return figure


def _counts(states: xr.Dataset, desk: Desk) -> Any:
    figure = over_steps("Number of states", "states", desk["step"], height=320, y_axis_type="log")
    for within, dash in zip(states.within.values, ("dotted", "dashdot", "solid"), strict=False):
        counts = states.states.sel(within=within)
        figure.line(
            counts.step.values,
            counts.values,
            line_width=2,
            line_color=NETWORK["color"],
            line_dash=dash,
            legend_label=f"network, within {within:g} σ",
        )
    legend_above(figure)
    return figure


def _pairs(pairs: xr.Dataset, agreeing: bool, desk: Desk) -> Any:
    """Mean distance of pairs of one kind that no rate was fitted on, and by the pair flow."""
    figure = over_steps(
        f"Pairs that {'may' if agreeing else 'may not'} merge",
        "mean squared distance of states",
        desk["step"],
        height=320,
        y_axis_type="log",
    )
    some = pairs.isel(pair=(pairs.agreeing.values.astype(bool) == agreeing) & ~pairs.fitted.values)
    told = {"network": (some.observed, NETWORK_LINE)}
    for begin, dash in (("start", "dotted"), ("plateau", "dashed")):
        look = THEORY_LINE | {"line_dash": dash}
        told[f"theory from {_BEGINS[begin]}"] = some.predicted.sel(begin=begin), look
    for label, (values, look) in told.items():
        mean = np.exp(np.log(values.where(values > 0)).mean("pair")).dropna("step")
        if mean.size:
            figure.line(mean.step.values, mean.values, line_width=2, legend_label=label, **look)
    legend_above(figure, columns=1)
    return figure


VIEW = View(
    "states",
    "Hidden states and the automaton",
    "Each dot is the hidden state after one sequence, larger after shorter ones. States that "
    "theory lets merge do so while training goes on; states that lie together are one state of the "
    "automaton beside them.",
    answer_reason("automaton"),
    build,
)
