"""The published claims on a network's logits.

Source: arXiv:2602.16849, Proposition 1.
"""

import xarray as xr

from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.common.missing import number_or_reason

__all__ = ["FITTED", "PROPOSITION", "SINGLE", "judge_logits"]

FITTED = Claim("Every pair is answered rightly", "accuracy over all pairs", 1.0, 0.9)
PROPOSITION = Claim("Logits are those of Proposition 1", "R² of the fit", 0.9, 0.5)
SINGLE = Claim(
    "Logits come from one frequency a neuron", "R² of the single-frequency projection", 0.9, 0.5
)


def judge_logits(fit: xr.Dataset) -> list[Verdict]:
    """Claims on the logits, from `grokode.compare.logits`."""
    return [
        FITTED.judge(number_or_reason(fit, "accuracy")),
        PROPOSITION.judge(number_or_reason(fit, "r2")),
        SINGLE.judge(number_or_reason(fit.sel(fit="single_frequency"), "fit_r2")),
    ]
