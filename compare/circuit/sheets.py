"""Sheets of the circuit: figures with captions, for the page and for files."""

import xarray as xr
from matplotlib.figure import Figure

from grokode.compare.circuit import figures
from grokode.compare.circuit.progress import Phase
from grokode.compare.common.sheets import Sheet, blank_sheet

__all__ = ["circuit_sheet", "progress_sheet"]


def circuit_sheet(measured: xr.Dataset, under: str) -> Sheet:
    """What the last checkpoint computes.

    Parameters
    ----------
    measured : Dataset
        From `grokode.compare.circuit.measures.circuit`.
    under : str
        Title of the table below which it goes.
    """

    def draw() -> Figure:
        figure, axes = blank_sheet((11, 3.6), 1, 3)
        figures.frequency_norms_figure(measured, axes[0])
        figures.neurons_figure(measured, axes[1])
        figures.right_logits_figure(measured, axes[2])
        return figure

    return Sheet(
        "circuit",
        "Left: norm of every frequency in embedding, neuron-logit map and logits, each relative to "
        "its largest; the keys are shaded, the dotted line is the rule that chooses them. The "
        "embedding holds second harmonics too. Middle: how much of each neuron one frequency "
        "explains. Right: logits against clock and pizza, for each key's circle alone and for all "
        "logits together.",
        draw,
        under,
    )


def progress_sheet(series: xr.Dataset, phases: dict[str, Phase], under: str) -> Sheet:
    """Progress measures over training."""

    def draw() -> Figure:
        figure, axes = blank_sheet((11, 4), 1, 2)
        figures.progress_figure(series, phases, axes[0])
        figures.weights_figure(series, phases, axes[1])
        return figure

    return Sheet(
        "progress",
        "Left: losses, and what is left of them with the key frequencies alone (restricted) and "
        "without them (excluded). Right: sum of squared parameters and how sparse the frequencies "
        "are. Shaded: the phases, where they were found.",
        draw,
        under,
    )
