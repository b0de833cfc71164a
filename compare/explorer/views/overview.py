"""Overview: losses, accuracies, norm and sparsity over the steps, with the stages shaded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import LinearAxis, Range1d, UIElement

from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import GREEN, SKY
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import (
    GREY,
    NETWORK_LINE,
    SHADES,
    THEORY_LINE,
    legend_above,
    over_steps,
    shade,
)
from grokode.compare.explorer.material import Material, spread
from grokode.compare.explorer.view import View
from grokode.compare.grokking.stages import STAGES, Stages

__all__ = ["VIEW"]

_POINTS = 600
_TEST_LINE = {"line_color": SKY}
_GUESS: dict[str, Any] = {"line_color": GREY, "line_dash": "dotted"}


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """Loss, accuracy, and norm with sparsity."""
    run = material.run
    metrics = run.metrics.load()
    metrics = metrics.sel(step=spread(metrics.step.values, _POINTS))
    stages = _stages(material)
    figures = [
        _loss(metrics, run, desk),
        _accuracy(metrics, stages, desk),
        _norm(metrics, material, desk),
    ]
    for figure in figures:
        if stages is not None:
            _shade(stages, figure)
        legend_above(figure)
    known = {int(step): place for place, step in enumerate(metrics.step.values)}

    def told(step: int) -> str:
        nearest = min(known, key=lambda at: abs(at - step))
        row = metrics.isel(step=known[nearest])
        accuracy = _percent(float(row.train_accuracy)), _percent(float(row.test_accuracy))
        stage = "" if stages is None else f"; stage: {_stage(stages, step)}"
        return (
            f"Step {step}: training loss {float(row.train_loss):.4g}, accuracy "
            f"{accuracy[0]} on training and {accuracy[1]} on test examples{stage}."
        )

    return [*figures, desk.telling([desk["step"]], told)]


def _percent(share: float) -> str:
    return f"{share:.1%}" if np.isfinite(share) else "unknown"


def _stages(material: Material) -> Stages | None:
    try:
        return material.stages
    except NotMeasured:
        return None


def _stage(stages: Stages, step: int) -> str:
    return str(stages.series.stage.sel(step=step, method="nearest").item())


def _loss(metrics: xr.Dataset, run: Any, desk: Desk) -> Any:
    squares = run.config.loss == "mse"
    unit = "mean square error" if squares else "cross-entropy (nats)"
    figure = over_steps("Loss", unit, desk["step"], y_axis_type="log")
    _line(figure, metrics.train_loss, "network, training", NETWORK_LINE)
    _line(figure, metrics.test_loss, "network, test", _TEST_LINE)
    if not squares:
        guess = float(np.log(run.config.data.classes))
        _level(figure, metrics, guess, "guessing", _GUESS)
    return figure


def _accuracy(metrics: xr.Dataset, stages: Stages | None, desk: Desk) -> Any:
    figure = over_steps(
        "Accuracy", "fraction of examples", desk["step"], y_range=Range1d(-0.02, 1.04)
    )
    _line(figure, metrics.train_accuracy, "network, training", NETWORK_LINE)
    _line(figure, metrics.test_accuracy, "network, test", _TEST_LINE)
    free = np.nan if stages is None else stages.free_accuracy["mirrored"]
    if np.isfinite(free):
        _level(figure, metrics, free, "theory: mirrored pairs alone", THEORY_LINE)
    return figure


def _norm(metrics: xr.Dataset, material: Material, desk: Desk) -> Any:
    figure = over_steps("Weights", "norm of all weights", desk["step"])
    _line(figure, metrics.weight_norm, "norm", {"line_color": GREEN})
    try:
        history = material.answer("mechanism")["history"]
    except NotMeasured:
        return figure
    kept = history.sel(step=spread(history.step.values, _POINTS))
    figure.extra_y_ranges = {"share": Range1d(0, 1.04)}
    axis = LinearAxis(
        y_range_name="share",
        axis_label="participation ratio",
        axis_label_text_font_style="normal",
        axis_label_text_font_size="13px",
        major_label_text_font_size="12px",
    )
    figure.add_layout(axis, "right")
    on_right = {"y_range_name": "share"}
    for layer, look in (("theta", NETWORK_LINE), ("xi", _TEST_LINE)):
        values = kept.participation.sel(layer=layer)
        name = "participation, input" if layer == "theta" else "output"
        _line(figure, values, name, look | on_right)
    random = 2 / ((material.run.config.p - 1) / 2 + 1)
    _level(figure, kept, random, "theory: random weights", THEORY_LINE | on_right)
    return figure


def _level(figure: Any, over: xr.Dataset, height: float, label: str, look: dict[str, Any]) -> None:
    ends = over.step.values[[0, -1]]
    figure.line(ends, [height, height], line_width=2, legend_label=label, **look)


def _line(figure: Any, values: xr.DataArray, label: str, look: dict[str, Any]) -> None:
    known = np.isfinite(values.values)
    if not known.any():
        return
    steps, height = values.step.values[known], values.values[known].astype(np.float32)
    figure.line(steps, height, legend_label=label, line_width=2, **look)
    if known.sum() < 20:
        where = {name: look[name] for name in look if name == "y_range_name"}
        figure.scatter(steps, height, size=7, color=look["line_color"], **where)


def _shade(stages: Stages, figure: Any) -> None:
    steps = stages.series.step.values
    starts = {STAGES[0]: int(steps[0])}
    for name, at in zip(STAGES[1:], (stages.memorised, stages.generalised), strict=True):
        if at.step is not None:
            starts[name] = max(at.step, int(steps[0]))
    edges = [*starts.values(), int(steps[-1])]
    whole = float(steps[-1] - steps[0])
    colours = dict(zip(STAGES, SHADES, strict=True))
    for name, left, right in zip(starts, edges[:-1], edges[1:], strict=True):
        shade(figure, name, (left, right), colours[name], whole)


VIEW = View(
    "overview",
    "Overview",
    "The training as it was logged. Shades are its stages, where they were found: memorising, "
    "memorised, generalised. The black line is the step chosen above.",
    lambda material: None,
    build,
)
