"""The published claims on one run, each with its number, its threshold and a verdict.

Source: arXiv:2602.16849, Observations 1 to 4, Proposition 1, the corollary on the lottery and the
stages of grokking; the alignment scores are those of the effective-loss case study.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.mechanism import Mechanism
from grokode.compare.mechanism_tables import measures
from grokode.compare.stages import Stages
from grokode.compare.trajectories import PLATEAU_DROP

__all__ = [
    "Claim",
    "Verdict",
    "claims_table",
    "flow_claims",
    "grokking_claims",
    "logit_claims",
    "mechanism_claims",
]

HOLDS, PARTLY, FAILS = "holds", "holds partly", "does not hold here"


@dataclass(frozen=True)
class Claim:
    """A statement with the numbers at which it holds, and holds partly.

    Parameters
    ----------
    text : str
    measure : str
        What is measured.
    holds, partly : float
        Thresholds; if ``partly`` is the larger, less is better.
    """

    text: str
    measure: str
    holds: float
    partly: float

    def judge(self, value: float | str) -> "Verdict":
        """Verdict on a number, or on the reason why there is none.

        Examples
        --------
        >>> claim = Claim("right", "accuracy", 1.0, 0.9)
        >>> claim.judge(0.95).verdict, claim.judge("no pairs").verdict
        ('holds partly', 'not measured: no pairs')
        """
        if isinstance(value, str):
            return Verdict(self, float("nan"), f"not measured: {value}")
        if np.isnan(value):
            return Verdict(self, value, "not measured")
        sign = 1 if self.holds >= self.partly else -1
        if sign * value >= sign * self.holds:
            return Verdict(self, value, HOLDS)
        return Verdict(self, value, PARTLY if sign * value >= sign * self.partly else FAILS)


@dataclass(frozen=True)
class Verdict:
    """A judged claim.

    Parameters
    ----------
    claim : Claim
    value : float
        NaN if it was not measured.
    verdict : str
    """

    claim: Claim
    value: float
    verdict: str


FLOW = Claim(
    "The four-variable flow follows the network while the loss is within 0.5% of log p",
    "largest relative error of all beta there",
    0.02,
    0.1,
)
WINNERS = {
    "blowup_time": Claim(
        "The ticket that blows up first wins its neuron", "winners named", 0.8, 0.3
    ),
    "misalignment": Claim(
        "The least misaligned ticket wins its neuron (corollary)", "winners named", 0.8, 0.3
    ),
}
PROPOSITION = Claim("Logits are those of Proposition 1", "R² of the fit", 0.9, 0.5)
SINGLE = Claim(
    "Logits come from one frequency a neuron", "R² of the single-frequency projection", 0.9, 0.5
)
FITTED = Claim("Every pair is answered rightly", "accuracy over all pairs", 1.0, 0.9)
MECHANISM = {
    "participation_theta": Claim(
        "Each neuron ends on one frequency", "median inverse participation ratio", 0.9, 0.5
    ),
    "mean_abs_sin": Claim(
        "Output phases are twice the input phases", "mean |sin D|, D = 2φ - ψ", 0.1, 0.3
    ),
    "balance_p_value": Claim(
        "Frequencies are won equally often", "p of the chi-square test", 0.05, 0.001
    ),
    "uniformity_p_value": Claim(
        "Phases at each frequency are spread evenly",
        "p of the Rayleigh tests, jointly",
        0.05,
        0.001,
    ),
    "variation_within_theta": Claim(
        "Neurons of one frequency have like magnitudes", "coefficient of variation", 0.1, 0.3
    ),
}
EVEN = ("abs", "quadratic", "quartic", "softplus2", "exp")
SWAP = Claim(
    "Any activation with an even part may take the place of the trained one",
    "least accuracy with |x|, x², x⁴, softplus(2x), exp",
    0.99,
    0.9,
)

FREE = Claim(
    "Once memorised, a test pair is known if its mirror image was trained, and only then",
    "test accuracy then, off the share of such pairs",
    0.01,
    0.1,
)
GENERALISED = Claim("The network generalises after it has memorised", "test accuracy", 0.95, 0.9)
SCORES = {
    "ell_neuron": Claim(
        "Alignment (ell_neuron) goes along with test accuracy", "Pearson correlation", 0.8, 0.5
    ),
    "ell_global": Claim(
        "Global alignment (ell_global) goes against it", "Pearson correlation", -0.1, 0.0
    ),
}


def flow_claims(winners: xr.Dataset, errors: xr.Dataset | None) -> list[Verdict]:
    """Claims on the lottery and the flow.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    errors : Dataset or None
        From `grokode.compare.trajectories.rung_errors`, if a rung follows the run.
    """
    found = [
        claim.judge(float(winners.accuracy.sel(rule=rule)))
        for rule, claim in WINNERS.items()
        if rule in winners.rule
    ]
    if errors is None or "ticket_flow" not in errors.rule:
        return [FLOW.judge("the flow is that of SGD"), *found]
    flow = errors.sel(rule="ticket_flow")
    plateau = flow.beta_error.where(flow.loss_drop <= PLATEAU_DROP, drop=True)
    error = float(plateau.max()) if plateau.size else float("nan")
    # A theory that has blown up on the plateau is as wrong as can be.
    return [FLOW.judge(np.inf if bool(plateau.isnull().any()) else error), *found]


def logit_claims(fit: xr.Dataset) -> list[Verdict]:
    """Claims on the logits, from `grokode.compare.logits`."""
    if fit.attrs["reason"]:
        return [claim.judge(fit.attrs["reason"]) for claim in (FITTED, PROPOSITION, SINGLE)]
    return [
        FITTED.judge(float(fit.accuracy)),
        PROPOSITION.judge(float(fit.r2)),
        SINGLE.judge(float(fit.fit_r2.sel(fit="single_frequency"))),
    ]


def mechanism_claims(found: Mechanism) -> list[Verdict]:
    """Claims on the neurons, from `grokode.compare.mechanism`."""
    values: Mapping[str, float | str] = {m.name: m.value for m in measures(found)}

    def of(name: str) -> float | str:
        return values.get(name, found.reason or "not there")

    swapped = [of(f"swap_{name}") for name in EVEN]
    reasons = [value for value in swapped if isinstance(value, str)]
    least = reasons[0] if reasons else min(float(value) for value in swapped)
    return [*(claim.judge(of(name)) for name, claim in MECHANISM.items()), SWAP.judge(least)]


def grokking_claims(found: Stages, statistics: Mapping[str, Any]) -> list[Verdict]:
    """Claims on a training that holds out pairs.

    Parameters
    ----------
    found : Stages
    statistics : dict
        From `grokode.compare.statistics.score_statistics`.
    """
    share = found.free_accuracy["mirrored"]
    step = found.checkpoint(found.memorised.step)
    reason = found.memorised.reason or "no checkpoint after memorisation"
    if not share < 1:
        reason, step = "no test pair is new", None
    test = found.measured.test_accuracy
    free = reason if step is None else abs(float(test.sel(step=step)) - share)
    after = reason if step is None else float(test.sel(step=slice(step, None)).max())
    return [
        FREE.judge(free),
        GENERALISED.judge(after),
        *(claim.judge(statistics["pearson"][name]) for name, claim in SCORES.items()),
    ]


def claims_table(verdicts: list[Verdict]) -> list[list[str]]:
    """Verdicts as rows of text, header first."""
    rows = [["claim", "verdict", "measured", "threshold (partly)"]]
    for judged in verdicts:
        claim = judged.claim
        relation = "at least" if claim.holds >= claim.partly else "at most"
        value = "-" if np.isnan(judged.value) else f"{judged.value:.3g}"
        rows.append(
            [
                claim.text,
                judged.verdict,
                f"{claim.measure}: {value}",
                f"{relation} {claim.holds:g} ({claim.partly:g})",
            ]
        )
    return rows
