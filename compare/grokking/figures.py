"""Pictures of `grokode.compare.grokking.stages`, like Figures 14 to 17 of arXiv:2602.16849."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from grokode.compare.common.curves import loss_curve
from grokode.compare.common.style import (
    AMBER,
    CHANCE,
    GREEN,
    LAYER_COLORS,
    LAYER_NAMES,
    NETWORK,
    PURPLE,
    SEQUENTIAL,
    STEPS,
    TEST,
    THEORY,
    YELLOW,
    fourier_heatmap,
    plain_log,
    say,
)
from grokode.compare.grokking.split import GROUPS, KINDS
from grokode.compare.grokking.stages import STAGES, Stages

__all__ = [
    "accuracy_curves",
    "accuracy_grid",
    "common_to_rare",
    "coupling_map",
    "force_balance",
    "loss_curves",
    "lottery_agreement",
    "misalignment_curve",
    "non_feature_decay",
    "shade_stages",
    "sparsity_and_norm",
    "weight_heatmap",
]

_STAGE_SHADES = dict(zip(STAGES, (YELLOW, AMBER, "#999999"), strict=True))
_KIND_COLOURS = dict(zip(KINDS, (NETWORK["color"], GREEN, PURPLE), strict=True))
_GROUP_STYLES = dict(zip(GROUPS, ("-", "--", ":"), strict=True))


def shade_stages(staged: Stages, ax: Axes) -> Axes:
    """Background of an axis over steps: one shade to a stage, named at the top.

    A boundary that was not found is not drawn; the stage before it goes on to the end. One logged
    before the first checkpoint lies at that.
    """
    steps = staged.series.step.values
    starts = {STAGES[0]: int(steps[0])} | {
        name: max(at.step, int(steps[0]))
        for name, at in zip(STAGES[1:], (staged.memorised, staged.generalised), strict=True)
        if at.step is not None
    }
    edges = [*starts.values(), int(steps[-1])]
    for name, left, right in zip(starts, edges[:-1], edges[1:], strict=True):
        if right <= left:
            continue
        ax.axvspan(left, right, color=_STAGE_SHADES[name], alpha=0.18, lw=0, zorder=0)
        ax.axvline(right, color="0.4", lw=0.6, zorder=0)
        wide = right - left > 0.2 * (steps[-1] - steps[0])
        ax.annotate(
            name,
            ((left + right) / 2, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center" if wide else "left",
            va="bottom",
            fontsize="small",
            rotation=0 if wide else 30,
            rotation_mode="anchor",
        )
    ax.set(xlabel=STEPS, xlim=(steps[0], max(steps[-1], steps[0] + 1)))
    return ax


def loss_curves(staged: Stages, ax: Axes) -> Axes:
    """Training and test loss over steps, logarithmic (He, Figure 14a)."""
    series = staged.measured
    loss_curve(series, series.attrs["p"], ax)
    ax.set(ylim=(None, None))
    ax.autoscale(axis="y")
    return _finished(staged, ax, log=True)


def accuracy_curves(staged: Stages, ax: Axes) -> Axes:
    """Accuracy over steps by kind of pair, with what comes free of the symmetry (Figure 14b)."""
    series = staged.measured
    for kind in KINDS:
        values = series.accuracy.sel(kind=kind)
        if values.notnull().any():
            ax.plot(series.step, values, color=_KIND_COLOURS[kind], label=f"network, {kind} pairs")
    if series.test_accuracy.notnull().any():
        ax.plot(series.step, series.test_accuracy, **TEST, label="network, test pairs")
        free = staged.free_accuracy["mirrored"]
        ax.axhline(free, **THEORY, label=f"theory: mirrored test pairs alone, {free:.3f}")
    ax.set(ylabel="accuracy (fraction of pairs)", ylim=(-0.02, 1.02))
    return _finished(staged, ax)


def misalignment_curve(staged: Stages, ax: Axes) -> Axes:
    """Mean |sin D| of every neuron's leading frequency over steps (Figure 14c)."""
    series = staged.measured
    ax.plot(series.step, series.mean_abs_sin, **NETWORK, label="network")
    ax.axhline(2 / np.pi, **CHANCE, label="random phases, 2/π")
    ax.set(ylabel="mean |sin D| of the leading frequency", ylim=(0, 0.7))
    return _finished(staged, ax)


