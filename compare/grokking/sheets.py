"""Figures of the stages for the page and for files."""

import xarray as xr
from matplotlib.figure import Figure

from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.grokking import figures
from grokode.compare.grokking.stages import Stages

__all__ = ["stage_sheets"]


def stage_sheets(staged: Stages, lottery: xr.Dataset, titles: tuple[str, str, str]) -> list[Sheet]:
    """The stages, theory beside them, and answers at the end of memorisation if there is one.

    Parameters
    ----------
    staged : Stages
    lottery : Dataset
        From `grokode.compare.grokking.perturbed.perturbed_lottery`.
    titles : three of str
        Of the tables below which they stand.
    """
    sheets = [
        Sheet(
            "stages",
            "Loss, accuracy by kind of pair, phases and forces, with the stages shaded.",
            lambda: _stages(staged),
            titles[0],
        ),
        Sheet(
            "perturbed_lottery",
            "Leading frequencies by neuron flow, with the training pairs and with all; sparsity.",
            lambda: _theory(staged, lottery),
            titles[1],
        ),
    ]
    step = staged.checkpoint(staged.memorised.step)
    if step is not None:
        caption = "Answers at the end of memorisation; common and rare pairs on the way."
        sheets.append(Sheet("memorisation", caption, lambda: _answers(staged, step), titles[2]))
    return sheets


def _stages(staged: Stages) -> Figure:
    figure, axes = blank_sheet((11, 8), 2, 2)
    figures.loss_curves(staged, axes[0, 0])
    figures.accuracy_curves(staged, axes[0, 1])
    figures.misalignment_curve(staged, axes[1, 0])
    figures.force_balance(staged, axes[1, 1])
    return figure


def _theory(staged: Stages, lottery: xr.Dataset) -> Figure:
    figure, axes = blank_sheet((11, 4.2), columns=2)
    figures.lottery_agreement(staged, lottery, axes[0])
    figures.sparsity_and_norm(staged, axes[1])
    return figure


def _answers(staged: Stages, step: int) -> Figure:
    figure, axes = blank_sheet((11, 4.8), columns=2)
    figures.accuracy_grid(staged, step, axes[0])
    figures.common_to_rare(staged, axes[1])
    return figure
