"""Figures of the mechanism for the page and for files."""

from matplotlib.figure import Figure

from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.mechanism import figures, phase_figures
from grokode.compare.question import Datasets

__all__ = ["mechanism_sheets"]


def mechanism_sheets(measured: Datasets, under: str) -> list[Sheet]:
    """Neurons, symmetry, and what ReLU and other activations do; none without numbers.

    Parameters
    ----------
    measured : dict of Datasets
        From `grokode.compare.mechanism.measures.mechanism`.
    under : str
        Title of the table they belong to.
    """
    if measured["about"].attrs["reason"]:
        return []
    return [
        Sheet(
            "neurons",
            "A neuron's weights with their cosine; sparsity; output phase against 2φ.",
            lambda: _neurons(measured),
            under,
        ),
        Sheet(
            "symmetry",
            "Weights in the Fourier basis; winners, phases and magnitudes.",
            lambda: _symmetry(measured),
            under,
        ),
        Sheet(
            "harmonics",
            "Harmonics, the first frequency over steps, and other activations.",
            lambda: _harmonics(measured),
            under,
        ),
    ]


def _neurons(measured: Datasets) -> Figure:
    figure, axes = blank_sheet((11, 7.6), 2, 2)
    fits = measured["fits"]
    neuron = int(fits.neuron[0])
    figures.weights_with_cosine(fits, neuron, "theta", axes[0, 0])
    figures.weights_with_cosine(fits, neuron, "xi", axes[0, 1])
    figures.participation_histogram(measured["sparsity"], axes[1, 0])
    phase_figures.phase_doubling_scatter(measured["doubling"], axes[1, 1])
    return figure


def _symmetry(measured: Datasets) -> Figure:
    figure, axes = blank_sheet((11, 7.6), 2, 2)
    figures.basis_heatmap(measured["coefficients"], "theta", axes[0, 0])
    phase_figures.frequency_bars(measured["balance"], axes[0, 1])
    phase_figures.resultant_bars(measured["uniformity"], axes[1, 0])
    phase_figures.magnitude_strips(
        measured["doubling"], measured["homogeneity"], "theta", axes[1, 1]
    )
    return figure


def _harmonics(measured: Datasets) -> Figure:
    figure, axes = blank_sheet((11, 7.6), 2, 2)
    figures.leakage_bars(measured["leakage"], "theta", axes[0, 0])
    figures.leakage_bars(measured["leakage"], "xi", axes[0, 1])
    figures.preservation_curves(measured["history"], axes[1, 0])
    figures.activation_swap_bars(measured["swap"], axes[1, 1])
    return figure
