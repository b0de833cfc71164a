"""What van Rossem and Saxe (arXiv:2507.09897) claim of such networks, judged on one run."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from grokode.compare.common.claims import Claim, Verdict

__all__ = ["judge_run"]

FOR_EVER = Claim(
    "the network generalises to sequences of any length",
    "accuracy at the longest length",
    1.0,
    0.99,
)
TREE = Claim(
    "at first every sequence has a state of its own",
    "most states as part of all sequences",
    0.9,
    0.5,
)
AUTOMATON = Claim(
    "states merge until they form the automaton of the task",
    "tolerances at which they do, as part",
    1.0,
    0.5,
)
AGREEING = Claim(
    "only states merge that agree on every continuation",
    "part of the merged pairs that agree",
    1.0,
    0.99,
)
SUDDEN = Claim(
    "the loss falls suddenly",
    "from the end of the plateau to the drop, as part of all before",
    0.1,
    0.25,
)
FLOW = Claim(
    "the pair flow follows agreeing pairs from the initial weights",
    "explained variance of log distances",
    0.9,
    0.5,
)
CRITERION = Claim(
    "its sign of A tells from the initial weights which states merge",
    "accuracy above that of the commoner answer",
    0.05,
    0.0,
)
APPROACH = Claim(
    "agreeing states only approach each other",
    "part of the pairs never a tenth further apart than at first",
    0.9,
    0.5,
)
LAW = Claim(
    "agreeing pairs merge where C < N G^(n - m)",
    "accuracy above that of the commoner answer",
    0.05,
    0.0,
)


def judge_run(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """A verdict on each claim.

    Parameters
    ----------
    measured : mapping of Datasets
        As `grokode.compare.automata.question.measure` returns it.
    """
    states, score = measured["states"], measured["score"]
    last = states.isel(step=-1)
    narrow = last.isel(within=0)
    merged = int(narrow.agreeing_merged + narrow.disagreeing_merged)
    most = int(states.states.isel(within=0).max())
    sequences = 2 ** (states.sizes["length"] + 1) - 1
    start = score.sel(begin="start").isel(within=0).accuracy
    above = float(start.sel(criterion="published") - start.sel(criterion="chance"))
    followed = measured["pairs"].explained.sel(begin="start", kind="agreeing").item()
    law = measured["law"].isel(reading=0, within=0)
    beyond = float(law.accuracy - law.chance)
    drop = states.attrs["drop_step"]
    begin = float(measured["pairs"].begin_step.sel(begin="plateau"))
    fall: float | str = (drop - begin) / drop if drop else float("nan")
    if not np.isfinite(drop):
        fall = "the test loss does not fall below 0.1 to stay"
    elif np.isnan(begin):
        fall = "no checkpoint lies on the plateau"
    return [
        FOR_EVER.judge(float(measured["accuracy"].accuracy[-1])),
        TREE.judge(most / sequences),
        AUTOMATON.judge(float((last.equivalent & last.finite).mean())),
        AGREEING.judge(int(narrow.agreeing_merged) / merged if merged else "no pair has merged"),
        SUDDEN.judge(fall),
        FLOW.judge(followed if np.isfinite(followed) else "too few checkpoints to fit rates"),
        CRITERION.judge(above if np.isfinite(above) else "no rates were fitted"),
        APPROACH.judge(_never_further(measured["pairs"])),
        LAW.judge(beyond if np.isfinite(beyond) else "no agreeing pair has continuations"),
    ]


def _never_further(pairs: xr.Dataset) -> float | str:
    agreeing = pairs.observed.values[:, pairs.agreeing.values]
    if not agreeing.size:
        return "there are no agreeing pairs"
    return float((agreeing.max(0) <= 1.1 * agreeing[0]).mean())