def sparsity_and_norm(staged: Stages, ax: Axes) -> Axes:
    """Inverse participation ratio, and weight norm on an axis of its own (Figure 14d)."""
    series = staged.measured
    for layer, values in (("theta", series.participation_theta), ("xi", series.participation_xi)):
        ax.plot(series.step, values, color=LAYER_COLORS[layer], label=_network(layer))
    ax.set(ylabel="inverse participation ratio", ylim=(0, 1.02))
    norms = ax.twinx()
    norms.plot(series.step, series.weight_norm, color=GREEN, label="network, weight norm (right)")
    norms.set_ylabel("norm of all weights (units of the weights)", color=GREEN)
    norms.set_ylim(bottom=0)
    lines = [*ax.get_lines(), *norms.get_lines()]
    ax.legend(lines, [str(line.get_label()) for line in lines], fontsize="small", loc="center")
    return shade_stages(staged, ax)


def force_balance(staged: Stages, ax: Axes) -> Axes:
    """Size of the loss's force, as gradient and as applied, against that of decay."""
    series = staged.measured
    ax.plot(series.step, series.gradient_norm, **NETWORK, label="network, |loss gradient|")
    ax.plot(
        series.step,
        series.push_norm,
        color=PURPLE,
        label="network, |force of the loss, as applied|",
    )
    if (series.decay_norm > 0).any():
        ax.plot(series.step, series.decay_norm, color=GREEN, label="network, |decay · weights|")
    ax.set_ylabel("norm over all weights (units of the gradient)")
    return _finished(staged, ax, log=True)


def accuracy_grid(staged: Stages, step: int, ax: Axes) -> Axes:
    """Which pairs are answered rightly at one checkpoint, by kind of pair (Figure 15).

    Full colour is right, pale is wrong. The legend is below the axes.

    Parameters
    ----------
    staged : Stages
    step : int
        A checkpoint, such as one of `grokode.compare.grokking.stages.milestones`.
    ax : Axes
    """
    here = staged.series.sel(step=step)
    code = sum(
        (2 * row + here.correct) * (staged.pairs.kind == kind) for row, kind in enumerate(KINDS)
    )
    shades = [
        colour for kind in KINDS for colour in (_pale(_KIND_COLOURS[kind]), _KIND_COLOURS[kind])
    ]
    # Rasterized: viewers of SVG draw hairlines between the cells of a mesh.
    ax.pcolormesh(
        staged.pairs.y,
        staged.pairs.x,
        code,
        cmap=ListedColormap(shades),
        vmin=-0.5,
        vmax=len(shades) - 0.5,
        rasterized=True,
    )
    patches = [
        Patch(color=_KIND_COLOURS[kind], label=f"{kind}, {float(right):.0%} right")
        for kind, right in zip(KINDS, here.accuracy.values, strict=True)
        if np.isfinite(right)
    ]
    ax.legend(
        handles=patches,
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.18),
        ncols=3,
        columnspacing=0.8,
        handlelength=1,
    )
    ax.set(title=f"network, step {step} (pale: wrong)", xlabel="y", ylabel="x", aspect="equal")
    return ax


def common_to_rare(staged: Stages, ax: Axes) -> Axes:
    """Accuracy on the training pairs while memorising, common, rare and diagonal (Figure 16)."""
    series = staged.measured
    end = staged.memorised.step
    if end is not None:
        series = series.sel(step=series.step <= max(1.3 * end, 1))
    for group in GROUPS:
        values = series.group_accuracy.sel(group=group)
        if values.notnull().any():
            count = int((staged.pairs.group == group).sum())
            style = {"color": NETWORK["color"], "ls": _GROUP_STYLES[group], "marker": ".", "ms": 4}
            ax.plot(series.step, values, **style, label=f"network, {group} ({count} pairs)")
    guess = 1 / series.attrs["p"]
    ax.axhline(guess, **CHANCE, label=f"guess, 1/p = {guess:.3f}")
    if end is not None:
        ax.axvline(end, color="0.4", lw=0.8)
        ax.annotate(" memorised", (end, 0.6), fontsize="small", rotation=90, ha="left")
    ax.set(xlabel=STEPS, ylabel="accuracy on training pairs (fraction)", ylim=(-0.02, 1.02))
    ax.legend(fontsize="small", loc="lower right", handlelength=3)
    return ax


def weight_heatmap(maps: xr.Dataset, layer: str, step: int, ax: Axes, neurons: int = 40) -> Axes:
    """Fourier coefficients of one layer at one checkpoint (Figure 17).

    Parameters
    ----------
    maps : Dataset
        From `grokode.compare.grokking.stages.heatmaps`.
    layer : {"theta", "xi"}
    step : int
        One of its steps.
    ax : Axes
    neurons : int
        At most this many are drawn, evenly spread over all of them, which are sorted by winner.
    """
    rows = np.unique(np.linspace(0, maps.sizes["neuron"] - 1, neurons).astype(int))
    here = maps[layer].sel(step=step).isel(neuron=rows)
    fourier_heatmap(here.values, ax)
    name = str(maps.milestone.sel(step=step).item())
    ax.set_title(f"network: {LAYER_NAMES[layer]}, step {step} ({name})", fontsize="medium")
    return ax


