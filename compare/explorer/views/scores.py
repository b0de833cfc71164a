"""Alignment scores beside test accuracy, and the forces of loss and decay."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, Range1d, UIElement

from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import GREEN, NETWORK, PURPLE, SKY, THEORY
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import legend_above, over_steps
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.view import View
from grokode.compare.registry import QUESTIONS

__all__ = ["VIEW"]

_SCORES = ("ell_neuron", "ell_neuron_norm", "ell_global")
_FORCES = {
    "gradient_norm": ("network, |loss gradient|", NETWORK["color"], "solid"),
    "push_norm": ("network, |force as applied|", PURPLE, "dashdot"),
    "decay_norm": ("decay × |weights|", THEORY["color"], "dashed"),
}


def needs(material: Material) -> str | None:
    """Why there are neither scores nor forces, or None."""
    reasons = [QUESTIONS[name].needs(material.run) for name in ("alignment", "grokking")]
    return reasons[0] if all(reasons) else None


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """Scores, and forces."""
    figures: list[UIElement] = []
    try:
        figures.append(_scores(material, desk))
    except NotMeasured as refusal:
        reason = str(refusal)
        figures.append(desk.telling([], lambda: f"No scores: {reason}."))
    try:
        series = material.stages.measured
    except NotMeasured as refusal:
        why = str(refusal)
        return [*figures, desk.telling([], lambda: f"No forces: {why}.")]
    figures.append(_forces(series, desk))

    def told(step: int) -> str:
        now = series.sel(step=step, method="nearest")
        return (
            f"At step {step}: loss gradient {float(now.gradient_norm):.3g}, decay times weights "
            f"{float(now.decay_norm):.3g}, cosine between them {float(now.force_cosine):.3f}."
        )

    return [*figures, desk.telling([desk["step"]], told)]


def _scores(material: Material, desk: Desk) -> Any:
    measured = material.answer("alignment")
    figure = over_steps(
        "Alignment scores and test accuracy",
        "over the largest size",
        desk["step"],
        height=320,
        y_range=Range1d(-1.05, 1.1),
    )
    looks = ((NETWORK["color"], "solid"), (GREEN, "dashed"), (PURPLE, "dotdash"))
    for name, (colour, dash) in zip(_SCORES, looks, strict=True):
        values = measured["scores"][name]
        largest = float(abs(values).max()) or 1.0
        _line(figure, values / largest, name, colour, dash)
    _line(figure, measured["accuracy"].test_accuracy, "test accuracy", SKY, "solid")
    legend_above(figure)
    return figure


def _forces(series: xr.Dataset, desk: Desk) -> Any:
    figure = over_steps(
        "Forces", "size (units of the weights)", desk["step"], height=320, y_axis_type="log"
    )
    for name, (label, colour, dash) in _FORCES.items():
        _line(figure, series[name].where(series[name] > 0), label, colour, dash)
    legend_above(figure)
    return figure


def _line(figure: Any, values: xr.DataArray, label: str, colour: str, dash: str) -> None:
    known = values.dropna("step")
    if not known.size:
        return
    source = ColumnDataSource({"step": known.step.values, "value": known.values.astype(np.float32)})
    figure.line(
        "step",
        "value",
        source=source,
        line_width=2,
        line_color=colour,
        line_dash=dash,
        legend_label=label,
    )


VIEW = View(
    "scores",
    "Scores and forces",
    "Alignment scores (larger: phases ψ nearer 2φ) beside test accuracy, each over its largest "
    "size; and the sizes of the two forces on the weights, loss and decay.",
    needs,
    build,
)
