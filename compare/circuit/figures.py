"""Figures of the circuit: each takes what was measured and draws it on the axes given."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.circuit.measures import CLUSTERED
from grokode.compare.circuit.progress import Phase
from grokode.compare.common.style import (
    AMBER,
    GREEN,
    NETWORK,
    PURPLE,
    STEPS,
    TEST,
    THEORY,
    plain_log,
    say,
)

__all__ = [
    "frequency_norms_figure",
    "neurons_figure",
    "progress_figure",
    "right_logits_figure",
    "weights_figure",
]

_LAYERS = {
    "embedding_norm": ("embedding", GREEN, "o"),
    "output_norm": ("neuron-logit map", NETWORK["color"], "s"),
    "logit_norm": ("logits", THEORY["color"], "^"),
}
_PHASES = ("0.95", "0.9", "0.83")


def frequency_norms_figure(measured: xr.Dataset, ax: Axes) -> Axes:
    """Norm of every frequency in embedding, neuron-logit map and logits, each of its largest.

    Parameters
    ----------
    measured : Dataset
        From `grokode.compare.circuit.measures.circuit`.
    ax : Axes
    """
    for k in measured.key.values:
        ax.axvline(k, color="0.88", linewidth=5, zorder=0)
    for name, (label, color, marker) in _LAYERS.items():
        norms = measured[name]
        if np.isfinite(norms).all():
            share = norms / norms.max()
            ax.plot(
                measured.frequency,
                share,
                marker,
                color=color,
                markersize=4,
                label=label,
                alpha=0.85,
            )
    ax.axhline(1 / 4, color="0.5", linestyle=":", linewidth=1)
    ax.set(xlabel="frequency", ylabel="norm / largest norm", ylim=(0, 1.05))
    _legend(ax, columns=3)
    return ax


def neurons_figure(measured: xr.Dataset, ax: Axes) -> Axes:
    """Share of every neuron's variance that its best frequency explains, sorted."""
    share = np.sort(measured.neuron_share.values)[::-1]
    if not len(share):
        return say("the network has no neurons, attention only", ax)
    ax.plot(np.arange(1, len(share) + 1), share, **NETWORK)
    ax.axhline(CLUSTERED, color="0.5", linestyle=":", linewidth=1)
    ax.set(
        xlabel="neurons, best first",
        ylabel="variance explained",
        ylim=(0, 1.02),
    )
    return ax


def right_logits_figure(measured: xr.Dataset, ax: Axes) -> Axes:
    """R² of clock and pizza of each key's circle alone, and of all logits together."""
    keys = [str(k) for k in measured.key.values]
    places = np.arange(len(keys) + 1)
    styles = {"clock": (NETWORK["color"], -0.18), "pizza": (THEORY["color"], 0.18)}
    for form, (color, offset) in styles.items():
        whole = float(measured.kernel_r2.sel(form=form))
        values = [*measured.circle_r2.sel(form=form).values, whole]
        ax.bar(places + offset, values, 0.34, color=color, label=form)
    ax.axvline(len(keys) - 0.5, color="0.7", linewidth=1)
    ax.set_xticks(places, [*keys, "all"])
    ax.set(xlabel="frequency left in the embedding", ylabel="R²", ylim=(0, 1.02))
    _legend(ax, columns=2)
    return ax


def progress_figure(series: xr.Dataset, phases: dict[str, Phase], ax: Axes) -> Axes:
    """Losses over training with restricted and excluded loss, and the phases behind them.

    Parameters
    ----------
    series : Dataset
        From `grokode.compare.circuit.progress.progress`.
    phases : dict of Phase
    ax : Axes
    """
    step = series.step.values
    _shade(phases, ax, int(step[-1]))
    for name, label, style in (
        ("train_loss", "training pairs", NETWORK),
        ("test_loss", "test pairs", TEST | {"linewidth": 1.6}),
        ("restricted_loss", "restricted, all pairs", THEORY),
        ("excluded_loss", "excluded, training pairs", {"color": PURPLE, "linestyle": "-."}),
    ):
        ax.plot(step, series[name], label=label, **style)
    ax.set_yscale("log")
    ax.set(xlabel=STEPS, ylabel="loss (nats)", xlim=(step[0], step[-1]))
    plain_log(ax.yaxis)
    _legend(ax, columns=2)
    return ax


def weights_figure(series: xr.Dataset, phases: dict[str, Phase], ax: Axes) -> Axes:
    """Sum of squared parameters, and the Gini coefficients, over training."""
    step = series.step.values
    _shade(phases, ax, int(step[-1]))
    ax.plot(step, series.sum_squares, label="sum of squares", **NETWORK)
    ax.set(xlabel=STEPS, ylabel="sum of squared parameters", xlim=(step[0], step[-1]))
    ax.set_ylim(0)
    beside = ax.twinx()
    beside.plot(step, series.gini_embedding, color=GREEN, linestyle="--", label="Gini, embedding")
    if np.isfinite(series.gini_output).all():
        beside.plot(
            step, series.gini_output, color=AMBER, linestyle="-.", label="Gini, neuron-logit map"
        )
    beside.set(ylabel="Gini coefficient", ylim=(0, 1))
    _legend(ax, beside, columns=3)
    return ax


def _legend(*axes: Axes, columns: int) -> None:
    """One legend above the first axes, for the lines of all."""
    handles, labels = [], []
    for ax in axes:
        more = ax.get_legend_handles_labels()
        handles += more[0]
        labels += more[1]
    axes[0].legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=7.5,
        columnspacing=1.0,
        handletextpad=0.4,
        borderpad=0.2,
    )


def _shade(phases: dict[str, Phase], ax: Axes, last: int) -> None:
    for (name, phase), shade in zip(phases.items(), _PHASES, strict=True):
        if phase.start is not None and phase.end is not None:
            ax.axvspan(phase.start, phase.end, color=shade, zorder=0, linewidth=0)
            narrow = phase.end - phase.start < 0.2 * last
            ax.text(
                (phase.start + phase.end) / 2,
                0.03,
                name.replace("_", " "),
                transform=ax.get_xaxis_transform(),
                ha="center",
                va="bottom",
                rotation=90 if narrow else 0,
                fontsize=7,
                color="0.35",
            )
