"""Published claims about the circuit, judged on one network.

Thresholds are the published numbers where there are any. Sources: Nanda et al., arXiv:2301.05217,
sections 4 and 5, and its notebook; Zhong et al., arXiv:2306.17844.
"""

import numpy as np
import xarray as xr

from grokode.compare.circuit.measures import CLUSTERED, SOLVED
from grokode.compare.circuit.progress import Phase
from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.common.missing import number_or_reason

__all__ = ["CLAIMS", "judge_circuit", "judge_phases", "no_solution"]

CLAIMS = {
    "residual": Claim(
        "The map from neurons to logits is made of a few frequencies",
        "squared norm outside the keys",
        0.0055,
        0.05,
    ),
    "clustered": Claim(
        "Neurons are waves of one frequency",
        "live neurons of which one frequency explains over 85%",
        0.8,
        0.5,
    ),
    "projections": Claim(
        "Neurons read along u_k and v_k are cos and sin of w_k (x + y)",
        "least share of variance explained",
        0.93,
        0.85,
    ),
    "clock": Claim(
        "Logits are a sum of cos(w_k (x + y - j))", "R² of the key frequencies", 0.95, 0.8
    ),
    "restricted": Claim(
        "The key directions alone do no worse than the whole",
        "restricted loss over the loss, all pairs",
        1.0,
        10.0,
    ),
    "excluded": Claim(
        "Without the key directions nothing is left",
        "excluded loss over that of guessing, training pairs",
        1.0,
        0.2,
    ),
    "polynomials": Claim(
        "Neurons may be replaced by polynomials of degree 2 in their waves",
        "loss then over the loss",
        1.1,
        2.0,
    ),
    "span": Claim(
        "What the keys do not read of the neurons only does harm",
        "loss without it over the loss",
        1.0,
        2.0,
    ),
    "skip": Claim(
        "Logits come from the neurons, not past them", "loss without the rest over the loss", 4, 100
    ),
    "circles": Claim(
        "Every key is a clock or a pizza by itself",
        "least of the better R² of a key's circle alone",
        0.95,
        0.8,
    ),
    "phases": Claim(
        "Training has three phases: memorisation, circuit formation, cleanup",
        "phases found",
        3,
        1,
    ),
}


def judge_circuit(measured: xr.Dataset) -> list[Verdict]:
    """Verdicts on a network; a network that is no solution has none, and that is the reason.

    Parameters
    ----------
    measured : Dataset
        From `grokode.compare.circuit.measures.circuit`.
    """
    reason = no_solution(measured)
    return [CLAIMS[name].judge(reason or value) for name, value in _values(measured).items()]


def judge_phases(measured: xr.Dataset, phases: dict[str, Phase] | str) -> Verdict:
    """Verdict on the phases, or the reason for which they could not be looked for."""
    reason = no_solution(measured) or (phases if isinstance(phases, str) else "")
    if reason or isinstance(phases, str):
        return CLAIMS["phases"].judge(reason)
    return CLAIMS["phases"].judge(float(sum(phase.steps is not None for phase in phases.values())))


def no_solution(measured: xr.Dataset) -> str:
    """Why a network is no solution of its task, empty if it is one."""
    accuracy = float(measured.accuracy)
    if accuracy < SOLVED:
        return f"the network answers {accuracy:.0%} of the pairs: it is no solution"
    return ""


def _values(measured: xr.Dataset) -> dict[str, float | str]:
    whole = float(measured.loss.sel(part="all"))
    share = measured.neuron_share.values
    live = share[measured.neuron_frequency.values > 0]
    clustered = number_or_reason(measured, "clustered")
    lost = measured.ablated_loss / whole

    def ablated(name: str) -> float | str:
        value = number_or_reason(measured.assign(lost=lost.sel(ablation=name)), "lost")
        return (
            value
            if isinstance(value, float)
            else number_or_reason(measured.sel(ablation=name), "ablated_loss")
        )

    excluded = number_or_reason(measured, "excluded_loss")
    projections = measured.projection_share.min()
    return {
        "residual": number_or_reason(measured, "output_residual"),
        "clustered": clustered
        if isinstance(clustered, str) or not len(live)
        else float((live > CLUSTERED).mean()),
        "projections": float(projections)
        if np.isfinite(projections)
        else number_or_reason(measured.sel(wave="cos").isel(key=0), "projection_share"),
        "clock": number_or_reason(measured.sel(form="clock"), "kernel_r2"),
        "restricted": float(measured.restricted_loss.sel(part="all")) / whole,
        "excluded": excluded
        if isinstance(excluded, str)
        else excluded / float(np.log(measured.attrs["p"])),
        "polynomials": ablated("polynomials"),
        "span": ablated("key_span"),
        "skip": ablated("no_skip"),
        "circles": float(measured.circle_r2.max("form").min()),
    }
