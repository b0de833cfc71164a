"""One look for every figure: colours, and how a figure becomes an inline picture."""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["CHANCE", "DIVERGING", "NETWORK", "SEQUENTIAL", "THEORY", "figure_svg"]

THEORY: dict[str, Any] = {"color": "#D55E00", "linestyle": "--"}
NETWORK: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
CHANCE: dict[str, Any] = {"color": "0.5", "linestyle": ":"}
SEQUENTIAL = "viridis"
DIVERGING = "PuOr"


def figure_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element that can stand inside an HTML page.

    The same data gives the same text: ids are seeded and no date is written.

    Examples
    --------
    >>> figure_svg(Figure()).startswith("<svg")
    True
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "grokode"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
