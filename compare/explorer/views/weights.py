"""The weights in the Fourier basis as maps that move with the step, theory beside them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, ColorBar, LinearColorMapper, UIElement

from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import DIVERGING
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import plot
from grokode.compare.explorer.material import Material, spread
from grokode.compare.explorer.race import NETWORK
from grokode.compare.explorer.view import View

__all__ = ["VIEW", "palette"]

AtStep = Callable[[int], xr.Dataset]
"""A spectrum (neuron, frequency) by step."""

_LAYERS = {"theta": "input weights θ", "xi": "output weights ξ"}


def palette(name: str, count: int = 256) -> list[str]:
    """Colours of a colour map of the figures on paper.

    Parameters
    ----------
    name : str
        Of matplotlib's.
    count : int
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, count))]


def needs(material: Material) -> str | None:
    """Why there is no Fourier basis of two layers, or None."""
    try:
        material.spectra  # noqa: B018 (read here, or refused)
    except NotMeasured as refusal:
        return str(refusal)
    return None


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """A map of each layer of the network, and of theory where it follows."""
    theory = _theory(material)
    if theory:
        kept = material.race.neurons
        neurons = kept[np.argsort(material.winner.sel(neuron=kept).values, kind="stable")]
        sides = _raced(material, neurons, theory)
        told = f"Theory is the {theory.replace('_', ' ')}, from the same first checkpoint."
    else:
        neurons = _neurons(material)
        sides = {"network": lambda step: material.spectra.sel(step=step, neuron=neurons)}
        told = "No predictor follows this training, so that no theory stands beside it."
    figures = [
        _map(side.replace("_", " "), layer, at, material, desk, neurons)
        for layer in _LAYERS
        for side, at in sides.items()
    ]
    told += f" {len(neurons)} of {material.run.config.neurons} neurons, sorted by winner."
    return [*figures, desk.telling([], lambda: told)]


def _raced(material: Material, neurons: Any, theory: str) -> dict[str, AtStep]:
    tickets = xr.concat([material.race.tickets(int(one)) for one in neurons], "neuron")
    tickets = tickets.assign_coords(neuron=neurons).sel(step=material.steps)

    def of(source: str) -> AtStep:
        return lambda step: tickets.sel(source=source, step=step)

    return {"network": of(NETWORK), f"theory, {theory}": of(theory)}


def _neurons(material: Material) -> Any:
    order = np.argsort(material.winner.values, kind="stable")
    return spread(material.winner.neuron.values[order], material.limits.rows)


def _theory(material: Material) -> str:
    """The finest predictor that follows the training, or nothing."""
    try:
        followers = material.race.followers
    except NotMeasured:
        return ""
    return followers[-1] if followers else ""


def _map(
    side: str,
    layer: str,
    at: AtStep,
    material: Material,
    desk: Desk,
    neurons: Any,
) -> Any:
    """Coefficients (neuron, basis) of one layer; what is beyond the 99th in 100 saturates."""
    hat = f"{layer}_hat"
    columns = 2 * material.spectra.sizes["frequency"]

    def image(step: int) -> dict[str, Any]:
        waves = at(step)[hat].transpose("neuron", "frequency").values
        real = np.stack([waves.real, -waves.imag], -1).reshape(len(waves), columns)
        return {"image": real[None]}

    last = np.abs(material.spectra[hat].isel(step=-1).sel(neuron=neurons).values)
    limit = float(np.quantile(last, 0.99)) or 1.0
    mapper = LinearColorMapper(palette=palette(DIVERGING), low=-limit, high=limit)
    figure = plot(
        f"{_LAYERS[layer]}, {side}",
        "frequency k (cosine, sine)",
        "neuron, sorted by winner",
        height=320,
        x_range=(0, columns),
        y_range=(0, len(neurons)),
    )
    source = desk.source([desk["step"]], image, bits=8)
    figure.image("image", x=0, y=0, dw=columns, dh=len(neurons), color_mapper=mapper, source=source)
    every = range(1, columns // 2 + 1, -(-columns // 2 // 6))
    figure.xaxis.ticker = [2 * k - 1 for k in every]
    figure.xaxis.major_label_overrides = {2 * k - 1: str(k) for k in every}
    figure.yaxis.major_label_text_alpha = 0
    figure.yaxis.major_tick_line_color = None
    figure.grid.visible = False
    bar = ColorBar(
        color_mapper=mapper,
        width=10,
        padding=2,
        ticker=BasicTicker(desired_num_ticks=4),
        major_label_text_font_size="12px",
    )
    figure.add_layout(bar, "right")
    return figure


VIEW = View(
    "weights",
    "Weights in the Fourier basis",
    "Every row is a neuron, every pair of columns a frequency. At the start all are mixed; in the "
    "end each neuron has one frequency left.",
    needs,
    build,
)
