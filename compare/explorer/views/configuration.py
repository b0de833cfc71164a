"""What the run is, and what it logged, as tables."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import Div, UIElement

from grokode.compare.common.cells import Rows
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.material import Material, spread
from grokode.compare.explorer.view import View
from grokode.compare.page.html import table_html

__all__ = ["VIEW"]

_LOGGED = 25
_STYLE = "th { text-align: left } th, td { padding: 0 .8em .1em 0 }"


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """Configuration, and some rows of the log."""
    run = material.run
    about: Rows = [["setting", "value"]]
    about += [[name, _text(value)] for name, value in run.describe().items()]
    metrics = run.metrics.load()
    metrics = metrics.sel(step=spread(metrics.step.values, _LOGGED))
    names = [str(name) for name in metrics.data_vars]
    logged: Rows = [["step", *(name.replace("_", " ") for name in names)]]
    logged += [
        [str(int(row.step)), *(_text(float(row[name])) for name in names)]
        for row in (metrics.isel(step=place) for place in range(metrics.sizes["step"]))
    ]
    return [
        Div(
            text=table_html(rows),
            sizing_mode="stretch_width",
            styles={"font-size": "14px"},
            stylesheets=[_STYLE],
        )
        for rows in (about, logged)
    ]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if np.isfinite(value) else "-"
    return str(value) or "-"


VIEW = View(
    "log",
    "Log and configuration",
    "Everything the run says of itself, and its log at up to 25 steps.",
    lambda material: None,
    build,
)
