"""The claims on alignment scores of the effective-loss case study."""

from collections.abc import Mapping
from typing import Any

from grokode.compare.common.claims import Claim, Verdict

__all__ = ["SCORES", "judge_scores"]

SCORES = {
    "ell_neuron": Claim(
        "Alignment (ell_neuron) goes along with test accuracy", "Pearson correlation", 0.8, 0.5
    ),
    "ell_global": Claim(
        "Global alignment (ell_global) goes against it", "Pearson correlation", -0.1, 0.0
    ),
}


def judge_scores(numbers: Mapping[str, Any]) -> list[Verdict]:
    """Claims on the scores, from `grokode.compare.score_statistics`."""
    return [claim.judge(numbers["pearson"][name]) for name, claim in SCORES.items()]