def non_feature_decay(staged: Stages, fits: xr.Dataset, ax: Axes) -> Axes:
    """Size of the frequencies that did not win, over what decay alone would leave of them.

    Parameters
    ----------
    staged : Stages
    fits : Dataset
        From `grokode.compare.grokking.perturbed.non_feature_decay` of it.
    ax : Axes
    """
    series = staged.measured
    for layer, values in (("theta", series.rest_theta), ("xi", series.rest_xi)):
        ax.plot(series.step, values, color=LAYER_COLORS[layer], label=_network(layer))
    start = staged.checkpoint(staged.memorised.step)
    rate = fits.attrs["predicted"]
    if start is not None and rate > 0:
        after = series.step[series.step >= start]
        left = float(series.rest_theta.sel(step=start)) * np.exp(-rate * (after - start))
        shown = left > float(series.rest_theta.min()) / 100
        ax.plot(after[shown], left[shown], **THEORY, label="theory, exp(-rate · decay · steps)")
    ratios = fits.ratio.sel(window="after memorisation").values
    title = f"observed / predicted rate: {ratios[0]:.3f} in, {ratios[1]:.3f} out"
    ax.set_ylabel("waves that did not win (r.m.s., units of the weights)")
    return _finished(staged, ax, log=True, title=title if np.isfinite(ratios).all() else "")


def lottery_agreement(staged: Stages, lottery: xr.Dataset, ax: Axes) -> Axes:
    """Neurons whose leading frequency theory predicts, with the training mask and without.

    Parameters
    ----------
    staged : Stages
    lottery : Dataset
        From `grokode.compare.grokking.perturbed.perturbed_lottery`.
    ax : Axes
    """
    if lottery.attrs["reason"]:
        return say(lottery.attrs["reason"], ax)
    for variant, style in zip(lottery.variant.values, ("--", ":"), strict=True):
        here = lottery.sel(variant=variant)
        label = f"theory, neuron flow on {variant}: {float(here.winners):.3f} of the winners"
        ax.plot(here.step, here.agreement, color=THEORY["color"], ls=style, label=label)
    chance = lottery.attrs["chance"]
    ax.axhline(chance, **CHANCE, label=f"chance, {chance:.3f}")
    ax.set(ylabel="same leading frequency (fraction of neurons)", ylim=(0, 1.02))
    return _finished(staged, ax)


def coupling_map(couplings: xr.Dataset, ax: Axes) -> Axes:
    """Force at every other frequency over the own, off the diagonal of the masked Gram matrix.

    Parameters
    ----------
    couplings : Dataset
        From `grokode.compare.grokking.split.broken_orthogonality`.
    ax : Axes
    """
    off_diagonal = couplings.coupling.where(couplings.frequency != couplings.onto)
    mesh = ax.pcolormesh(
        couplings.onto,
        couplings.frequency,
        off_diagonal,
        cmap=SEQUENTIAL,
        vmin=0,
        # Over all pairs there is none, and the scale still needs an end.
        vmax=float(off_diagonal.max()) or 1.0,
        rasterized=True,
    )
    ax.figure.colorbar(mesh, ax=ax, label="theory: force at it over force at the own")
    ax.set(
        title=f"{couplings.attrs['pairs']} of {couplings.attrs['p'] ** 2} pairs",
        xlabel="other frequency",
        ylabel="neuron's frequency",
        aspect="equal",
    )
    return ax


def _finished(staged: Stages, ax: Axes, *, log: bool = False, title: str = "") -> Axes:
    """Legend, stages and, if there is anything to draw on one, a logarithmic axis."""
    if log and any((np.asarray(line.get_ydata()) > 0).any() for line in ax.get_lines()):
        ax.set_yscale("log")
        plain_log(ax.yaxis)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small", title=title, title_fontsize="small")
    if not staged.measured.sizes["step"]:
        ax.text(0.5, 0.5, "no checkpoint has finite weights", ha="center", transform=ax.transAxes)
    return shade_stages(staged, ax)


def _network(layer: str) -> str:
    return f"network, {LAYER_NAMES[layer]}"


def _pale(colour: str) -> tuple[float, float, float]:
    rgb = tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(0.8 + 0.2 * part for part in rgb)  # type: ignore[return-value]
