"""Hidden states of a recurrent network merging in the plane, the automaton beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import Arrow, NormalHead, Range1d, UIElement

from grokode.compare.common.style import AMBER, NETWORK
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import THEORY_LINE, legend_above, over_steps, plot
from grokode.compare.explorer.material import Material, answer_reason, spread
from grokode.compare.explorer.view import View

__all__ = ["VIEW"]

_STATES = 16
_SEQUENCES = 512


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The states at the step, the automaton at the end, how many states, and pairs by theory."""
    measured = material.answer("automaton")
    states = measured["states"]
    counts = states.states.isel(within=-1)
    losses = states.loss.mean("length")

    def told(step: int) -> str:
        count = int(counts.sel(step=step, method="nearest"))
        loss = float(losses.sel(step=step, method="nearest"))
        return f"At step {step} the hidden states make {count} states; mean loss {loss:.3g}."

    return [
        _plane(measured["positions"], material, desk),
        _machine(measured["automaton"]),
        _counts(states, desk),
        _pairs(measured["pairs"], desk),
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


def _machine(machine: xr.Dataset) -> Any:
    """The states at the end on a circle, arrows for 0 (solid) and 1 (dashed)."""
    count = machine.sizes["state"]
    figure = plot(
        "The automaton at the end",
        "arrows: solid reads 0, dashed 1",
        "",
        height=380,
        x_range=Range1d(-1.4, 1.4),
        y_range=Range1d(-1.4, 1.4),
        match_aspect=True,
        aspect_ratio=1,
    )
    figure.xaxis.ticker = []
    figure.yaxis.ticker = []
    figure.grid.visible = False
    if count > _STATES:
        figure.text(
            [0],
            [0],
            text=[f"{count} states, too many to draw"],
            text_align="center",
            text_font_size="14px",
        )
        return figure
    angle = 2 * np.pi * np.arange(count) / max(count, 1) + np.pi / 2
    places = np.stack([np.cos(angle), np.sin(angle)], 1)
    for state in range(count):
        for symbol, dash in enumerate(("solid", "dashed")):
            target = int(machine.transitions[state, symbol])
            if target >= 0:
                _arrow(figure, places, state, target, symbol, dash)
    outputs = machine.outputs.values
    figure.scatter(
        places[:, 0],
        places[:, 1],
        size=30,
        line_color="black",
        line_width=2,
        fill_color=[AMBER if output == 1 else "white" for output in outputs],
    )
    start = int(machine.attrs["start"])
    names = [f"{state}" + (" start" if state == start else "") for state in range(count)]
    figure.text(
        places[:, 0],
        places[:, 1],
        text=names,
        text_align="center",
        text_baseline="middle",
        text_font_size="13px",
    )
    return figure


def _arrow(figure: Any, places: Any, state: int, target: int, symbol: int, dash: str) -> None:
    head = NormalHead(size=9, fill_color="black")
    begin, end = places[state], places[target]
    if state == target:
        # A loop: beside the state, outwards.
        middle, turn = 1.24 * begin, np.array([-begin[1], begin[0]])
        side = 0.1 * (symbol + 1) * turn
        figure.bezier(
            *begin,
            *begin,
            *(middle * 1.25 + 2 * side),
            *(middle * 1.25 - 2 * side),
            line_color="black",
            line_width=1.5,
            line_dash=dash,
        )
        return
    along = end - begin
    beside = np.array([-along[1], along[0]]) * 0.06 * (1 if symbol else -0.2)
    inset = 0.17 * along / np.linalg.norm(along)
    x0, y0 = begin + inset + beside
    x1, y1 = end - inset + beside
    figure.add_layout(
        Arrow(end=head, x_start=x0, y_start=y0, x_end=x1, y_end=y1, line_dash=dash, line_width=1.5)
    )


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


def _pairs(pairs: xr.Dataset, desk: Desk) -> Any:
    figure = over_steps(
        "Distances of pairs of sequences",
        "mean squared distance of states",
        desk["step"],
        height=320,
        y_axis_type="log",
    )
    begin = str(pairs.begin.values[0])
    for agreeing, colour in ((True, NETWORK["color"]), (False, AMBER)):
        some = pairs.agreeing.values.astype(bool) == agreeing
        if not some.any():
            continue
        words = "may merge" if agreeing else "may not"
        for values, kind, look in (
            (pairs.observed, "network", {"line_color": colour}),
            (pairs.predicted.sel(begin=begin), "theory", THEORY_LINE),
        ):
            mean = np.exp(np.log(values.where(values > 0)).isel(pair=some).mean("pair"))
            known = mean.dropna("step")
            if known.size:
                width = 2 if agreeing else 1.2
                figure.line(
                    known.step.values,
                    known.values,
                    line_width=width,
                    legend_label=f"{kind}, {words}",
                    **look,
                )
    legend_above(figure)
    return figure


VIEW = View(
    "states",
    "Hidden states and the automaton",
    "Each dot is the hidden state after one sequence, larger after shorter ones. States that "
    "theory lets merge do so while training goes on; at the end the clusters are an automaton.",
    answer_reason("automaton"),
    build,
)
