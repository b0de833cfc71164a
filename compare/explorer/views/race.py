"""The lottery race of one neuron, theory over network, and the plane to choose the neuron in."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    DataRange1d,
    FixedTicker,
    GroupFilter,
    Range1d,
    UIElement,
)

from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import GREEN, SKY
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import (
    GREY,
    NETWORK_LINE,
    THEORY_LINE,
    legend_above,
    over_steps,
    plot,
)
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.race import NETWORK
from grokode.compare.explorer.view import View
from grokode.theory import fourier

__all__ = ["VIEW", "choosing", "half_turns", "needs_race"]

Curves = Callable[[int, str], dict[str, Any]]

# Neurons by source that are held at once: all of a page, some of a served one.
_KEPT = 512

_QUANTITIES = {
    "alpha": "input magnitude α",
    "beta": "output magnitude β",
    "misalignment": "misalignment D (rad)",
}

_CHOOSE = """
const at = cb_obj.indices
if (at.length) neuron.value = String(source.data.neuron[at[0]])
"""


def needs_race(material: Material) -> str | None:
    """Why there is no lottery in a run, or None."""
    try:
        material.race  # noqa: B018 (measured here, or refused)
    except NotMeasured as refusal:
        return str(refusal)
    return None


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The plane, and alpha, beta and D of all frequencies over the steps."""
    frequencies = material.spectra.frequency.values
    by = [desk["neuron"], desk["predictor"]]
    curves = _curves(material)
    source = desk.source(
        by,
        lambda neuron, predictor: _beside(curves, neuron, predictor, _QUANTITIES),
        {
            "frequency": [str(k) for k in frequencies],
            "xs": [material.steps.astype(float)] * len(frequencies),
        },
    )
    lines = [_lines(source, name, desk) for name in _QUANTITIES]
    return [_plane(material, desk, curves), *lines, desk.telling(by, _telling(material))]


def choosing(source: ColumnDataSource, desk: Desk) -> None:
    """Make a click on a dot choose its neuron; the source has a column ``neuron``."""
    script = CustomJS(args={"neuron": desk["neuron"].widget, "source": source}, code=_CHOOSE)
    source.selected.js_on_change("indices", script)


def half_turns(axis: Any) -> None:
    """Ticks of an angle at -pi, 0 and pi."""
    turns = [-np.pi, -np.pi / 2, 0.0, np.pi / 2, np.pi]
    axis.ticker = FixedTicker(ticks=turns)
    names = ["-π", "-π/2", "0", "π/2", "π"]
    axis.major_label_overrides = dict(zip(turns, names, strict=True))


def _of(tickets: xr.Dataset, source: str, name: str) -> Any:
    """A quantity (frequency, step) of a source; NaN of one that does not follow."""
    if source not in tickets.source:
        return np.full((tickets.sizes["frequency"], tickets.sizes["step"]), np.nan)
    values = getattr(fourier, name)(tickets.sel(source=source)).transpose("frequency", "step")
    return _cut(values.values) if name == "misalignment" else values.values


def _cut(angles: Any) -> Any:
    """NaN where a curve jumps across +-pi, so that no line is drawn there."""
    jumps = np.abs(np.diff(angles, axis=1, prepend=angles[:, :1])) > np.pi
    return np.where(jumps, np.nan, angles)


def _curves(material: Material) -> Curves:
    """What gives the quantities of a neuron by a source, each computed once."""

    @lru_cache(_KEPT)
    def curves(neuron: int, source: str) -> dict[str, Any]:
        tickets = material.race.tickets(neuron).sel(step=material.steps)
        return {name: _of(tickets, source, name) for name in _QUANTITIES}

    return curves


def _beside(curves: Curves, neuron: int, predictor: str, names: Iterable[str]) -> dict[str, Any]:
    """Quantities (frequency, step) of the network and of a predictor."""
    sources = {"network": NETWORK, "theory": predictor}
    return {
        f"{name}_{kind}": curves(neuron, source)[name]
        for name in names
        for kind, source in sources.items()
    }


def _lines(source: ColumnDataSource, name: str, desk: Desk) -> Any:
    title = _QUANTITIES[name].split(" (")[0]
    figure = over_steps(title[0].upper() + title[1:], _QUANTITIES[name], desk["step"])
    one = GroupFilter(column_name="frequency", group=str(desk["frequency"].value))
    desk["frequency"].widget.js_on_change(
        "value", CustomJS(args={"one": one}, code="one.group = cb_obj.value")
    )
    network = []
    for kind, look in (("network", NETWORK_LINE), ("theory", THEORY_LINE)):
        ys = f"{name}_{kind}"
        every = figure.multi_line("xs", ys, source=source, line_width=1, line_alpha=0.6, **look)
        bold = figure.multi_line(
            "xs",
            ys,
            source=source,
            view=CDSView(filter=one),
            line_width=3,
            legend_label=f"{kind}, chosen frequency bold",
            **look,
        )
        network += [every, bold] if kind == "network" else []
    if name == "misalignment":
        figure.y_range = Range1d(-1.05 * np.pi, 1.05 * np.pi)
        half_turns(figure.yaxis[0])
    else:
        # Theory may blow up; the network's range is what can be compared.
        figure.y_range = DataRange1d(renderers=network, start=0, range_padding=0.1)
    legend_above(figure, columns=1)
    return figure


