"""Logits of any pair beside theory's peaks, what theory leaves over, and the budget of them all."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, CustomJSExpr, DataRange1d, Range1d, UIElement

from grokode.compare.common.style import AMBER, GREEN, NETWORK, PURPLE, SKY, THEORY, YELLOW
from grokode.compare.explorer.desk import Control, Desk, slider
from grokode.compare.explorer.look import GREY, THEORY_LINE, legend_above, over_steps, plot
from grokode.compare.explorer.material import Material, answer_reason, spread
from grokode.compare.explorer.view import View
from grokode.compare.logits.fits import logits

__all__ = ["VIEW"]

_COLOURS = (NETWORK["color"], "#A50F15", AMBER, PURPLE, GREEN, SKY, YELLOW, GREY)
_LESS = "const {network, theory} = this.data\nreturn network.map((value, i) => value - theory[i])"


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """One pair's logits and what is left over, and the budget over the steps."""
    p = material.run.config.p
    # Network and theory hold p^3 numbers each at a step; where these are too many, some x do.
    numbers = material.limits.numbers
    steps = spread(material.steps, max(1, min(len(material.steps), numbers // (2 * p**3))))
    some = spread(np.arange(p), max(1, min(p, numbers // (2 * p**2 * len(steps)))))
    x, y = slider("x", some.tolist(), len(some) // 3), slider("y", range(p), p // 2)
    desk.controls |= {"x": x, "y": y}
    step = desk["step"].coarser(steps.tolist())

    @lru_cache(maxsize=8)
    def fit(at: int) -> xr.Dataset:
        weights = material.run.weights.sel(step=at).load()
        with np.errstate(all="ignore"):
            return logits(weights.theta.values, weights.xi.values, material.run.config.activation)

    def row(at: int, x: int, y: int) -> dict[str, Any]:
        return {name: fit(at)[name].values[x, y] for name in ("network", "theory")}

    source = desk.source([step, x, y], row, {"output": np.arange(p)})
    figures = [_row(source, _peaks(desk, [step, x, y], fit, p), p), _residual(source, p)]
    history = material.answer("logits")["history"]
    if history.share.notnull().any():
        figures.append(_budget(history, desk))
    told = desk.telling([step], lambda at: _told(fit(at), at))
    return [x.widget, y.widget, *figures, told]


def _row(source: ColumnDataSource, peaks: ColumnDataSource, p: int) -> Any:
    figure = plot(
        "Logits of the pair (x, y)",
        "output j",
        "logit, centred over j",
        height=320,
        x_range=Range1d(-0.7, p - 0.3),
        y_range=DataRange1d(range_padding=0.3),
    )
    figure.vbar(
        "output",
        top="network",
        width=0.8,
        source=source,
        color=NETWORK["color"],
        alpha=0.7,
        legend_label="network",
    )
    figure.step(
        "output",
        "theory",
        source=source,
        mode="center",
        line_width=2,
        legend_label="theory: Proposition 1",
        **THEORY_LINE,
    )
    figure.text(
        "output",
        "height",
        text="name",
        source=peaks,
        text_align="center",
        y_offset=-4,
        text_font_size="13px",
        text_color=THEORY["color"],
        text_font_style="bold",
    )
    figure.xaxis.ticker.min_interval = 1
    legend_above(figure)
    return figure


def _peaks(desk: Desk, by: list[Control], fit: Any, p: int) -> ColumnDataSource:
    """Where Proposition 1 has its peaks: at the answer, at 2x and at 2y; named above the bars."""

    def places(at: int, x: int, y: int) -> dict[str, Any]:
        outputs = np.array([x + y, 2 * x, 2 * y]) % p
        sides = (fit(at)[name].values[x, y, outputs] for name in ("network", "theory"))
        return {"output": outputs, "height": np.fmax(*sides)}

    return desk.source(by, places, {"name": ["x+y", "2x", "2y"]})


def _residual(source: ColumnDataSource, p: int) -> Any:
    figure = plot(
        "What Proposition 1 leaves over",
        "output j",
        "network less theory",
        height=320,
        x_range=Range1d(-0.7, p - 0.3),
    )
    figure.vbar(
        "output",
        top={"expr": CustomJSExpr(code=_LESS)},
        width=0.8,
        source=source,
        color=PURPLE,
        legend_label="residual",
    )
    legend_above(figure)
    return figure


def _budget(history: xr.Dataset, desk: Desk) -> Any:
    kept = history.sel(step=spread(history.step.values, 200)).dropna("step", subset=["share"])
    parts = [str(part) for part in kept.part.values]
    figure = over_steps(
        "The logits' budget", "share of the logits' variance", desk["step"], height=320
    )
    data = {part: kept.share.sel(part=part).values.astype(np.float32) for part in parts}
    source = ColumnDataSource(data | {"step": kept.step.values})
    figure.varea_stack(
        parts,
        x="step",
        source=source,
        color=_COLOURS[: len(parts)],
        alpha=0.75,
        legend_label=[part.replace("_", " ") for part in parts],
    )
    figure.y_range.start = 0
    legend_above(figure, columns=3)
    return figure


def _told(fit: xr.Dataset, step: int) -> str:
    if fit.attrs["reason"]:
        return f"At step {step} there is nothing to compare: {fit.attrs['reason']}."
    return (
        f"At step {step} Proposition 1 explains {float(fit.r2):.1%} of the variance of all logits "
        f"at scale {float(fit.scale):.4g}; {float(fit.accuracy):.1%} of all pairs are right."
    )


VIEW = View(
    "logits",
    "Logits",
    "Bars are the network's logits of one pair, dashes Proposition 1 at its best scale, with its "
    "peaks at x+y, 2x and 2y. The budget splits the variance of all logits exactly: signal, what "
    "phases leave, products of different frequencies; covariances make up the rest to 100%.",
    answer_reason("logits"),
    build,
)
