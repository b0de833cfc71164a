"""What was measured of hidden states, as rows of text and as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.cells import Rows, text

__all__ = ["accuracy_table", "automaton_json", "law_table", "mergers_table", "states_table"]

Datasets = Mapping[str, xr.Dataset]

BEGINS = {"start": "the initial weights", "plateau": "the end of the plateau"}


def states_table(measured: Datasets) -> Rows:
    """The end of training and the peak of states, one column to a tolerance.

    Parameters
    ----------
    measured : mapping of Datasets
        With ``states``, as `grokode.compare.automata.question.measure` returns it.
    """
    states = measured["states"]
    epoch = states.attrs["epoch"]
    last = states.isel(step=-1)
    peak = states.states.argmax("step")
    total = {
        "agreeing": states.attrs["agreeing_pairs"],
        "disagreeing": states.attrs["disagreeing_pairs"],
    }
    columns = [last.sel(within=tolerance) for tolerance in states.within]
    rows = [["", *(f"within {t:g} sigma" for t in states.within.values)]]
    peaks = [
        f"{int(states.states.isel(step=int(at), within=t))} at epoch "
        f"{int(states.step[int(at)]) / epoch:.0f}"
        for t, at in enumerate(peak.values)
    ]
    rows.append(["most states", *peaks])
    for label, name in (
        ("states at the end", "states"),
        ("the same by chains", "states_linked"),
        ("contradicting transitions", "conflicts"),
    ):
        rows.append([label, *(str(int(column[name])) for column in columns)])
    rows.append(["every state goes on", *("yes" if c.finite else "no" for c in columns)])
    minimal = [text(column.minimal_states.item()) for column in columns]
    rows.append(["states of the smallest automaton", *minimal])
    same = ["yes" if column.equivalent else "no" for column in columns]
    rows.append(["computes the task for ever", *same])
    for kind, count in total.items():
        cells = [f"{int(column[f'{kind}_merged'])} of {count}" for column in columns]
        rows.append([f"{kind} pairs merged", *cells])
    return rows


def accuracy_table(measured: Datasets) -> Rows:
    """Accuracy on random sequences by length."""
    accuracy = measured["accuracy"].accuracy
    header = ["length", *(str(length) for length in accuracy.length.values)]
    return [header, ["accuracy", *(text(value) for value in accuracy.values)]]


def mergers_table(measured: Datasets) -> Rows:
    """How often each criterion is right, from where, at which tolerance."""
    score = measured["score"]
    rows = [["criterion", "from", "tolerance", "accuracy", "false mergers", "missed"]]
    for begin in score.begin.values:
        for tolerance in score.within.values:
            for name in score.criterion.values:
                cell = score.sel(criterion=name, begin=begin, within=tolerance)
                share = text(cell.accuracy.item())
                if np.isfinite(cell.low):
                    share += f" [{float(cell.low):.3f}, {float(cell.high):.3f}]"
                rows.append(
                    [
                        str(name),
                        BEGINS[str(begin)],
                        f"{tolerance:g} sigma",
                        share,
                        str(int(cell.false_mergers)),
                        str(int(cell.missed_mergers)),
                    ]
                )
    return rows


def law_table(measured: Datasets) -> Rows:
    """The estimate of lengths beside what the commoner outcome is right about."""
    law = measured["law"]
    rows = [["n - m", "tolerance", "G", "C", "accuracy", "chance"]]
    for reading in law.reading.values:
        for within in law.within.values:
            one = law.sel(reading=reading, within=within)
            share = f"{text(one.accuracy.item())} [{float(one.low):.3f}, {float(one.high):.3f}]"
            numbers = [text(one[name].item()) for name in ("gain", "constant", "chance")]
            rows.append([str(reading), f"{within:g} sigma", *numbers[:2], share, numbers[2]])
    return rows


def automaton_json(measured: Datasets) -> dict[str, Any]:
    """All numbers of the end of training, and when it came.

    ``finite``, ``minimal_states`` and ``equivalent`` are of the widest tolerance, merged pairs
    and criteria those of the narrowest, which is the published one; ``tolerances`` has them all.
    """
    states, pairs, score = (measured[name] for name in ("states", "pairs", "score"))
    last = states.isel(step=-1)
    wide, narrow = last.isel(within=-1), last.isel(within=0)
    drop = states.attrs["drop_step"]
    accuracy = measured["accuracy"].accuracy
    first = score.isel(within=0)
    return {
        "states": _by_tolerance(last.states),
        "peak_states": int(states.states.isel(within=0).max()),
        "finite": bool(wide.finite),
        "minimal_states": _number(wide.minimal_states),
        "equivalent": bool(wide.equivalent),
        "merged_pairs": int(narrow.agreeing_merged + narrow.disagreeing_merged),
        "disagreeing_merged": int(narrow.disagreeing_merged),
        "drop_epoch": drop / states.attrs["epoch"] if np.isfinite(drop) else None,
        "accuracy": {
            str(length): float(accuracy.sel(length=length)) for length in accuracy.length.values
        },
        "criteria": _criteria(first.sel(begin="start")),
        "criteria_from_plateau": _criteria(first.sel(begin="plateau")),
        "tolerances": {
            name: _by_tolerance(last[name])
            for name in (
                "states_linked",
                "conflicts",
                "finite",
                "minimal_states",
                "equivalent",
                "agreeing_merged",
                "disagreeing_merged",
            )
        },
        "law": _law(measured["law"]),
        "rates": {
            str(begin): {
                "from_step": _number(one.begin_step),
                "hidden_time": _number(one.hidden_time),
                "output_time": _number(one.output_time),
                "explained": {
                    str(kind): _number(one.explained.sel(kind=kind)) for kind in one.kind.values
                },
                "drop_epoch": _number(one["drop"] / states.attrs["epoch"]),
            }
            for begin, one in ((b, pairs.sel(begin=b)) for b in pairs.begin.values)
        },
    }


def _law(law: xr.Dataset) -> dict[str, Any]:
    return {
        f"{within:g}": {
            str(reading): {
                str(name): _number(value.sel(reading=reading, within=within))
                for name, value in law.data_vars.items()
            }
            for reading in law.reading.values
        }
        for within in law.within.values
    }


def _criteria(score: xr.Dataset) -> dict[str, Any]:
    return {
        str(name): {
            "accuracy": _number(score.accuracy.sel(criterion=name)),
            "interval": [_number(score[end].sel(criterion=name)) for end in ("low", "high")],
        }
        for name in score.criterion.values
    }


def _by_tolerance(values: xr.DataArray) -> dict[str, Any]:
    return {
        f"{tolerance:g}": _number(values.sel(within=tolerance))
        for tolerance in values.within.values
    }


def _number(value: xr.DataArray) -> Any:
    """A number as JSON has it: None for NaN, and a count without a decimal point."""
    plain = value.item()
    if isinstance(plain, float) and np.isnan(plain):
        return None
    return int(plain) if value.name == "minimal_states" else plain