def _plane(material: Material, desk: Desk, curves: Curves) -> Any:
    winning, kept = material.winning, material.race.neurons
    figure = plot(
        "Phase plane: click a neuron",
        "misalignment D of the winner (rad)",
        "output magnitude β of the winner",
        tools="tap",
        x_range=Range1d(-1.08 * np.pi, 1.08 * np.pi),
        y_axis_type="log",
        y_range=Range1d(*_around(winning.beta.values)),
    )
    half_turns(figure.xaxis[0])
    step = desk["step"]

    def places(neurons: Any) -> Any:
        values = winning[["misalignment", "beta"]].sel(neuron=neurons)
        return lambda at: {name: values[name].sel(step=at).values for name in values}

    others = np.setdiff1d(winning.neuron.values, kept)
    if len(others):
        rest = desk.source([step], places(others), bits=8)
        figure.scatter(
            "misalignment",
            "beta",
            source=rest,
            size=4,
            color=GREY,
            alpha=0.35,
            legend_label="other neurons",
        )
    dots = desk.source([step], places(kept), {"neuron": kept}, bits=8)
    figure.scatter(
        "misalignment",
        "beta",
        source=dots,
        size=9,
        fill_color=SKY,
        line_color="black",
        fill_alpha=0.8,
        nonselection_alpha=0.8,
        legend_label="neurons to choose",
    )
    choosing(dots, desk)
    _path(material, desk, figure, curves)
    legend_above(figure)
    return figure


def _around(values: Any) -> tuple[float, float]:
    """A logarithmic range around values above zero."""
    some = values[np.isfinite(values) & (values > 0)]
    return (0.8 * some.min(), 1.3 * some.max()) if some.size else (0.1, 1.0)


def _path(material: Material, desk: Desk, figure: Any, curves: Curves) -> None:
    """The way of the chosen neuron's winner, by the network and by theory, and where it is."""

    def path(neuron: int, predictor: str) -> dict[str, Any]:
        won = int(material.winner.sel(neuron=neuron)) - 1
        both = _beside(curves, neuron, predictor, ("misalignment", "beta"))
        return {name: values[won] for name, values in both.items()}

    way = desk.source([desk["neuron"], desk["predictor"]], path)
    for kind, look in (("network", NETWORK_LINE), ("theory", THEORY_LINE)):
        figure.line(
            f"misalignment_{kind}",
            f"beta_{kind}",
            source=way,
            line_width=2,
            legend_label=f"{kind}, chosen neuron",
            **look,
        )
    winning = material.winning

    def here(neuron: int, step: int) -> dict[str, Any]:
        now = winning.sel(neuron=neuron, step=step)
        return {name: [float(now[name])] for name in ("misalignment", "beta")}

    figure.scatter(
        "misalignment",
        "beta",
        source=desk.source([desk["neuron"], desk["step"]], here),
        size=15,
        fill_alpha=0,
        line_color=GREEN,
        line_width=3,
    )


def _telling(material: Material) -> Any:
    winners = material.race.winners

    def told(neuron: int, predictor: str) -> str:
        won = int(material.winner.sel(neuron=neuron))
        words = predictor.replace("_", " ")
        named = int(winners.predicted.sel(predictor=predictor, neuron=neuron))
        if not named:
            return f"Neuron {neuron} ends on frequency {won}; {words} names none."
        reason = str(winners.reason.sel(predictor=predictor, neuron=neuron).item())
        verdict = "rightly" if named == won else f"wrongly ({reason})"
        follows = predictor in material.race.followers
        also = "" if follows else "; it ranks only, so that no curve of it is drawn"
        return f"Neuron {neuron} ends on frequency {won}; {words} names {named}, {verdict}{also}."

    return told


VIEW = View(
    "race",
    "The lottery race",
    "All frequencies of one neuron race from random starts. Blue is the network, orange dashes are "
    "the predictor chosen above, from the same first checkpoint. In the plane each dot is a neuron "
    "at the frequency it ends on: click one, or choose it by number.",
    needs_race,
    build,
)
