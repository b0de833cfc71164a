"""Who wins: the ladder of predictors, its right and wrong neurons, and where each one parts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import CDSView, ColumnDataSource, CustomJS, GroupFilter, Span, UIElement, Whisker
from numpy.typing import NDArray

from grokode.compare.common.style import NETWORK
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import GREY, legend_above, over_steps, plot
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.race import choosing, needs_race
from grokode.compare.lottery.winner_figures import predictor_style

__all__ = ["VIEW", "predictors"]

_ROUNDING = 1e-10


def predictors(material: Material) -> list[str]:
    """The predictors of the ladder, without chance."""
    names = material.race.winners.predictor.values
    return [str(name) for name in names if name != "chance"]


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The ladder, neuron by neuron, and the errors over the steps."""
    figures = [_accuracy(material, desk), _neurons(material, desk)]
    if material.race.errors is not None:
        figures.append(_errors(material.race.errors, material, desk))
    return [*figures, desk.telling([desk["predictor"]], _telling(material))]


def _accuracy(material: Material, desk: Desk) -> Any:
    winners, names = material.race.winners, predictors(material)
    words = [_words(winners, name) for name in names]
    shown = winners.sel(predictor=names)
    low, high = (shown.interval.transpose("bound", ...).values[end] for end in (0, 1))
    source = ColumnDataSource(
        {
            "name": names,
            "words": words,
            "accuracy": shown.accuracy.values,
            "low": low,
            "high": high,
            "color": [predictor_style(name)["color"] for name in names],
        }
    )
    figure = plot(
        "Winners named by each predictor",
        "fraction of neurons, with 95% interval",
        "",
        y_range=words[::-1],
        x_range=(0, 1.02),
    )
    figure.hbar("words", right="accuracy", height=0.6, color="color", alpha=0.55, source=source)
    one = GroupFilter(column_name="name", group=str(desk["predictor"].value))
    figure.hbar(
        "words",
        right="accuracy",
        height=0.75,
        fill_alpha=0,
        line_color="black",
        line_width=2.5,
        source=source,
        view=CDSView(filter=one),
    )
    desk["predictor"].widget.js_on_change(
        "value", CustomJS(args={"one": one}, code="one.group = cb_obj.value")
    )
    figure.add_layout(
        Whisker(source=source, base="words", lower="low", upper="high", dimension="width")
    )
    figure.add_layout(
        Span(
            location=winners.attrs["chance"],
            dimension="height",
            line_color=GREY,
            line_dash="dotted",
            line_width=2,
        )
    )
    figure.min_border_left = 10
    return figure


def _words(winners: xr.Dataset, name: str) -> str:
    inside = bool(winners.within_assumptions.sel(predictor=name))
    return name.replace("_", " ") + ("" if inside else " *")


def _neurons(material: Material, desk: Desk) -> Any:
    winners, kept = material.race.winners, material.race.neurons
    figure = plot(
        "Right and wrong neurons: click one",
        "frequency that the network ends on",
        "frequency named by the predictor",
        tools="tap",
    )
    for axis in figure.axis:
        axis.ticker.min_interval = 1
    # Dots of one cell would hide one another; they are set around its middle, always alike.
    shift = np.random.default_rng(0).uniform(-0.35, 0.35, (2, winners.sizes["neuron"]))
    chosen = np.isin(winners.neuron.values, kept)
    for where, size, alpha in ((~chosen, 5, 0.4), (chosen, 10, 0.9)):
        if not where.any():
            continue
        shown, aside = winners.isel(neuron=where), shift[:, where]
        fixed = {"neuron": shown.neuron.values, "x": shown.observed.values + aside[0]}
        source = desk.source([desk["predictor"]], _verdicts(shown, aside[1]), fixed)
        _marks(figure, source, size, alpha, named=where is chosen)
        if where is chosen:
            choosing(source, desk)
    legend_above(figure)
    return figure


def _verdicts(winners: xr.Dataset, aside: NDArray[Any]) -> Any:
    """What gives, by predictor, the heights of the right neurons and those of the wrong ones."""
    observed = winners.observed.values

    def columns(predictor: str) -> dict[str, Any]:
        named = winners.predicted.sel(predictor=predictor).values
        height = np.where(named > 0, named + aside, np.nan)
        good = named == observed
        return {"right": np.where(good, height, np.nan), "wrong": np.where(good, np.nan, height)}

    return columns


def _marks(figure: Any, source: ColumnDataSource, size: int, alpha: float, named: bool) -> None:
    looks: dict[str, dict[str, Any]] = {
        "right": {"color": NETWORK["color"]},
        "wrong": {"marker": "x", "line_color": "#A50F15", "line_width": 2},
    }
    for verdict, look in looks.items():
        label = {"legend_label": verdict} if named else {}
        figure.scatter(
            "x",
            verdict,
            source=source,
            size=size,
            alpha=alpha,
            nonselection_alpha=alpha,
            **look,
            **label,
        )


def _errors(errors: xr.Dataset, material: Material, desk: Desk) -> Any:
    figure = over_steps(
        "Where predictors part from the network",
        "all β, relative error",
        desk["step"],
        height=300,
        y_axis_type="log",
    )
    kept = errors.sel(step=material.steps)
    dashes = ["dashed", "dotdash", "dotted", "dashdot", [8, 2, 2, 2], [2, 2]]
    for place, predictor in enumerate(str(name) for name in kept.predictor.values):
        curve = kept.beta_error.sel(predictor=predictor)
        figure.line(
            kept.step.values,
            curve.where(curve > _ROUNDING).values,
            line_width=2,
            line_color=predictor_style(predictor)["color"],
            line_dash=dashes[place % len(dashes)],
            legend_label=predictor.replace("_", " "),
        )
    for tolerance in (0.01, 0.05, 0.2):
        figure.add_layout(
            Span(location=tolerance, dimension="width", line_color=GREY, line_width=0.7)
        )
    legend_above(figure)
    return figure


def _telling(material: Material) -> Any:
    winners = material.race.winners

    def told(predictor: str) -> str:
        one = winners.sel(predictor=predictor)
        accuracy = float(one.accuracy)
        words = predictor.replace("_", " ")
        if not np.isfinite(accuracy):
            return f"{words} has no number: {one.accuracy_reason.item()}."
        low, high = (float(bound) for bound in one.interval)
        outside = str(one.outside.item())
        also = f" It is outside its assumption (*): {outside}." if outside else ""
        return (
            f"{words} names the winners of {accuracy:.1%} of the neurons "
            f"(95% interval {low:.1%} to {high:.1%}; chance {winners.attrs['chance']:.1%}).{also}"
        )

    return told


VIEW = View(
    "winners",
    "Who wins",
    "The ladder of predictors, from the crudest assumption to the finest; those marked * are "
    "outside their assumption. The winner is the frequency of largest β in the last checkpoint. "
    "The dotted line is chance; thin lines of the third figure are errors of 1%, 5% and 20%.",
    needs_race,
    build,
)
