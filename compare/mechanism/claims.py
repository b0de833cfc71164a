"""The published claims on what the neurons learned.

Source: arXiv:2602.16849, Observations 1 to 4.
"""

from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.mechanism.tables import measures
from grokode.compare.question import Datasets

__all__ = ["EVEN", "MECHANISM", "SWAP", "judge_mechanism"]

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
"""Activations with an even part."""

SWAP = Claim(
    "Any activation with an even part may take the place of the trained one",
    "least accuracy with |x|, x², x⁴, softplus(2x), exp",
    0.99,
    0.9,
)


def judge_mechanism(measured: Datasets) -> list[Verdict]:
    """Claims on the neurons, from `grokode.compare.mechanism.measures.mechanism`."""
    reason = str(measured["about"].attrs["reason"])
    if reason:
        return [claim.judge(reason) for claim in (*MECHANISM.values(), SWAP)]
    by_name = {m.name: m for m in measures(measured)}
    swapped = [by_name[f"swap_{name}"] for name in EVEN]
    without = next((m.reason for m in swapped if m.reason), "")
    return [
        *(claim.judge(by_name[n].reason or by_name[n].value) for n, claim in MECHANISM.items()),
        SWAP.judge(without or min(m.value for m in swapped)),
    ]
