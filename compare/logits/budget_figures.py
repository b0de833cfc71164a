"""Pictures of `grokode.compare.logits.budget`: what a network's logits consist of."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import (
    AMBER,
    GREEN,
    NETWORK,
    PURPLE,
    SKY,
    STEPS,
    YELLOW,
    say,
)
from grokode.compare.logits.budget import common_share

__all__ = ["PART_COLORS", "budget_bars", "budget_history", "closing_steps"]

# Okabe-Ito colours that are not already the network's and theory's; in grey what theory leaves out
# by its own choice of terms, in black what the parts have in common.
PART_COLORS = {
    "signal": GREEN,
    "misalignment": YELLOW,
    "two_phase": AMBER,
    "four_phase": PURPLE,
    "cross_frequency": SKY,
    "harmonics": SKY,
    "dc": "0.6",
    "linear": "0.6",
    "remainder": "0.82",
}
_LABELS = {
    "two_phase": "2-phase noise",
    "four_phase": "4-phase noise",
    "cross_frequency": "cross-frequency",
    "dc": "DC",
}
_COMMON = "covariances of the parts"


def budget_bars(budget: xr.Dataset, ax: Axes) -> Axes:
    """Share of the logits' variance in each part, and in their covariances, which may be negative.

    Parameters
    ----------
    budget : Dataset
        From `grokode.compare.logits.budget.logit_budget`, or one step of `budget_over_steps`.
    ax : Axes
    """
    reason = str(budget.reason.item() if "reason" in budget else budget.attrs["reason"])
    if reason:
        return say(reason, ax)
    names = [str(part) for part in budget.part.values]
    common = float(common_share(budget))
    shares = [*(100 * budget.share.values), 100 * common]
    bars = ax.barh(
        [*map(_label, names), _COMMON],
        shares,
        color=[*(PART_COLORS[name] for name in names), "black"],
        edgecolor="0.4",
        linewidth=0.5,
        height=0.6,
    )
    ax.bar_label(bars, [f"{share:.1f}%" for share in shares], padding=3)
    ax.axvline(0, color="black", linewidth=0.6)
    room = 0.22 * (max(shares) - min(0, *shares))
    ax.set(
        xlim=(min(0, *shares) - (room if common < 0 else 0), max(shares) + room),
        xlabel="share of the variance of the network's logits (%)",
        title="they sum to 100%",
    )
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def budget_history(budget: xr.Dataset, ax: Axes) -> Axes:
    """Shares stacked over steps; stack and covariances together are 100% at every step.

    Parameters
    ----------
    budget : Dataset
        From `grokode.compare.logits.budget.budget_over_steps`. Steps without a budget are left
        blank.
    ax : Axes
    """
    names = [str(part) for part in budget.part.values]
    shares = 100 * budget.share.transpose("part", "step")
    steps = budget.step.values
    ax.stackplot(
        steps,
        shares.values,
        labels=[_label(name) for name in names],
        colors=[PART_COLORS[name] for name in names],
        linewidth=0,
    )
    ax.plot(steps, 100 * common_share(budget), color="black", linewidth=1.2, label=_COMMON)
    ax.axhline(0, color="black", linewidth=0.6)
    missing = int(np.isnan(shares.values).any(0).sum())
    title = "stack and covariances make 100%"
    if missing:
        title += f"; no budget at {missing} of {len(steps)} checkpoints"
    ax.set_title(title, fontsize="medium")
    ax.margins(x=0)
    ax.set(xlabel=STEPS, ylabel="share of the variance\nof the network's logits (%)")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def closing_steps(closed: xr.Dataset, ax: Axes) -> Axes:
    """What is explained, stage by stage, as measured values take the place of assumptions.

    Parameters
    ----------
    closed : Dataset
        From `grokode.compare.logits.closing.closing`.
    ax : Axes
    """
    if closed.attrs["reason"]:
        return say(closed.attrs["reason"], ax)
    names = [_label(str(stage)).replace("_", " ") for stage in closed.stage.values]
    ax.plot(names, closed.r2, "o-", color=NETWORK["color"], label="R² of the logits at scale 1")
    ax.plot(names, closed.accuracy, "s:", color=AMBER, label="pairs answered rightly")
    ax.axhline(1, color="0.5", linewidth=0.6)
    ax.set(ylabel="fraction", ylim=(min(-0.03, float(closed.r2.min()) - 0.05), 1.08))
    ax.tick_params(axis="x", rotation=20)
    ax.legend(fontsize="small", loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _label(name: str) -> str:
    return _LABELS.get(name, name)
