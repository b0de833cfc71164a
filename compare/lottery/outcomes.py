"""What becomes of the whole network: logits, answers, and when it learns, by every predictor.

Beside the predictions stand the network itself and, as the ceiling of all of them, the network
trained again from the same first checkpoint.
"""

from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.cells import plain
from grokode.compare.common.course import course, foretold
from grokode.compare.common.events import generalised, memorised, why_none_held_out
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.outputs import pairs_right
from grokode.compare.lottery.ladder import Ladder
from grokode.compare.lottery.retrained import RETRAININGS, retrained, retrained_seconds
from grokode.nets.runs import Run

__all__ = ["NETWORK", "ceiling", "outcomes", "outcomes_json"]

NETWORK = "the network"


def outcomes(run: Run, climbed: Ladder, scored: xr.Dataset) -> xr.Dataset:
    """Answers and learning of the network, and of those that are predicted.

    Parameters
    ----------
    run : Run
        Of one seed.
    climbed : Ladder
        Of that run.
    scored : Dataset
        From `grokode.compare.lottery.winners.winners` on it.

    Returns
    -------
    Dataset over ``who``
        `NETWORK`, and every predictor that follows the training. ``logit_r2`` and ``half_loss``
        as of ``scored``; ``pairs_right``, part of all p^2 pairs that the final weights answer
        rightly; ``memorised`` and ``generalised``, steps as
        `grokode.compare.common.events` defines them, at checkpoints for predictions, NaN where
        there is none or no pair is held out.

    Examples
    --------
    >>> import tempfile
    >>> from grokode import nets
    >>> from grokode.compare.lottery.ladder import ladder
    >>> from grokode.compare.lottery.winners import winners
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = nets.train(config, f"{folder}/run")
    ...     climbed = ladder(run, ["neuron_flow"])
    ...     told = outcomes(run, climbed, winners(run, climbed=climbed))
    >>> told.who.values.tolist(), bool((told.logit_r2 > 0.99).all())
    (['the network', 'neuron_flow'], True)
    """
    activation = climbed.rule.activation
    held_out = not why_none_held_out(run.train_pairs, run.test_pairs)
    events = [at.step for at in ((memorised(run), generalised(run)) if held_out else ())]
    rows = [
        {
            "logit_r2": 1.0,
            "half_loss": float(scored.observed_half_loss),
            "pairs_right": pairs_right(climbed.observed.isel(step=-1, drop=True), activation),
        }
        | _steps(events)
    ]
    names = [NETWORK]
    for name, one in climbed.predictions.items():
        if one.path is None or name not in scored.predictor:
            continue
        events = []
        if held_out:
            series = course(one.path, activation, run.train_pairs, run.test_pairs)
            events = [at.step for at in foretold(series)]
        names.append(name)
        row = scored.sel(predictor=name)
        rows.append(
            {
                "logit_r2": float(row.logit_r2),
                "half_loss": float(row.half_loss),
                "pairs_right": pairs_right(one.path.isel(step=-1, drop=True), activation),
            }
            | _steps(events)
        )
    return xr.Dataset(
        {name: ("who", [row[name] for row in rows]) for name in rows[0]}, {"who": names}
    )


def ceiling(run: Run, affordable: float = np.inf) -> xr.Dataset:
    """The network trained again, see `grokode.compare.lottery.retrained`, or why it was not.

    Parameters
    ----------
    run : Run
        Of one seed.
    affordable : float
        Seconds of a core; if training again takes longer it is left out.

    Returns
    -------
    Dataset over ``retraining``
        As of `retrained`; NaN, with attribute ``reason``, where there is none.
    """
    seconds, reason = retrained_seconds(run), ""
    if seconds > affordable:
        reason = f"it would take about {seconds:.0f} s; ask for it by name, as retrained"
    else:
        try:
            return retrained(run).drop_vars("winner").assign_attrs(reason="")
        except NotMeasured as refusal:
            reason = str(refusal)
    none = ("retraining", np.full(len(RETRAININGS), np.nan))
    names = ("accuracy", "logit_r2", "half_loss", "pairs_right", "memorised", "generalised")
    return xr.Dataset(
        dict.fromkeys(names, none), {"retraining": list(RETRAININGS)}, {"reason": reason}
    )


def outcomes_json(told: xr.Dataset, again: xr.Dataset | None) -> dict[str, Any]:
    """The numbers of `outcomes` and `ceiling` as plain values.

    Parameters
    ----------
    told : Dataset
    again : Dataset or None

    Returns
    -------
    dict
        ``outcomes``: by who ``logit_r2``, ``half_loss``, ``pairs_right``, ``memorised`` and
        ``generalised``. ``ceiling``: the same and ``accuracy`` by retraining, and ``reason``.
    """
    numbers: dict[str, Any] = {"outcomes": _by(told, "who")}
    if again is not None:
        numbers["ceiling"] = _by(again, "retraining") | {"reason": again.attrs["reason"]}
    return numbers


def _by(numbers: xr.Dataset, dim: str) -> dict[str, dict[str, Any]]:
    return {
        str(key): {str(name): plain(one) for name, one in numbers.sel({dim: key}).items()}
        for key in numbers[dim].values
    }


def _steps(events: list[int | None]) -> dict[str, float]:
    at = [np.nan if step is None else float(step) for step in events] or [np.nan, np.nan]
    return {"memorised": at[0], "generalised": at[1]}
