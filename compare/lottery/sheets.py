"""Figures of the lottery for the page and for files."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.lottery.trajectory_figures import errors_by_predictor, tickets
from grokode.compare.lottery.winner_figures import (
    accuracy_by_predictor,
    final_magnitude,
    leader_agreement,
    winner_confusion,
)

__all__ = ["median_neuron", "trajectory_sheets", "winner_sheets"]


def winner_sheets(winners: xr.Dataset, under: str) -> list[Sheet]:
    """Who wins: all predictors, and the best of them neuron by neuron.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    under : str
        Title of the table they belong to.
    """
    sheets = [
        Sheet(
            "winners",
            "Winners named by each predictor, and agreement on the current leader.",
            lambda: _all_predictors(winners),
            under,
        )
    ]
    magnitudes = (winners.predicted_magnitude > 0).any("neuron")
    known = winners.accuracy.where(winners.predictor != "chance")
    if not known.notnull().any():
        return sheets
    best = str(winners.predictor[int(np.nanargmax(known.values))].item())
    caption = f"The best predictor, {best.replace('_', ' ')}, neuron by neuron."
    with_magnitude = bool(magnitudes.sel(predictor=best))
    draw = lambda: _one_predictor(winners, best, with_magnitude)  # noqa: E731
    return [*sheets, Sheet("best_predictor", caption, draw, under)]


def trajectory_sheets(errors: xr.Dataset, pair: xr.Dataset, under: str) -> list[Sheet]:
    """Theory over the network step by step: one neuron's tickets, and all errors.

    Parameters
    ----------
    errors : Dataset
        From `grokode.compare.lottery.trajectories.predictor_errors`.
    pair : Dataset
        From `grokode.compare.trajectories`, of one neuron.
    under : str
        Title of the table they belong to.
    """
    neuron = int(pair.neuron[0])
    words = str(pair.attrs["predictor"]).replace("_", " ")
    ends = "; theory ends at a ticket's blow-up." if words == "ticket flow" else "."
    caption = (
        f"All {pair.sizes['frequency']} frequencies of neuron {neuron} under the {words}{ends}"
    )
    return [
        Sheet("trajectories", caption, lambda: _tickets(pair, neuron), under),
        Sheet(
            "errors",
            "Relative error of all beta, predictor by predictor.",
            lambda: _errors(errors),
            under,
        ),
    ]


def median_neuron(initial_blowup_time: xr.DataArray) -> int:
    """The neuron whose first blow-up is the median one.

    Parameters
    ----------
    initial_blowup_time : DataArray (neuron, frequency)
    """
    first = initial_blowup_time.min("frequency")
    return int(first.neuron[int(first.values.argsort()[first.size // 2])])


def _all_predictors(winners: xr.Dataset) -> Figure:
    figure, axes = blank_sheet((11, 4.2), columns=2)
    accuracy_by_predictor(winners, axes[0])
    leader_agreement(winners, axes[1])
    return figure


def _one_predictor(winners: xr.Dataset, name: str, with_magnitude: bool) -> Figure:
    if not with_magnitude:
        figure, ax = blank_sheet((5.5, 4.2))
        winner_confusion(winners, name, ax)
        return figure
    figure, axes = blank_sheet((11, 4.4), columns=2)
    winner_confusion(winners, name, axes[0])
    final_magnitude(winners, name, axes[1])
    return figure


def _tickets(pair: xr.Dataset, neuron: int) -> Figure:
    figure, axes = blank_sheet((11, 3.6), columns=3)
    for quantity, ax in zip(("alpha", "beta", "misalignment"), axes, strict=True):
        tickets(pair, neuron, quantity, ax)
    return figure


def _errors(errors: xr.Dataset) -> Figure:
    figure, ax = blank_sheet((8, 4))
    errors_by_predictor(errors, ax)
    return figure
