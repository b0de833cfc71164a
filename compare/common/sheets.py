"""A sheet: several axes on one figure, with its caption, drawn when somebody wants it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

__all__ = ["Sheet", "blank_sheet"]


@dataclass(frozen=True)
class Sheet:
    """A figure for the page, and by its name for a file.

    Parameters
    ----------
    name : str
        Of the file, without ending.
    caption : str
    draw : function () -> Figure
        Called only where the figure is wanted.
    under : str
        Title of the table below which the page shows it; at the question's end if there is none.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    under: str = ""


def blank_sheet(inches: tuple[float, float], rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of its own, which pyplot does not hold on to, with its axes.

    Parameters
    ----------
    inches : (width, height)
    rows, columns : int

    Returns
    -------
    figure, axes
        One Axes, or an array of them, as from ``Figure.subplots``.
    """
    figure = Figure(figsize=inches, layout="constrained")
    return figure, figure.subplots(rows, columns)
