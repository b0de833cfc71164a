"""The desk of one run: its controls, and how sources and sentences follow them.

The same views stand on a page from disk and on a served one. What they show is a function of the
controls' values; on the page every value is packed beforehand, served it is called when a control
is moved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from bokeh.models import (
    CategoricalSlider,
    ColumnDataSource,
    CustomJS,
    Paragraph,
    Select,
    Toggle,
    Widget,
)
from numpy.typing import NDArray

from grokode.compare.explorer.packed import FRAME, follow

__all__ = ["Control", "Desk", "chosen", "play", "slider"]

Columns = Callable[..., Mapping[str, Any]]

_TELL = FRAME + "paragraph.text = told[at]"

_PLAY = """
if (!cb_obj.active) { cb_obj.label = "▶ Play"; return }
cb_obj.label = "❚❚ Pause"
const all = slider.categories
if (slider.value === all[all.length - 1]) slider.value = all[0]
const timer = setInterval(() => {
  const next = all.indexOf(slider.value) + 1
  if (!cb_obj.active || next >= all.length) { clearInterval(timer); cb_obj.active = false; return }
  slider.value = all[next]
}, 120)
"""


@dataclass(frozen=True, eq=False)
class Control:
    """Something to choose by.

    Parameters
    ----------
    widget : Select or CategoricalSlider
    values : sequence
        What can be chosen, in order.
    places : dict, optional
        Place in ``values`` by the widget's value, which is a text; that of each value if not given.
    """

    widget: Widget
    values: Sequence[Any]
    places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.places:
            self.places.update({str(value): place for place, value in enumerate(self.values)})

    def coarser(self, values: Sequence[Any]) -> "Control":
        """The same widget where only some of its numbers have a frame: the nearest one stands in.

        Parameters
        ----------
        values : sequence of numbers
        """
        given = np.asarray(values)
        places = {str(one): int(np.abs(given - one).argmin()) for one in self.values}
        return Control(self.widget, list(values), places)

    @property
    def value(self) -> Any:
        """The value chosen."""
        return self.values[self.places[str(self.widget.value)]]


def slider(title: str, values: Sequence[Any], at: int = -1) -> Control:
    """A slider over values in order, moved by mouse, finger or arrow keys.

    Parameters
    ----------
    title : str
    values : sequence
    at : int
        Place of the first choice.
    """
    names = [str(value) for value in values]
    # A slider needs two ends.
    shown = names if len(names) > 1 else [*names, f"{names[0]} "]
    widget = CategoricalSlider(
        title=title,
        categories=shown,
        value=names[at],
        disabled=len(names) < 2,
        sizing_mode="stretch_width",
        name=title,
    )
    return Control(widget, list(values))


def chosen(title: str, options: Mapping[Any, str], first: Any) -> Control:
    """A list to choose from.

    Parameters
    ----------
    title : str
    options : dict of str
        Label by value.
    first : value
        The first choice.
    """
    widget = Select(
        title=title,
        options=[(str(value), label) for value, label in options.items()],
        value=str(first),
        sizing_mode="stretch_width",
        name=title,
    )
    return Control(widget, list(options))


def play(control: Control) -> Toggle:
    """A button that moves a slider to its end."""
    button = Toggle(label="▶ Play", width=90, name="play", align="end")
    button.js_on_change("active", CustomJS(args={"slider": control.widget}, code=_PLAY))
    return button


@dataclass(eq=False)
class Desk:
    """The controls that the views of a run share.

    Parameters
    ----------
    live : bool
        Whether there is a server to ask, so that nothing is packed.
    controls : dict of Control
    at_start : list of CustomJS
        Run once the page is there.
    """

    live: bool
    controls: dict[str, Control] = field(default_factory=dict)
    at_start: list[CustomJS] = field(default_factory=list)

    def __getitem__(self, name: str) -> Control:
        return self.controls[name]

    def source(
        self,
        by: Sequence[Control],
        columns: Columns,
        fixed: Mapping[str, Any] | None = None,
        bits: int = 16,
    ) -> ColumnDataSource:
        """A source that follows controls.

        Parameters
        ----------
        by : sequence of Control
            On a page the columns have a range of their own for each value of the first one.
        columns : function (*values of the controls) -> dict of arrays
            Arrays (point), (line, point) for many lines, or (1, row, column) for a picture; their
            shapes and names are always the same.
        fixed : dict, optional
            Columns that stay.
        bits : int
            Of a number on a page, 8 or 16.
        """
        now = columns(*(control.value for control in by))
        still = dict(fixed or {})

        def data(values: Mapping[str, Any]) -> dict[str, Any]:
            return still | {name: _column(column) for name, column in values.items()}

        source = ColumnDataSource(data=data(now))
        if self.live:

            def update() -> None:
                source.data = data(columns(*(control.value for control in by)))

            _when_moved(by, update)
            return source
        frames = self._frames(by, columns, now)
        script = follow(source, [c.widget for c in by], [c.places for c in by], frames, bits)
        for control in by:
            control.widget.js_on_change("value", script)
        return source

    def telling(self, by: Sequence[Control], text: Callable[..., str]) -> Paragraph:
        """A sentence that follows controls, for those who read what others see.

        Parameters
        ----------
        by : sequence of Control
        text : function (*values of the controls) -> str
            Shown as text, whatever it holds.
        """
        paragraph = Paragraph(
            text=text(*(control.value for control in by)),
            sizing_mode="stretch_width",
            styles={"font-size": "15px"},
        )
        if self.live:

            def update() -> None:
                paragraph.text = text(*(control.value for control in by))

            _when_moved(by, update)
            return paragraph
        script = CustomJS(
            args={
                "paragraph": paragraph,
                "controls": [c.widget for c in by],
                "places": [c.places for c in by],
                "sizes": [len(c.values) for c in by],
                "told": [text(*values) for values in product(*(c.values for c in by))],
            },
            code=_TELL,
        )
        for control in by:
            control.widget.js_on_change("value", script)
        return paragraph

    def _frames(
        self, by: Sequence[Control], columns: Columns, now: Mapping[str, Any]
    ) -> dict[str, NDArray[Any]]:
        sizes = [len(control.values) for control in by]
        frames = {
            name: np.empty((*sizes, *np.shape(values)), dtype=np.float32)
            for name, values in now.items()
        }
        for place in np.ndindex(*sizes):
            values = columns(*(c.values[i] for c, i in zip(by, place, strict=True)))
            for name, column in values.items():
                frames[name][place] = column
        return frames


def _column(values: Any) -> Any:
    array = np.asarray(values, dtype=np.float64)
    return list(array) if array.ndim > 1 else array


def _when_moved(by: Sequence[Control], update: Callable[[], None]) -> None:
    for control in by:
        control.widget.on_change("value", lambda name, old, new: update())
