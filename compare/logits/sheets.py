"""Figures of logits and their budget for the page and for files."""

import xarray as xr
from matplotlib.figure import Figure

from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.logits.budget_figures import budget_bars, budget_history, closing_steps
from grokode.compare.logits.figures import (
    frequency_scales,
    logit_heatmap,
    logit_scatter,
    margin_histogram,
    peak_heights,
)

__all__ = ["budget_sheet", "closing_sheet", "logit_sheets"]


def logit_sheets(fit: xr.Dataset, under: str) -> list[Sheet]:
    """Logits beside Proposition 1, and its peaks, scales and margins.

    Parameters
    ----------
    fit : Dataset
        From `grokode.compare.logits`.
    under : str
        Title of the table they belong to.
    """
    x = min(3, fit.sizes["x"] - 1)
    beside = f"Logits at x = {x} beside Proposition 1 at the fitted scale, all of them, and peaks."
    return [
        Sheet("logits", beside, lambda: _beside(fit, x), under),
        Sheet(
            "scales",
            "Scales by frequency and margins, with what theory gives.",
            lambda: _scales(fit),
            under,
        ),
    ]


def budget_sheet(budget: xr.Dataset, history: xr.Dataset | None, under: str) -> Sheet:
    """What the logits consist of, in the last checkpoint and over the steps.

    Parameters
    ----------
    budget : Dataset
        From `grokode.compare.logit_budget`.
    history : Dataset or None
        From `grokode.compare.budget_over_steps`, if it was measured.
    under : str
        Title of the table it belongs to.
    """
    if history is None:
        return Sheet("budget", "The budget of the checkpoint.", lambda: _budget(budget), under)
    caption = "The budget of the checkpoint, and over the steps."
    return Sheet("budget", caption, lambda: _budgets(budget, history), under)


def closing_sheet(closed: xr.Dataset, under: str) -> Sheet:
    """What is explained as one assumption after the other is given up.

    Parameters
    ----------
    closed : Dataset
        From `grokode.compare.logits.closing.closing`.
    under : str
        Title of the table it belongs to.
    """
    caption = "What is explained of the logits as assumptions give way to what was measured."
    return Sheet("closing", caption, lambda: _closing(closed), under)


def _closing(closed: xr.Dataset) -> Figure:
    figure, ax = blank_sheet((7, 3.6))
    closing_steps(closed, ax)
    return figure


def _beside(fit: xr.Dataset, x: int) -> Figure:
    figure, axes = blank_sheet((11, 9), 2, 2)
    logit_heatmap(fit, "network", x, axes[0, 0])
    logit_heatmap(fit, "theory", x, axes[0, 1])
    logit_scatter(fit, axes[1, 0])
    peak_heights(fit, axes[1, 1])
    return figure


def _scales(fit: xr.Dataset) -> Figure:
    figure, axes = blank_sheet((11, 4.2), columns=2)
    frequency_scales(fit, axes[0])
    margin_histogram(fit, axes[1])
    return figure


def _budget(budget: xr.Dataset) -> Figure:
    figure, ax = blank_sheet((6, 4.2))
    budget_bars(budget, ax)
    return figure


def _budgets(budget: xr.Dataset, history: xr.Dataset) -> Figure:
    figure, axes = blank_sheet((11, 4.2), columns=2)
    budget_bars(budget, axes[0])
    budget_history(history, axes[1])
    return figure
