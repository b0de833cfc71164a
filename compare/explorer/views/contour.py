"""The lottery's contour with the tickets of this run laid on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColorBar, LogColorMapper, Range1d, UIElement
from numpy.typing import NDArray

from grokode.compare.common.style import SEQUENTIAL
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import legend_above, logarithmic, plot
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.race import half_turns, needs_race
from grokode.compare.explorer.views.weights import palette
from grokode.theory import fourier
from grokode.theory.exact import blowup_time
from grokode.theory.lottery import contour

__all__ = ["VIEW", "heights"]


def heights(tickets: xr.Dataset, p: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where tickets stand on a contour of equal magnitudes: misalignment, and magnitude.

    A ticket of unequal alpha and beta is set at the magnitude at which the contour has the ticket's
    own blow-up time, so that its colour is true. The flow is of degree two, so that blow-up times
    go as one over the magnitude.

    Parameters
    ----------
    tickets : Dataset
        Spectrum of any shape.
    p : int

    Returns
    -------
    misalignment, magnitude : arrays
        The magnitude is 0 for a ticket that never blows up.
    """
    D = fourier.misalignment(tickets)
    unit = blowup_time(np.ones(D.shape, dtype=complex), np.exp(-1j * D.values), p)
    own = blowup_time(tickets.theta_hat, tickets.xi_hat, p).values
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = np.where(np.isfinite(own) & np.isfinite(unit), unit / own, 0.0)
    return D.values, magnitude


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The contour, the chosen neuron's tickets on it, and who blows up first."""
    start = material.start
    p = start.attrs["p"]
    D, magnitude = heights(start, p)
    figure = _background(p, magnitude)
    neurons = {int(neuron): place for place, neuron in enumerate(start.neuron.values)}

    def of(neuron: int) -> dict[str, Any]:
        return {"D": D[neurons[neuron]], "height": magnitude[neurons[neuron]]}

    names = [str(k) for k in start.frequency.values]
    source = desk.source([desk["neuron"]], of, {"name": names})
    look = {"source": source, "size": 19, "line_color": "black"}
    figure.scatter("D", "height", fill_color="white", fill_alpha=0.85, **look)
    figure.text(
        "D",
        "height",
        text="name",
        source=source,
        text_align="center",
        text_baseline="middle",
        text_font_size="12px",
    )

    def winner(neuron: int) -> dict[str, Any]:
        place = int(material.winner.sel(neuron=neuron)) - 1
        return {name: [values[place]] for name, values in of(neuron).items()}

    figure.scatter(
        "D",
        "height",
        source=desk.source([desk["neuron"]], winner),
        size=26,
        fill_alpha=0,
        line_color="#D55E00",
        line_width=3,
        legend_label="winner of the network",
    )
    legend_above(figure)
    return [figure, desk.telling([desk["neuron"]], _telling(material))]


def _background(p: int, magnitude: NDArray[Any]) -> Any:
    some = magnitude[magnitude > 0]
    low, high = np.quantile(some, [0.01, 1.0]) if some.size else (0.01, 0.1)
    grid = np.geomspace(low / 1.2, high * 1.2, 90)
    angles = np.linspace(-np.pi, np.pi, 121)
    times = contour(p, grid, angles).blowup_time.transpose("magnitude", "misalignment").values
    finite = times[np.isfinite(times)]
    mapper = LogColorMapper(
        palette=palette(f"{SEQUENTIAL}_r"), low=finite.min(), high=np.quantile(finite, 0.97)
    )
    figure = plot(
        "Blow-up time of a ticket",
        "initial misalignment D (rad)",
        "initial magnitude (units of the weights)",
        height=420,
        x_range=Range1d(-np.pi, np.pi),
        y_range=Range1d(grid[0], grid[-1]),
        y_axis_type="log",
    )
    half_turns(figure.xaxis[0])
    # A picture is stretched evenly on the screen; its rows are even in the logarithm, as the axis.
    figure.image(
        [times.astype(np.float32)],
        x=-np.pi,
        y=grid[0],
        dw=2 * np.pi,
        dh=grid[-1] - grid[0],
        color_mapper=mapper,
    )
    bar = ColorBar(
        color_mapper=mapper,
        title="time",
        width=12,
        major_label_text_font_size="12px",
        **logarithmic(),
    )
    figure.add_layout(bar, "right")
    return figure


def _telling(material: Material) -> Any:
    times = material.blowup_times

    def told(neuron: int) -> str:
        first = times.sel(neuron=neuron).to_series().sort_values()
        won = int(material.winner.sel(neuron=neuron))
        place = list(first.index).index(won) + 1
        return (
            f"Neuron {neuron}: frequency {first.index[0]} blows up first, at {first.iloc[0]:.3g}; "
            f"the network's winner, {won}, is number {place} of {len(first)} by blow-up time."
        )

    return told


VIEW = View(
    "contour",
    "The contour and this run's tickets",
    "Colours are the exact blow-up time of one ticket over its start: bright wins. Numbered dots "
    "are the frequencies of the chosen neuron, each at the height where the colour is its own "
    "blow-up time.",
    needs_race,
    build,
)
