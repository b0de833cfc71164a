"""The published claims on the lottery and the four-variable flow.

Source: arXiv:2602.16849, the flow of one ticket and the corollary on the lottery.
"""

import numpy as np
import xarray as xr

from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.common.missing import number_or_reason
from grokode.compare.lottery.trajectories import PLATEAU_DROP

__all__ = ["BETA_ERROR", "FLOW", "PLATEAU_CLAIM", "WRONG_LEADERS", "judge_flow", "judge_winners"]

BETA_ERROR, WRONG_LEADERS = 0.02, 0.01
"""What a theory that follows the network may be off by: all beta, and part of the leaders."""

PLATEAU_CLAIM = (
    "while the loss is within 0.5% of log p, theory names the current leading frequency of at "
    "least 99% of the neurons, and all beta to 2%"
)

FLOW = Claim(
    "The four-variable flow follows the network while the loss is within 0.5% of log p",
    "beta's error there over 2%, or wrong leaders over 1%, the larger",
    1.0,
    5.0,
)
WINNERS = {
    "blowup_time": Claim(
        "The ticket that blows up first wins its neuron", "winners named", 0.8, 0.3
    ),
    "misalignment": Claim(
        "The least misaligned ticket wins its neuron (corollary)", "winners named", 0.8, 0.3
    ),
}


def judge_flow(errors: xr.Dataset) -> Verdict:
    """Whether the four-variable flow holds on the plateau of the loss: the one place that says so.

    Parameters
    ----------
    errors : Dataset
        From `grokode.compare.trajectory_errors` of ``ticket_flow``.

    Examples
    --------
    >>> errors = xr.Dataset(
    ...     {
    ...         "loss_drop": ("step", [0.0, 0.004, 0.5]),
    ...         "beta_error": ("step", [0.0, 0.01, 0.9]),
    ...         "leader_agreement": ("step", [1.0, 0.98, 0.5]),
    ...     }
    ... )
    >>> judged = judge_flow(errors)
    >>> judged.verdict, round(judged.value, 9)
    ('holds partly', 2.0)
    """
    plateau = errors.sel(step=(errors.loss_drop <= PLATEAU_DROP).values)
    if not plateau.sizes["step"]:
        return FLOW.judge("no checkpoint with a logged loss is on the plateau")
    # A theory that has blown up on the plateau is as wrong as can be.
    off = float(plateau.beta_error.fillna(np.inf).max()) / BETA_ERROR
    wrong = float(1 - plateau.leader_agreement.min()) / WRONG_LEADERS
    # Ninety-nine of a hundred are 99%, whatever rounding makes of it.
    return FLOW.judge(round(max(off, wrong), 9))


def judge_winners(winners: xr.Dataset) -> list[Verdict]:
    """Claims on who wins, from `grokode.compare.winners`."""
    return [
        claim.judge(number_or_reason(winners.sel(predictor=name), "accuracy"))
        for name, claim in WINNERS.items()
        if name in winners.predictor
    ]
