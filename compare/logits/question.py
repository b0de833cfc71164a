"""Logits as a question: whether they are those of Proposition 1, and what they consist of."""

from typing import Any

from grokode.compare.common.claims import Verdict
from grokode.compare.common.observe import check_addition, checkpoint
from grokode.compare.common.sheets import Sheet
from grokode.compare.logits.budget import budget_over_steps, logit_budget
from grokode.compare.logits.claims import judge_logits
from grokode.compare.logits.closing import closing
from grokode.compare.logits.fits import logits
from grokode.compare.logits.sheets import budget_sheet, closing_sheet, logit_sheets
from grokode.compare.logits.tables import (
    budget_json,
    budget_table,
    closing_json,
    closing_table,
    fits_table,
    logits_json,
    peaks_table,
)
from grokode.compare.question import Datasets, Question, Table, two_layers_of_addition
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure"]

AGAINST, CONSIST = "against Proposition 1", "what they consist of"
LACKS = "what Proposition 1 needs to be exact"


def measure(run: Run, /, step: int | None = None, history: bool = True) -> Datasets:
    """Fits, peaks, margins and budget of one checkpoint, and the budget over the steps.

    Parameters
    ----------
    run : Run
    step : int, optional
        A step that has a checkpoint; the last one if not given.
    history : bool
        Whether to split the logits of every checkpoint.

    Returns
    -------
    dict of Datasets
        ``fit``, ``budget``, ``closing`` and, if asked for, ``history``.
    """
    check_addition(run)
    now = checkpoint(run, step)
    layers = now.theta.values, now.xi.values
    at = {"step": int(now.step)}
    budget = logit_budget(*layers, run.config.activation)
    measured = {
        "fit": logits(*layers, run.config.activation).assign_attrs(at),
        # The parts are as large as the logits, and only their shares are told.
        "budget": budget.drop_vars(["parts", "x", "y", "output"]).assign_attrs(at),
        "closing": closing(*layers, run.config.activation).assign_attrs(at),
    }
    return measured | ({"history": budget_over_steps(run)} if history else {})


def tables(measured: Datasets) -> list[Table]:
    """Fits, peaks, the budget, and what closes it."""
    fit = measured["fit"]
    return [
        Table(
            AGAINST,
            fits_table(fit),
            "Both sides are centred over the output, which softmax does not see.",
        ),
        Table("peaks and margins", peaks_table(fit)),
        Table(
            CONSIST,
            budget_table(measured["budget"]),
            "The exact split of the logits' variance; parts and covariances sum to the whole.",
        ),
        Table(
            LACKS,
            closing_table(measured["closing"]),
            "What was measured of the weights takes the place of one assumption after the other; "
            "nothing is fitted.",
        ),
    ]


def sheets(measured: Datasets) -> list[Sheet]:
    """Logits beside theory, scales and margins, and the budget."""
    return [
        *logit_sheets(measured["fit"], AGAINST),
        budget_sheet(measured["budget"], measured.get("history"), CONSIST),
        closing_sheet(measured["closing"], LACKS),
    ]


def judge(measured: Datasets) -> list[Verdict]:
    """Proposition 1, and one frequency a neuron."""
    return judge_logits(measured["fit"])


def plain(measured: Datasets) -> dict[str, Any]:
    """The numbers of fit and budget."""
    fit = measured["fit"]
    numbers = {"step": fit.attrs["step"]} | logits_json(fit)
    numbers["budget"] = budget_json(measured["budget"])
    numbers["closing"] = closing_json(measured["closing"])
    if "history" in measured:
        numbers["budget_over_steps"] = budget_json(measured["history"])
    return numbers


QUESTION = Question(
    "logits",
    "Are the network's logits those of Proposition 1, and what do they consist of?",
    two_layers_of_addition,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
