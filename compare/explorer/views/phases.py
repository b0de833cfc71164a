"""Phases of the neurons of one frequency on the circle, and ψ against 2φ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, CustomJSTransform, Range1d, UIElement
from bokeh.transform import transform

from grokode.compare.common.style import SKY
from grokode.compare.explorer.desk import Desk, slider
from grokode.compare.explorer.look import (
    GREY,
    NETWORK_LINE,
    THEORY_LINE,
    legend_above,
    plot,
)
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.race import choosing, half_turns
from grokode.compare.explorer.views.weights import needs

__all__ = ["VIEW"]

ORDERS = (1, 2, 3, 4, 5, 6)

# Positions follow from phi, the order and the frequency alone; so does their mean.
_TURN = """
const n = Number(order.value), k = Number(frequency.value)
const {phi, winner} = source.data
const x = new Float64Array(phi.length).fill(NaN), y = x.slice()
let east = 0, north = 0, count = 0
for (let i = 0; i < phi.length; i++) {
  if (winner[i] !== k) continue
  x[i] = Math.cos(n * phi[i]); y[i] = Math.sin(n * phi[i])
  east += x[i]; north += y[i]; count += 1
}
circle.data = {...circle.data, x: x, y: y}
if (count) { east /= count; north /= count }
arrow.data = {x: [0, east], y: [0, north]}
const expected = count ? Math.sqrt(Math.PI / count) / 2 : 0
random.data = {x: [0], y: [0], radius: [expected]}
told.text = count
  ? `${count} neurons end on frequency ${k}: their phases times ${n} have a mean of length ` +
    `${Math.hypot(east, north).toFixed(3)}; random phases give ` +
    `${expected.toFixed(3)} on average, evenly spread ones 0.`
  : `No neuron ends on frequency ${k}.`
"""


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The circle with its order, and the doubling of phases."""
    neurons = material.winning.neuron.values
    order = slider("order n", ORDERS, 0)
    desk.controls["order"] = order
    source = desk.source(
        [desk["step"]],
        lambda step: {
            name: material.winning[name].sel(step=step).values for name in ("phi", "psi")
        },
        {"winner": material.winner.values, "neuron": neurons},
        bits=8,
    )
    told = desk.telling([], lambda: "")
    return [order.widget, _circle(source, told, desk), _doubling(source, desk), told]


def _circle(source: Any, told: Any, desk: Desk) -> Any:
    figure = plot(
        "n φ at the chosen frequency",
        "cos n φ",
        "sin n φ",
        height=340,
        tools="tap",
        x_range=Range1d(-1.25, 1.25),
        y_range=Range1d(-1.25, 1.25),
        match_aspect=True,
        aspect_ratio=1,
    )
    nowhere = np.full(source.data["winner"].size, np.nan)
    drawn = {
        "circle": ColumnDataSource({"x": nowhere, "y": nowhere, "neuron": source.data["neuron"]}),
        "arrow": ColumnDataSource({"x": [0.0, 0.0], "y": [0.0, 0.0]}),
        "random": ColumnDataSource({"x": [0.0], "y": [0.0], "radius": [0.0]}),
    }
    _draw(figure, **drawn)
    choosing(drawn["circle"], desk)
    controls = {name: desk[name].widget for name in ("order", "frequency")}
    script = CustomJS(args={"source": source, "told": told} | controls | drawn, code=_TURN)
    for widget in controls.values():
        widget.js_on_change("value", script)
    source.js_on_change("data", script)
    desk.at_start.append(script)
    legend_above(figure)
    return figure


def _draw(
    figure: Any, circle: ColumnDataSource, arrow: ColumnDataSource, random: ColumnDataSource
) -> None:
    """The unit circle, what random phases would have for a mean, the neurons and their mean."""
    figure.circle(0, 0, radius=1, fill_alpha=0, line_color=GREY)
    figure.circle(
        "x",
        "y",
        radius="radius",
        source=random,
        fill_alpha=0,
        line_width=2,
        legend_label="theory: random phases",
        **THEORY_LINE,
    )
    figure.scatter(
        "x",
        "y",
        source=circle,
        size=9,
        fill_color=SKY,
        line_color="black",
        fill_alpha=0.6,
        nonselection_alpha=0.6,
        legend_label="network",
    )
    figure.line("x", "y", source=arrow, line_width=4, legend_label="network, mean", **NETWORK_LINE)


def _doubling(source: Any, desk: Desk) -> Any:
    figure = plot(
        "ψ against 2φ, all neurons",
        "2φ of the winner (rad)",
        "ψ of the winner (rad)",
        height=340,
        tools="tap",
        x_range=Range1d(-1.05 * np.pi, 1.05 * np.pi),
        y_range=Range1d(-1.05 * np.pi, 1.05 * np.pi),
        aspect_ratio=1,
    )
    half_turns(figure.xaxis[0])
    half_turns(figure.yaxis[0])
    twice = CustomJSTransform(
        v_func="return Float64Array.from(xs, x => Math.atan2(Math.sin(2 * x), Math.cos(2 * x)))"
    )
    figure.line(
        [-np.pi, np.pi], [-np.pi, np.pi], line_width=2, legend_label="theory: ψ = 2φ", **THEORY_LINE
    )
    figure.scatter(
        transform("phi", twice),
        "psi",
        source=source,
        size=5,
        color=NETWORK_LINE["line_color"],
        alpha=0.5,
        nonselection_alpha=0.5,
        legend_label="network",
    )
    choosing(source, desk)
    legend_above(figure)
    return figure


VIEW = View(
    "phases",
    "Phases",
    "Phases of the neurons that end on one frequency, times the order n: if they cancel, the noise "
    "of that order cancels in the logits. At the right, trained neurons have ψ = 2φ.",
    needs,
    build,
)
