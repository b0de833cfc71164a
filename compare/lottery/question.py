"""The lottery as a question: who wins each neuron, and where theory leaves the network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.claims import Verdict
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import training_rule
from grokode.compare.common.sheets import Sheet
from grokode.compare.lottery.claims import FLOW, judge_flow, judge_winners
from grokode.compare.lottery.ladder import AFFORDABLE, ladder
from grokode.compare.lottery.outcomes import ceiling, outcomes, outcomes_json
from grokode.compare.lottery.sheets import median_neuron, trajectory_sheets, winner_sheets
from grokode.compare.lottery.tables import outcomes_table, partings_table, winners_table
from grokode.compare.lottery.trajectories import (
    partings,
    partings_json,
    predictor_errors,
    trajectories,
)
from grokode.compare.lottery.winners import winners, winners_json
from grokode.compare.question import Datasets, Question, Table
from grokode.nets.runs import Run
from grokode.theory.predictors import PREDICTORS

__all__ = ["QUESTION", "measure"]

WHO, BECOMES, STEPS = "who wins each neuron", "what becomes of the network", "step by step"

RETRAINED = "retrained"
"""Name among the predictors of the network itself, trained again."""


def measure(
    run: Run,
    /,
    predictors: Sequence[str] | None = None,
    follow: str | None = None,
    neuron: int | None = None,
    affordable: float = AFFORDABLE,
) -> Datasets:
    """Climb the ladder once and read everything off it.

    Parameters
    ----------
    run : Run
    predictors : sequence of str, optional
        ``chance``, names of predictors, and ``retrained``, the network itself trained again; all if
        not given.
    follow : str, optional
        The predictor whose tickets are kept step by step; the first that follows the training if
        not given.
    neuron : int, optional
        The neuron whose tickets are kept; the one of median blow-up if not given.
    affordable : float
        Seconds of a core for all predictors together, see `grokode.compare.ladder`; training again
        is left out if it takes longer.

    Returns
    -------
    dict of Datasets
        ``winners``; ``outcomes``; ``ceiling``, if asked for; ``errors`` of the predictors that
        follow the training, and ``tickets`` of one neuron, theory and network. Where none follows
        there are no errors and no tickets.
    """
    again = predictors is None or RETRAINED in predictors
    names = None
    if predictors is not None:
        # The network trained again stands beside a guess, if beside nothing else.
        names = [name for name in predictors if name != RETRAINED] or ["chance"]
    named = None if names is None else [name for name in names if name != "chance"]
    climbed = ladder(run, named, affordable=affordable)
    scored = winners(run, names, climbed=climbed)
    measured = {"winners": scored, "outcomes": outcomes(run, climbed, scored)}
    if again:
        measured["ceiling"] = ceiling(run, affordable if predictors is None else np.inf)
    followed = [name for name, one in climbed.predictions.items() if one.path is not None]
    if not followed and follow is None:
        return measured
    # One that follows nothing is refused here, with the reason.
    pair = trajectories(run, follow or followed[0], climbed=climbed)
    errors = predictor_errors(run, climbed=climbed)
    if neuron is not None and neuron not in pair.neuron:
        raise ValueError(f"neuron must be in 0..{pair.sizes['neuron'] - 1}, got {neuron}")
    chosen = median_neuron(pair.initial_blowup_time) if neuron is None else neuron
    return measured | {"errors": errors, "tickets": pair.sel(neuron=[chosen])}


def needs(run: Run) -> str | None:
    """Two layers of addition, whatever makes the input weights."""
    try:
        training_rule(run, any_inputs=True)
    except NotMeasured as refusal:
        return str(refusal)
    return None


def tables(measured: Datasets) -> list[Table]:
    """Winners by predictor, and where each leaves the network."""
    again = measured.get("ceiling")
    missing = again.attrs["reason"] if again is not None else ""
    who = [
        Table(
            WHO,
            winners_table(measured["winners"], again),
            "Winner: the frequency of largest beta in the last checkpoint, predicted from the "
            "first checkpoint alone. Predictors marked * are outside their assumption. The network "
            "trained again is the ceiling: rounding decides the rest."
            + (f" It was not trained again: {missing}." if missing else "")
            + _assumptions(measured["winners"]),
        ),
        Table(
            BECOMES,
            outcomes_table(measured["outcomes"], again),
            "R²: the share of the variance of the network's final logits that the predicted ones "
            "explain at scale 1. Steps of predictions are counted in checkpoints, but for the half "
            "loss of harmonic flows.",
        ),
    ]
    if "errors" not in measured:
        text = "No predictor follows this training: its steps are no flow time."
        return [*who, Table(STEPS, [], text)]
    words = str(measured["tickets"].attrs["predictor"]).replace("_", " ")
    return [
        *who,
        Table(
            STEPS,
            partings_table(partings(measured["errors"])),
            f"Theory ({words}) over the network, from the same first checkpoint.",
        ),
    ]


def _assumptions(winners: xr.Dataset) -> str:
    """What each predictor takes to hold, in a sentence each."""
    names = winners.predictor.values.tolist()
    told = (f" {name}: {PREDICTORS[name].assumption}" for name in names if name in PREDICTORS)
    return " What each takes to hold:" + "".join(told)


def sheets(measured: Datasets) -> list[Sheet]:
    """Accuracies, the best predictor, one neuron's tickets, errors."""
    drawn = winner_sheets(measured["winners"], WHO)
    if "errors" in measured:
        drawn += trajectory_sheets(measured["errors"], measured["tickets"], STEPS)
    return drawn


def judge(measured: Datasets) -> list[Verdict]:
    """The flow on the plateau, and who wins."""
    verdicts = judge_winners(measured["winners"])
    if "ticket_flow" not in measured["winners"].predictor:
        return verdicts
    errors = measured.get("errors")
    if errors is None or "ticket_flow" not in errors.predictor:
        return [FLOW.judge("the flow is that of SGD"), *verdicts]
    return [judge_flow(errors.sel(predictor="ticket_flow")), *verdicts]


def plain(measured: Datasets) -> dict[str, Any]:
    """`grokode.compare.lottery.winners.winners_json`, with the partings where there are any."""
    numbers = winners_json(measured["winners"])
    numbers |= outcomes_json(measured["outcomes"], measured.get("ceiling"))
    if "errors" in measured:
        numbers["partings"] = partings_json(partings(measured["errors"]))
    return numbers


QUESTION = Question(
    "lottery",
    "Who wins the lottery of frequencies in each neuron, and how far does theory follow?",
    needs,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
