"""Which pairs are answered rightly at a step: trained, mirrored and unseen ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, UIElement

from grokode.compare.common.style import GREEN, NETWORK, PURPLE
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import (
    GREY,
    THEORY_LINE,
    legend_above,
    over_steps,
    plot,
)
from grokode.compare.explorer.material import Material, answer_reason
from grokode.compare.explorer.view import View
from grokode.compare.grokking.split import KINDS

__all__ = ["VIEW"]

_LOOKS = dict(
    zip(
        KINDS,
        (("square", NETWORK["color"]), ("triangle", GREEN), ("circle", PURPLE)),
        strict=True,
    )
)


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """The grid at the step, and the accuracy of each kind over the steps."""
    stages = material.stages
    steps = [int(step) for step in material.steps]
    series = stages.series.sel(step=steps)
    kinds = stages.pairs.kind.values
    figure = plot(
        "Filled is right",
        "x",
        "y",
        height=460,
        aspect_ratio=1,
        x_range=Range1d(-1, len(kinds)),
        y_range=Range1d(-1, len(kinds)),
    )
    size = float(np.clip(250 / len(kinds), 2, 11))
    for kind, (marker, colour) in _LOOKS.items():
        x, y = np.nonzero(kinds == kind)
        if not len(x):
            continue
        correct = series.correct.values[:, x, y]
        source = desk.source(
            [desk["step"]],
            lambda step, correct=correct: {"right": correct[steps.index(step)].astype(float)},
            {"x": x, "y": y},
            bits=8,
        )
        figure.scatter(
            "x",
            "y",
            source=source,
            marker=marker,
            size=size,
            fill_color=colour,
            fill_alpha="right",
            line_color=colour,
            legend_label=f"{kind} pairs",
        )
    legend_above(figure, columns=3)
    return [figure, _accuracies(stages, desk), desk.telling([desk["step"]], _telling(stages))]


def _accuracies(stages: Any, desk: Desk) -> Any:
    series = stages.measured
    figure = over_steps(
        "Accuracy by kind of pair",
        "fraction of pairs",
        desk["step"],
        height=460,
        y_range=Range1d(-0.02, 1.04),
    )
    for kind, (_, colour) in _LOOKS.items():
        values = series.accuracy.sel(kind=kind)
        if values.notnull().any():
            source = ColumnDataSource({"x": series.step.values, "y": values.values})
            figure.line(
                "x",
                "y",
                source=source,
                line_width=2,
                line_color=colour,
                legend_label=f"network, {kind}",
            )
    free = stages.free_accuracy["mirrored"]
    ends = series.step.values[[0, -1]]
    figure.line(
        ends,
        [free, free],
        line_width=2,
        legend_label="theory: test pairs known by mirror",
        **THEORY_LINE,
    )
    figure.line(
        ends,
        [1 / stages.pairs.attrs["p"]] * 2,
        line_color=GREY,
        line_dash="dotted",
        legend_label="guessing",
    )
    legend_above(figure)
    return figure


def _telling(stages: Any) -> Any:
    def told(step: int) -> str:
        now = stages.series.accuracy.sel(step=step)
        parts = [
            f"{kind} {float(now.sel(kind=kind)):.1%}"
            for kind in KINDS
            if np.isfinite(now.sel(kind=kind))
        ]
        return f"Right at step {step}: {', '.join(parts)}."

    return told


VIEW = View(
    "grid",
    "Which pairs are right",
    "Every pair (x, y): trained on, mirror image of a trained one (x + y = y + x gives it away "
    "free), or truly unseen. Filled marks are answered rightly at the step chosen.",
    answer_reason("grokking"),
    build,
)
