"""A view of a run, as one record: what it shows, who can be shown so, and how it is built."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bokeh.models import UIElement

from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.material import Material

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """One section of the explorer.

    Parameters
    ----------
    name : str
        Its key in `grokode.compare.explorer.registry.VIEWS`, and its place in a page's address.
    title : str
    text : str
        What is seen, what is theory and what network, and what to do.
    needs : function (Material) -> str or None
        Why the run cannot be shown so, in one line, or None if it can.
    build : function (Material, Desk) -> sequence of figures and widgets
        They stand side by side where there is room. May refuse by `NotMeasured`, and the page then
        says why.
    """

    name: str
    title: str
    text: str
    needs: Callable[[Material], str | None]
    build: Callable[[Material, Desk], Sequence[UIElement]]
