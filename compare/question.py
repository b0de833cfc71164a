"""A question to a run, as one record: who can be asked, what is measured, and how it is told.

Commands, the page and everything else that tells of a run are loops over `QUESTIONS`, or look one
of them up there; a question of your own is one line more in that dictionary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from grokode.compare.common.cells import Rows
from grokode.compare.common.claims import Verdict
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import check_addition, one_network
from grokode.compare.common.sheets import Sheet
from grokode.nets.runs import Run

__all__ = ["Datasets", "Measure", "Question", "Table", "two_layers", "two_layers_of_addition"]

Datasets = Mapping[str, xr.Dataset]
"""What a question measured, by name."""


@dataclass(frozen=True)
class Table:
    """Rows of text, with a title and a paragraph for the page.

    Parameters
    ----------
    title : str
    rows : list of rows
        Header first.
    text : str
    """

    title: str
    rows: Rows
    text: str = ""


Measure = Callable[..., Datasets]
"""What measures a run: options are keywords with defaults, and values that JSON can hold."""


@dataclass(frozen=True)
class Question:
    """One question that a run can be asked.

    Parameters
    ----------
    name : str
        Its key in `grokode.compare.QUESTIONS`.
    asks : str
        The question, in one sentence.
    needs : function (run) -> str or None
        Why this run cannot be asked, in one line, or None if it can.
    measure : function (run, **options) -> Datasets
        Every number there is to tell. One that is missing is NaN, and its reason stands beside it,
        see `grokode.compare.common.missing`. Refuses a run by `NotMeasured`; any other error is a
        bug.
    tables, sheets, judge : functions (Datasets) -> sequence
        Tables for terminal and page, figures with captions, and verdicts on the published claims.
        They only read what was measured.
    plain : function (Datasets) -> dict
        The numbers as JSON has them.
    """

    name: str
    asks: str
    needs: Callable[[Run], str | None]
    measure: Measure
    tables: Callable[[Datasets], list[Table]]
    sheets: Callable[[Datasets], list[Sheet]]
    judge: Callable[[Datasets], list[Verdict]]
    plain: Callable[[Datasets], dict[str, Any]]


def two_layers(run: Run) -> str | None:
    """Why a run is no two-layer network with one set of input weights, or None if it is one."""
    return _refusal(one_network, run)


def two_layers_of_addition(run: Run) -> str | None:
    """Why a run is no two-layer network of addition with one set of input weights, or None.

    Most questions need one.
    """
    return _refusal(check_addition, run)


def _refusal(check: Callable[[Run], object], run: Run) -> str | None:
    try:
        check(run)
    except NotMeasured as refusal:
        return str(refusal)
    return None
