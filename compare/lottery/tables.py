"""Numbers as rows of text, header first: the same rows for the terminal and for the page."""

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_measured
from grokode.compare.common.cells import Rows

__all__ = ["errors_table", "outcomes_table", "partings_table", "winners_table"]

_EVENTS = {"half_loss": "loss halved", "memorised": "memorised", "generalised": "grokked"}


def winners_table(winners: xr.Dataset, ceiling: xr.Dataset | None = None) -> Rows:
    """Accuracy of each predictor with its 95% interval, and why the others are wrong.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    ceiling : Dataset, optional
        From `grokode.compare.lottery.outcomes.ceiling`: rows below the predictors.

    Returns
    -------
    list of rows
        A star marks a predictor outside its assumption; "-" stands where there is no number.
    """
    check_measured("winners", winners, "grokode.compare.winners", "neuron", "accuracy", "reason")
    neurons = winners.sizes["neuron"]
    wrong = ("near tie", "contested", "other")
    header = ["predictor", "winners predicted", "95% interval", "neurons", "in best 3"]
    rows = [header + [f"wrong: {kind}" for kind in wrong]]
    for predictor in winners.predictor.values:
        row = winners.sel(predictor=predictor)
        accuracy, top3 = float(row.accuracy), float(row.top3)
        name = str(predictor) if row.within_assumptions else f"{predictor} *"
        if predictor == "chance":
            rows.append([name, f"{accuracy:.4f}", "", "", f"{top3:.4f}", *[""] * len(wrong)])
            continue
        if np.isnan(accuracy):
            rows.append([name, *["-"] * (len(header) + len(wrong) - 1)])
            continue
        low, high = row.interval.values
        kinds = row.reason.values.tolist()
        rows.append(
            [
                name,
                f"{accuracy:.4f}",
                f"{low:.3f} to {high:.3f}",
                f"{round(accuracy * neurons)} of {neurons}",
                f"{top3:.4f}",
                *(str(kinds.count(kind)) for kind in wrong),
            ]
        )
    for name, row in _again(ceiling):
        part = float(row.accuracy)
        count = "-" if np.isnan(part) else f"{round(part * neurons)} of {neurons}"
        rows.append([name, _number(part, ".4f"), "", count, *[""] * (1 + len(wrong))])
    return rows


def outcomes_table(outcomes: xr.Dataset, ceiling: xr.Dataset | None = None) -> Rows:
    """Logits, answers and when they were learnt: the network, predictions, the network again.

    Parameters
    ----------
    outcomes : Dataset
        From `grokode.compare.lottery.outcomes.outcomes`.
    ceiling : Dataset, optional
        From `grokode.compare.lottery.outcomes.ceiling`.
    """
    rows = [["", "R² of the final logits", "pairs right", *map(str, _EVENTS.values())]]
    each = [(str(name), outcomes.sel(who=name)) for name in outcomes.who.values]
    for name, row in [*each, *_again(ceiling)]:
        numbers = [_number(float(row[key]), ".4f") for key in ("logit_r2", "pairs_right")]
        rows.append([name, *numbers, *(_number(float(row[key]), ".0f") for key in _EVENTS)])
    return rows


def partings_table(parted: xr.DataArray) -> Rows:
    """Step at which each predictor leaves the network, from `grokode.compare.partings`.

    Parameters
    ----------
    parted : DataArray (predictor, threshold)
    """
    rows = [["predictor", *(f"off by {tolerance:.0%}" for tolerance in parted.threshold.values)]]
    for predictor, steps in zip(parted.predictor.values, parted.values, strict=True):
        rows.append(
            [str(predictor), *("never" if np.isnan(s) else f"step {int(s)}" for s in steps)]
        )
    return rows


def errors_table(errors: xr.Dataset, rows: int = 10) -> Rows:
    """Theory against network at steps spread over the plateau and the start of the loss's fall."""
    of = "grokode.compare.trajectory_errors"
    check_measured("errors", errors, of, "loss_drop", "beta_error", "step")
    falling = np.flatnonzero(errors.loss_drop.values <= 0.1)
    last = falling[-1] if falling.size else errors.sizes["step"] - 1
    table = [["step", "loss below log p", "same leader", "beta error", "tickets blown up"]]
    for index in np.unique(np.linspace(0, last, rows).astype(int)):
        row = errors.isel(step=index)
        error = float(row.beta_error)
        table.append(
            [
                str(int(row.step)),
                f"{float(row.loss_drop):.2%}",
                f"{float(row.leader_agreement):.2%}",
                "-" if np.isnan(error) else f"{error:.2%}",
                f"{float(row.blown_up):.2%}",
            ]
        )
    return table


def _again(ceiling: xr.Dataset | None) -> list[tuple[str, xr.Dataset]]:
    """The retrainings with the names they have in tables."""
    if ceiling is None or ceiling.attrs["reason"]:
        return []
    names = map(str, ceiling.retraining.values)
    return [(f"trained again, {name}", ceiling.sel(retraining=name)) for name in names]


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)
