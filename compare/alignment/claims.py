"""The claims on alignment scores of the effective-loss case study."""

import xarray as xr

from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.common.missing import number_or_reason

__all__ = ["SCORES", "judge_scores"]

SCORES = {
    "ell_neuron": Claim(
        "Alignment (ell_neuron) goes along with test accuracy", "Pearson correlation", 0.8, 0.5
    ),
    "ell_global": Claim(
        "Global alignment (ell_global) goes against it", "Pearson correlation", -0.1, 0.0
    ),
}


def judge_scores(correlations: xr.Dataset) -> list[Verdict]:
    """Claims on the scores, from ``correlations`` of `grokode.compare.score_statistics`."""
    return [
        claim.judge(number_or_reason(correlations.sel(score=name), "pearson"))
        for name, claim in SCORES.items()
    ]
