"""The circuit that adds by waves: circles of the embedding, key frequencies, progress measures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BoxAnnotation, ColumnDataSource, HoverTool, Range1d, UIElement
from numpy.typing import NDArray

from grokode.compare.circuit.observe import embeddings
from grokode.compare.circuit.progress import phases
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import GREEN, NETWORK, PURPLE, SKY, THEORY
from grokode.compare.explorer.desk import Desk
from grokode.compare.explorer.look import (
    GREY,
    SHADES,
    THEORY_LINE,
    legend_above,
    over_steps,
    plot,
    shade,
)
from grokode.compare.explorer.material import Material, answer_reason, spread
from grokode.compare.explorer.view import View
from grokode.theory.fourier import to_waves

__all__ = ["VIEW", "circles"]

_NAMED = 24
"""Residues with their number beside them; more would lie upon one another."""
_NORMS = {
    "embedding_norm": ("embedding", GREEN, "circle"),
    "output_norm": ("neuron-logit map", NETWORK["color"], "square"),
    "logit_norm": ("logits", THEORY["color"], "triangle"),
}
_LOSSES = {
    "train_loss": ("training pairs", NETWORK["color"], "solid"),
    "test_loss": ("test pairs", SKY, "solid"),
    "restricted_loss": ("theory: key frequencies alone, all pairs", THEORY["color"], "dashed"),
    "excluded_loss": ("without them, training pairs", PURPLE, "dotdash"),
}


def circles(embedding: NDArray[Any], k: int) -> NDArray[Any]:
    """An embedding in the plane of one frequency: where each residue lies, (x, 2).

    The two directions of the embedding that turn with cos and sin of w_k x span the plane; in the
    basis of its principal axes the ideal embedding is a circle.

    Parameters
    ----------
    embedding : array (x, width)
    k : int

    Examples
    --------
    >>> angle = 2 * np.pi / 5 * np.arange(5)
    >>> places = circles(np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1), 1)
    >>> np.linalg.norm(places, axis=1).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if embedding.shape[1] == 1:  # a single neuron's: a line in the plane
        embedding = np.pad(embedding, ((0, 0), (0, 1)))
    waves = to_waves(embedding.T)[1][:, k - 1]
    plane, _ = np.linalg.qr(np.stack([waves.real, waves.imag], 1))
    return np.asarray((embedding - embedding.mean(0)) @ plane)


def build(material: Material, desk: Desk) -> Sequence[UIElement]:
    """Circles at the step, norms of the last one, and progress where it was followed."""
    measured = material.answer("circuit")
    circuit = measured["circuit"]
    figures = [_circle(material, desk), _keys(circuit)]
    why = str(circuit.attrs.get("no_progress", ""))
    if "progress" in measured:
        figures.append(_progress(measured["progress"], desk))
    keys = ", ".join(str(int(k)) for k in circuit.key.values)
    accuracy = float(circuit.accuracy) if "accuracy" in circuit else np.nan
    right = f"; {accuracy:.1%} of all pairs are right" if np.isfinite(accuracy) else ""
    also = f" No progress measures: {why}." if why else ""
    told = f"The network works with the key frequencies {keys}{right}.{also}"
    return [*figures, desk.telling([], lambda: told)]


def _circle(material: Material, desk: Desk) -> Any:
    of_steps = embeddings(material.run, material.steps.tolist())
    if not of_steps:
        raise NotMeasured(f"no checkpoint of {material.run.path} has finite weights")
    step = desk["step"].coarser(sorted(of_steps))

    def places(frequency: int, at: int) -> dict[str, Any]:
        x, y = circles(of_steps[at], frequency).T
        return {"x": x, "y": y}

    by = [desk["frequency"], step]
    residues = np.arange(material.run.config.p)
    named = np.isin(residues, spread(residues, _NAMED))
    names = np.where(named, residues.astype(str), "").tolist()
    source = desk.source(by, places, {"name": names, "residue": residues}, bits=8)

    def ideal(frequency: int, at: int) -> dict[str, Any]:
        radius = np.sqrt(np.square(circles(of_steps[at], frequency)).sum(1).mean())
        angle = np.linspace(0, 2 * np.pi, 91)
        return {"x": radius * np.cos(angle), "y": radius * np.sin(angle)}

    figure = plot(
        "The embedding at one frequency",
        "first direction",
        "second direction",
        height=380,
        match_aspect=True,
        aspect_ratio=1,
    )
    figure.line(
        "x",
        "y",
        source=desk.source(by, ideal, bits=8),
        line_width=2,
        legend_label="theory: a circle",
        **THEORY_LINE,
    )
    dots = figure.scatter(
        "x",
        "y",
        source=source,
        size=8,
        color=NETWORK["color"],
        alpha=0.6,
        legend_label="network, residue",
    )
    figure.text("x", "y", text="name", source=source, x_offset=4, text_font_size="11px")
    figure.add_tools(HoverTool(tooltips="residue @residue", renderers=[dots]))
    legend_above(figure)
    return figure


def _keys(circuit: xr.Dataset) -> Any:
    figure = plot(
        "Key frequencies, last checkpoint",
        "frequency",
        "norm over the largest",
        height=380,
        y_range=Range1d(0, 1.06),
    )
    for k in circuit.key.values:
        figure.add_layout(
            BoxAnnotation(
                left=k - 0.4, right=k + 0.4, fill_alpha=0.2, fill_color=GREY, level="underlay"
            )
        )
    for name, (label, colour, marker) in _NORMS.items():
        norms = circuit[name]
        if np.isfinite(norms).all() and float(norms.max()) > 0:
            figure.scatter(
                circuit.frequency.values,
                (norms / norms.max()).values,
                marker=marker,
                size=7,
                color=colour,
                alpha=0.8,
                legend_label=label,
            )
    figure.line(
        circuit.frequency.values[[0, -1]],
        [0.25, 0.25],
        line_color=GREY,
        line_dash="dotted",
        legend_label="a key is above",
    )
    legend_above(figure)
    return figure


def _progress(series: xr.Dataset, desk: Desk) -> Any:
    figure = over_steps(
        "Progress measures", "loss (nats)", desk["step"], height=380, y_axis_type="log"
    )
    for name, (label, colour, dash) in _LOSSES.items():
        known = series[name].where(series[name] > 0).dropna("step")
        if known.size:
            source = ColumnDataSource({"step": known.step.values, "loss": known.values})
            figure.line(
                "step",
                "loss",
                source=source,
                line_width=2,
                line_color=colour,
                line_dash=dash,
                legend_label=label,
            )
    whole = float(np.ptp(series.step.values))
    for (name, phase), colour in zip(phases(series).items(), SHADES, strict=True):
        if phase.start is not None and phase.end is not None:
            shade(figure, name.replace("_", " "), (phase.start, phase.end), colour, whole)
    legend_above(figure, columns=1)
    return figure


VIEW = View(
    "circuit",
    "Circuit",
    "The embedding of every residue in the plane of one frequency, where theory has a circle; the "
    "frequencies that the network works with; and the losses of Nanda et al., with the key "
    "frequencies alone and without them.",
    answer_reason("circuit"),
    build,
)
