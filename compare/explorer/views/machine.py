"""The automaton of the hidden states as a drawing that moves: states on a circle, arrows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d
from numpy.typing import NDArray

from grokode.compare.common.style import AMBER
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import GREY, legend_above, plot

__all__ = ["arrow", "automaton", "drawing"]

Array = NDArray[Any]
Columns = Callable[[xr.Dataset], dict[str, Array]]

_POINTS = 17
"""Of a line from state to state."""
_FILLS = ("#bdbdbd", "white", AMBER)
"""Of a state whose answer nobody asked for, that answers 0, that answers 1."""


def automaton(machines: xr.Dataset, desk: Desk) -> Any:
    """A figure of the automaton at the step chosen.

    Parameters
    ----------
    machines : Dataset
        ``transitions`` (step, state, symbol) and ``outputs`` (step, state), and ``states`` (step,),
        from `grokode.compare.automata.measure.states_over_training`.
    desk : Desk
    """
    figure = plot(
        "The automaton at the step",
        "amber answers 1, white 0, grey nobody asked",
        "",
        height=420,
        x_range=Range1d(-1.5, 1.5),
        y_range=Range1d(-1.5, 1.5),
        match_aspect=True,
        aspect_ratio=1,
    )
    figure.xaxis.ticker = figure.yaxis.ticker = []
    figure.grid.visible = False

    def follow(columns: Columns, fixed: dict[str, Any] | None = None) -> ColumnDataSource:
        return desk.source([desk["step"]], lambda step: columns(machines.sel(step=step)), fixed)

    for symbol, dash in enumerate(("solid", "dashed")):
        arrows = follow(partial(_arrows, symbol))
        look = {"line_dash": dash, "line_color": "black", "line_width": 1.3}
        figure.multi_line("xs", "ys", source=arrows, legend_label=f"reads {symbol}", **look)
        head = {"marker": "triangle", "size": 9, "color": "black"}
        figure.scatter("x", "y", angle="angle", source=arrows, **head)
    names = [str(state) for state in range(machines.sizes["state"])]
    states = follow(_states, {"name": names})
    mapper = LinearColorMapper(palette=list(_FILLS), low=-1.5, high=1.5)
    rim = {"fill_color": {"field": "output", "transform": mapper}, "line_color": "black"}
    figure.circle("x", "y", radius="radius", source=states, line_width=2, **rim)
    ring = {"fill_alpha": 0, "line_color": GREY, "legend_label": "begins here"}
    figure.circle("x", "y", radius="radius", source=follow(_start), line_width=2, **ring)
    centred = {"text_align": "center", "text_baseline": "middle", "text_font_size": "12px"}
    figure.text("x", "y", text="name", source=states, **centred)
    told = follow(_too_many, {"told": [f"more than {len(names)} states: too many to draw"]})
    figure.text("x", "y", text="told", source=told, **centred)
    legend_above(figure, columns=3)
    return figure


def drawing(machine: xr.Dataset) -> tuple[dict[str, Array], dict[str, Array]]:
    """The arrows of an automaton, for each of its two symbols.

    Parameters
    ----------
    machine : Dataset
        ``transitions`` (state, symbol), -1 where there is no arrow, and ``states``, how many of
        the rows are states.

    Returns
    -------
    two dicts
        ``xs``, ``ys`` (state, point), the line from each state; ``x``, ``y``, ``angle`` (state,) of
        its head. NaN where there is none.
    """
    places, radius = _places(machine)
    both = []
    for symbol, targets in enumerate(machine.transitions.values.T):
        lines = np.full((len(targets), _POINTS, 2), np.nan)
        for state in np.flatnonzero((targets >= 0) & np.isfinite(places[:, 0])):
            lines[state] = arrow(places[state], places[targets[state]], radius, symbol)
        ends = lines[:, -1]
        # A triangle points upwards, with its middle behind its point.
        way = ends - lines[:, -2]
        angle = np.arctan2(way[:, 1], way[:, 0]) - np.pi / 2
        both.append(
            {"xs": lines[..., 0], "ys": lines[..., 1], "x": ends[:, 0], "y": ends[:, 1]}
            | {"angle": angle}
        )
    return both[0], both[1]


def arrow(begin: Array, end: Array, radius: float, symbol: int) -> Array:
    """A line (point, 2) from the rim of one state to that of another, or round from a state to it.

    Parameters
    ----------
    begin, end : arrays (2,)
        Middles of the states.
    radius : float
        Of a state.
    symbol : {0, 1}
        The arrows of the second bend more, so that two between the same states are two.

    Examples
    --------
    >>> line = arrow(np.array([0.0, 0.0]), np.array([1.0, 0.0]), 0.1, 0)
    >>> float(np.hypot(*line[0]).round(2)), float(np.hypot(*(line[-1] - [1, 0])).round(2))
    (0.1, 0.14)
    """
    t = np.linspace(0, 1, 400)[:, None]
    if np.array_equal(begin, end):
        # Round a circle beside the state, outwards; once more so far out for the second symbol.
        size = (0.8 + 0.5 * symbol) * radius
        out = begin / np.linalg.norm(begin) if begin.any() else np.array([0.0, 1.0])
        turn = 2 * np.pi * t
        across = np.array([-out[1], out[0]])
        line = (
            begin
            + (radius + 0.6 * size) * out
            - size * (np.cos(turn) * out + np.sin(turn) * across)
        )
    else:
        way = end - begin
        bend = (0.12 + 0.14 * symbol) * np.array([way[1], -way[0]])
        line = (1 - t) ** 2 * begin + 2 * t * (1 - t) * (begin + way / 2 + 2 * bend) + t**2 * end
    # The head needs room before the rim.
    free = np.linalg.norm(line - begin, axis=1) >= radius
    free &= np.linalg.norm(line - end, axis=1) >= (
        radius if np.array_equal(begin, end) else radius + 0.04
    )
    outside = line[free]
    if not len(outside):
        return np.full((_POINTS, 2), np.nan)
    return np.asarray(outside[np.linspace(0, len(outside) - 1, _POINTS).round().astype(int)])


def _places(machine: xr.Dataset) -> tuple[Array, float]:
    """Where the states lie, NaN for rows that are none, and how large they are."""
    most, count = machine.sizes["state"], int(machine.states)
    places = np.full((most, 2), np.nan)
    if 0 < count <= most:
        angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
        places[:count] = np.stack([np.cos(angle), np.sin(angle)], 1)
    return places, min(0.15, 0.7 * np.sin(np.pi / max(count, 2)))


def _states(machine: xr.Dataset) -> dict[str, Array]:
    places, radius = _places(machine)
    known = np.where(np.isfinite(places[:, 0]), radius, np.nan)
    outputs = machine.outputs.values.astype(float)
    return {"x": places[:, 0], "y": places[:, 1], "radius": known, "output": outputs}


def _start(machine: xr.Dataset) -> dict[str, Array]:
    """A ring round the first state, where the empty sequence is."""
    first = {name: column[:1] for name, column in _states(machine).items()}
    return {"x": first["x"], "y": first["y"], "radius": 1.3 * first["radius"]}


def _arrows(symbol: int, machine: xr.Dataset) -> dict[str, Array]:
    return drawing(machine)[symbol]


def _too_many(machine: xr.Dataset) -> dict[str, Array]:
    """Where it is said that an automaton is too large: nowhere, if it is not."""
    x = np.array([0.0 if int(machine.states) > machine.sizes["state"] else np.nan])
    return {"x": x, "y": 0 * x}
