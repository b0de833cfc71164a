"""A run as rooms: its controls, and every view built or the reason why it is empty."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bokeh.models import CustomJS, UIElement

from grokode.compare.common.missing import NotMeasured
from grokode.compare.explorer.desk import Desk, chosen, play, slider
from grokode.compare.explorer.material import Material
from grokode.compare.explorer.registry import VIEWS
from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.ladder import predictors
from grokode.compare.explorer.views.race import needs_race
from grokode.compare.explorer.views.weights import needs as needs_spectra

__all__ = ["Room", "Shown", "rooms"]

_FOLLOW_WINNER = "const k = winners[cb_obj.value]; if (k !== undefined) frequency.value = k"


@dataclass(frozen=True)
class Room:
    """One view of one run.

    Parameters
    ----------
    view : View
    parts : sequence of figures and widgets
    reason : str
        Why there are none, or ``""``.
    """

    view: View
    parts: Sequence[UIElement] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Shown:
    """A run with its controls and views.

    Parameters
    ----------
    material : Material
    controls : sequence of widgets
        Those that all views share.
    rooms : sequence of Room
    at_start : sequence of CustomJS
        To be run once the page is there.
    """

    material: Material
    controls: Sequence[UIElement]
    rooms: Sequence[Room]
    at_start: Sequence[CustomJS] = field(default_factory=list)


def rooms(
    material: Material,
    live: bool,
    views: Mapping[str, View] = VIEWS,
    on_view: Callable[[str], object] = lambda name: None,
) -> Shown:
    """Build every view of a run.

    Parameters
    ----------
    material : Material
    live : bool
        Whether there will be a server to ask.
    views : dict of View
    on_view : function (name), optional
        Called when a view is built.
    """
    desk = Desk(live)
    controls = _controls(material, desk)
    built = []
    for view in views.values():
        built.append(_room(view, material, desk))
        on_view(view.name)
    return Shown(material, controls, built, desk.at_start)


def _room(view: View, material: Material, desk: Desk) -> Room:
    reason = view.needs(material)
    if reason is not None:
        return Room(view, reason=reason)
    try:
        return Room(view, view.build(material, desk))
    except NotMeasured as refusal:
        return Room(view, reason=str(refusal))


def _controls(material: Material, desk: Desk) -> list[UIElement]:
    """The step for every run; neuron, predictor and frequency where there are such."""
    steps = desk.controls["step"] = slider("step", material.steps.tolist())
    if material.two_layers and needs_race(material) is None:
        _lottery_controls(material, desk)
    elif needs_spectra(material) is None:
        neurons = material.winner.neuron.values.tolist()
        desk.controls["neuron"] = chosen("neuron", {n: str(n) for n in neurons}, neurons[0])
        _frequencies(desk, material.winner.attrs.get("p", material.run.config.p), 1)
    else:
        _keys(material, desk)
    return [play(steps), *(control.widget for control in desk.controls.values())]


def _lottery_controls(material: Material, desk: Desk) -> None:
    race = material.race
    neurons = race.neurons.tolist()
    middle = neurons[len(neurons) // 2]
    won = {int(n): int(k) for n, k in zip(material.winner.neuron, material.winner, strict=True)}
    options = {n: f"{n}, ends on {won[n]}" for n in sorted(neurons)}
    desk.controls["neuron"] = chosen("neuron", options, middle)
    names = predictors(material)
    first = race.followers[-1] if race.followers else names[-1]
    words = {name: name.replace("_", " ") for name in names}
    desk.controls["predictor"] = chosen("predictor", words, first)
    _frequencies(desk, material.run.config.p, won[middle])
    script = CustomJS(
        args={
            "winners": {str(n): str(k) for n, k in won.items()},
            "frequency": desk["frequency"].widget,
        },
        code=_FOLLOW_WINNER,
    )
    desk["neuron"].widget.js_on_change("value", script)


def _frequencies(desk: Desk, p: int, first: int) -> None:
    options = {k: f"k = {k}" for k in range(1, (p + 1) // 2)}
    desk.controls["frequency"] = chosen("frequency", options, first)


def _keys(material: Material, desk: Desk) -> None:
    """The key frequencies of a network that adds by waves, if it is one."""
    try:
        keys = material.answer("circuit")["circuit"].key.values.tolist()
    except NotMeasured:
        return
    if keys:
        desk.controls["frequency"] = chosen("frequency", {k: f"k = {k}" for k in keys}, keys[0])
