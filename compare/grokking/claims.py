"""The published claims on a training that holds out pairs.

Source: arXiv:2602.16849, the stages of grokking.
"""

from grokode.compare.common.claims import Claim, Verdict
from grokode.compare.grokking.stages import Stages

__all__ = ["FREE", "GENERALISES", "judge_stages"]

FREE = Claim(
    "Once memorised, a test pair is known if its mirror image was trained, and only then",
    "test accuracy then, off the share of such pairs",
    0.01,
    0.1,
)
GENERALISES = Claim("The network generalises after it has memorised", "test accuracy", 0.95, 0.9)


def judge_stages(staged: Stages) -> list[Verdict]:
    """Claims on the stages, from `grokode.compare.grokking.stages.stages`."""
    share = staged.free_accuracy["mirrored"]
    step = staged.checkpoint(staged.memorised.step)
    reason = staged.memorised.reason or "no checkpoint after memorisation"
    if not share < 1:
        reason, step = "no test pair is new", None
    if step is None:
        return [claim.judge(reason) for claim in (FREE, GENERALISES)]
    test = staged.measured.test_accuracy
    return [
        FREE.judge(abs(float(test.sel(step=step)) - share)),
        GENERALISES.judge(float(test.sel(step=slice(step, None)).max())),
    ]
