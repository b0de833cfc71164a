"""One look for the explorer's figures: the colours and names of the figures on paper."""

from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    CustomJS,
    CustomJSTicker,
    CustomJSTickFormatter,
    Label,
    Legend,
    Span,
)
from bokeh.plotting import figure

from grokode.compare.common.style import AMBER, NETWORK, STEPS, THEORY, YELLOW
from grokode.compare.explorer.desk import Control

__all__ = [
    "GREY",
    "HIDDEN",
    "NETWORK_LINE",
    "SHADES",
    "THEORY_LINE",
    "here",
    "legend_above",
    "logarithmic",
    "over_steps",
    "plot",
    "shade",
]

NETWORK_LINE: dict[str, Any] = {"line_color": NETWORK["color"]}
THEORY_LINE: dict[str, Any] = {"line_color": THEORY["color"], "line_dash": "dashed"}
GREY = "#6b6b6b"
SHADES = (YELLOW, AMBER, "#999999")
"""Behind the three stages of a training."""
HIDDEN = {"fill_alpha": 0.0, "line_alpha": 0.0}
"""Of a glyph that is there to be clicked at, not seen."""

# Bokeh's own ticks are even ones below two decades, and powers above.
_LOG_TICKS = """
const {start, end} = cb_data.range
const low = Math.min(start, end), high = Math.max(start, end)
const decades = Math.log10(high / low), ticks = []
if (decades < 0.4) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 3))
  const step = [5, 2, 1].map(one => one * power).find(one => 3 * one <= high - low)
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step)
  return ticks
}
const leading = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.6 ? [1, 2, 5] : [1]
const every = Math.max(1, Math.ceil(decades / 6))
for (let k = Math.floor(Math.log10(low) / every) * every; 10 ** k <= high; k += every)
  for (const one of leading) {
    const tick = one * 10 ** k
    if (low <= tick && tick <= high) ticks.push(tick)
  }
return ticks
"""

_AT_STEP = """
const step = Number(slider.value)
if (Number.isFinite(step)) span.location = step
"""


def plot(title: str, x: str, y: str, height: int = 320, tools: str = "", **more: Any) -> Any:
    """An empty figure.

    Parameters
    ----------
    title : str
        What it shows; also its name.
    x, y : str
        Labels of the axes, with units.
    height : int
        Pixels.
    tools : str
        More tools than zooming, saving and going back.
    **more
        As of `bokeh.plotting.figure`.
    """
    fig = figure(
        title=title,
        name=title,
        x_axis_label=x,
        y_axis_label=y,
        height=height,
        sizing_mode="stretch_width",
        min_width=240,
        tools=",".join(filter(None, ["box_zoom,reset,save", tools])),
        active_drag=None,
        toolbar_location="right",
        **more,
    )
    fig.toolbar.logo = None
    fig.toolbar.autohide = True
    fig.title.text_font_size = "14px"
    fig.axis.axis_label_text_font_style = "normal"
    fig.axis.axis_label_text_font_size = "13px"
    fig.axis.major_label_text_font_size = "12px"
    fig.axis.minor_tick_line_color = None
    fig.grid.grid_line_alpha = 0.5
    if more.get("y_axis_type") == "log":
        fig.yaxis.update(**logarithmic())
    return fig


def logarithmic() -> dict[str, Any]:
    """``ticker`` and ``formatter`` of a logarithmic axis, or of a bar of colours."""
    formatter = CustomJSTickFormatter(code="return String(Number(tick.toPrecision(6)))")
    return {"ticker": CustomJSTicker(major_code=_LOG_TICKS), "formatter": formatter}


def over_steps(title: str, y: str, control: Control, height: int = 320, **more: Any) -> Any:
    """A figure over the optimiser's steps, with a line at the step chosen."""
    fig = plot(title, STEPS, y, height, **more)
    here(fig, control)
    return fig


def here(fig: Any, control: Control) -> None:
    """Mark the step that a slider has chosen."""
    span = Span(
        location=float(control.value), dimension="height", line_color="black", line_width=1.2
    )
    fig.add_layout(span)
    script = CustomJS(args={"span": span, "slider": control.widget}, code=_AT_STEP)
    control.widget.js_on_change("value", script)


def shade(fig: Any, name: str, span: tuple[float, float], color: str, whole: float) -> None:
    """Shade a part of the steps behind the curves, with its name, upright where it is narrow.

    Parameters
    ----------
    fig : figure
    name : str
    span : (left, right)
        Nothing is shaded if it is empty.
    color : str
    whole : float
        Length of all steps.
    """
    left, right = span
    if right <= left:
        return
    fig.add_layout(
        BoxAnnotation(left=left, right=right, fill_color=color, fill_alpha=0.18, level="underlay")
    )
    wide = right - left > 0.2 * whole
    place = {"x": left, "y": 4, "y_units": "screen", "x_offset": 4 if wide else 14}
    look = {"text_font_size": "12px", "text_color": "#333333", "angle": 0 if wide else np.pi / 2}
    fig.add_layout(Label(text=name, **place, **look))


def legend_above(fig: Any, columns: int = 2) -> None:
    """Move the legend out of the data; it may wrap on a narrow screen."""
    if not fig.legend:
        return
    legend: Legend = fig.legend[0]
    legend.orientation = "horizontal"
    legend.ncols = columns
    legend.label_text_font_size = "12px"
    legend.border_line_alpha = 0.0
    legend.margin = 0
    legend.padding = 0
    legend.spacing = 8
    legend.label_height = legend.glyph_height = 15
    fig.add_layout(legend, "above")
