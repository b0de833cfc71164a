"""Pictures of `grokode.compare.mechanism.measures`: Observations 1 to 4 on one network."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import (
    CHANCE,
    LAYER_COLORS,
    LAYER_NAMES,
    NETWORK,
    STEPS,
    THEORY,
    fourier_heatmap,
    say,
)

__all__ = [
    "activation_swap_bars",
    "basis_heatmap",
    "leakage_bars",
    "participation_histogram",
    "preservation_curves",
    "weights_with_cosine",
]
_FORMULAS = {
    "abs": "|z|",
    "quadratic": "z²",
    "quartic": "z⁴",
    "softplus2": "softplus(2z)",
    "exp": "exp(z)",
    "relu": "ReLU(z)",
    "gelu": "GELU(z)",
    "identity": "z",
    "cubic": "z³",
}


def weights_with_cosine(fits: xr.Dataset, neuron: int, layer: str, ax: Axes) -> Axes:
    """One neuron's weights in one layer with the cosine of its winner.

    Parameters
    ----------
    fits : Dataset
        From `grokode.compare.mechanism.measures.cosine_fits`.
    neuron : int
    layer : {"theta", "xi"}
    ax : Axes
    """
    here = fits.sel(neuron=neuron, layer=layer)
    x = fits.residue.values
    frequency = int(here.frequency)
    if frequency:
        fine = np.linspace(0, len(x) - 1, 400)
        # The cosine between the residues, from its values at them.
        turn = np.exp(2j * np.pi * frequency / len(x) * fine)
        wave = (
            2 / len(x) * (here.cosine.values * np.exp(-2j * np.pi * frequency * x / len(x))).sum()
        )
        ax.plot(fine, (wave * turn).real, **THEORY, label=f"theory: cosine, k = {frequency}")
        ax.set_title(f"neuron {neuron}: R² = {float(here.r2):.3f}", fontsize="medium")
    else:
        ax.set_title(f"neuron {neuron}: no wave in both layers", fontsize="medium")
    ax.plot(x, here.weights, color=NETWORK["color"], marker="o", ms=3.5, lw=0.8, label="network")
    ax.set(
        xlabel="x (residue)" if layer == "theta" else "j (residue)",
        ylabel=LAYER_NAMES[layer],
    )
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.2 * (high - low))
    ax.legend(fontsize="small", loc="upper center", ncols=2)
    return ax


def basis_heatmap(coefficients: xr.Dataset, layer: str, ax: Axes) -> Axes:
    """Weights of one layer in the Fourier basis, neurons sorted by winner.

    Parameters
    ----------
    coefficients : Dataset
        From `grokode.compare.mechanism.measures.basis_coefficients`.
    layer : {"theta", "xi"}
    ax : Axes
    """
    fourier_heatmap(coefficients.coefficient.sel(layer=layer).values, ax)
    ax.set_title(f"network: {LAYER_NAMES[layer]}")
    return ax


def participation_histogram(sparsity: xr.Dataset, ax: Axes) -> Axes:
    """Inverse participation ratios of the neurons in both layers (Observation 1).

    Parameters
    ----------
    sparsity : Dataset
        From `grokode.compare.mechanism.measures.sparsity` of one checkpoint.
    ax : Axes
    """
    known = {
        layer: values[np.isfinite(values)]
        for layer in LAYER_NAMES
        for values in [sparsity.participation.sel(layer=layer).values]
    }
    if not any(values.size for values in known.values()):
        return say("no neuron has a wave", ax)
    ax.hist(
        list(known.values()),
        bins=list(np.linspace(0, 1, 41)),
        color=[LAYER_COLORS[layer] for layer in known],
        label=[f"network: {LAYER_NAMES[layer]}" for layer in known],
        histtype="stepfilled",
        alpha=0.7,
    )
    ax.axvline(1, **THEORY, label="theory: one frequency")
    ax.axvline(sparsity.attrs["random"], **CHANCE, label="random weights")
    ax.set(
        xlim=(0, 1.02), xlabel="inverse participation ratio over the frequencies", ylabel="neurons"
    )
    ax.legend(fontsize="small", loc="best")
    return ax


def leakage_bars(leakage: xr.Dataset, layer: str, ax: Axes) -> Axes:
    """Magnitudes at the harmonics of each neuron's frequency, with what theories give (ReLU).

    Parameters
    ----------
    leakage : Dataset
        From `grokode.compare.mechanism.leakage.harmonic_leakage`.
    layer : {"theta", "xi"}
    ax : Axes
    """
    if leakage.attrs["reason"]:
        return say(leakage.attrs["reason"], ax)
    here = leakage.sel(layer=layer)
    low, middle, high = (here.ratio_quantile.isel(quantile=row).values for row in range(3))
    r = leakage.harmonic.values
    ax.bar(
        r,
        middle,
        width=0.6,
        color=LAYER_COLORS[layer],
        yerr=(middle - low, high - middle),
        error_kw={"lw": 0.8, "capsize": 2},
        label="network: median and quartiles",
    )
    marks = {"color": THEORY["color"], "ls": "none", "ms": 16, "mew": 2}
    ax.plot(r, here.grown, marker="_", **marks, label="theory: ReLU neuron as it grows")
    ax.plot(
        r, here.gradient, marker="x", **(marks | {"ms": 6}), label="theory: ReLU gradient alone"
    )
    if np.isfinite(here.published).any():
        ax.plot(
            r,
            here.published,
            marker="D",
            ms=5,
            ls="none",
            mec="black",
            mfc="none",
            label="published for ReLU: 1/9, 1/25",
        )
    top = float(np.nanmax([high.max(), here.gradient.max()]))
    ax.set(
        ylim=(0, 1.5 * top),
        xlabel="harmonic r",
        xticks=r,
        ylabel="magnitude at rk over that at k",
        title=LAYER_NAMES[layer],
    )
    ax.legend(fontsize="small", loc="upper right")
    return ax


def preservation_curves(history: xr.Dataset, ax: Axes) -> Axes:
    """Share of each neuron's energy that stays on its first frequency.

    Parameters
    ----------
    history : Dataset
        From `grokode.compare.mechanism.measures.mechanism_history`.
    ax : Axes
    """
    if history.sizes["step"] < 2:
        return say("one checkpoint: nothing can be compared over steps", ax)
    share = history.initial_share
    known = np.isfinite(share.values).any(-1).all(-1)
    if not known.any():
        return say(str(history.reason.values[0]), ax)
    kept = share.isel(step=known)
    steps = history.step.values[known]
    for layer, color in LAYER_COLORS.items():
        low, middle, high = np.nanquantile(kept.sel(layer=layer).values, (0.05, 0.5, 0.95), axis=1)
        ax.plot(steps, middle, color=color, label=f"network: {LAYER_NAMES[layer]}, median")
        ax.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
    ax.plot(
        steps,
        history.same_leader.values[known],
        color="black",
        lw=1,
        label="network: neurons it still leads",
    )
    if history.attrs["initial"] == "single_frequency":
        ax.axhline(1, **THEORY, label="theory: kept (quadratic network)")
    missing = int((~known).sum())
    title = "bands: 5% to 95% of the neurons"
    if missing:
        title += f"; {missing} of {len(known)} checkpoints missing"
    ax.set(
        ylim=(-0.03, 1.6),
        xlabel=STEPS,
        ylabel="share on the first frequency (fraction)",
        yticks=np.linspace(0, 1, 6),
        title=title,
    )
    ax.title.set_fontsize("medium")
    ax.legend(fontsize="small", loc="upper right")
    return ax


def activation_swap_bars(swap: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy of one set of weights under each activation, beside the published ones.

    Parameters
    ----------
    swap : Dataset
        From `grokode.compare.mechanism.measures.activation_swap`.
    ax : Axes
    """
    names = [str(name) for name in swap.activation.values]
    accuracy = 100 * swap.accuracy.values
    ax.barh(
        [_FORMULAS.get(name, name) for name in names],
        np.nan_to_num(accuracy),
        color=NETWORK["color"],
        height=0.6,
        label="network",
    )
    for row, (reason, value) in enumerate(zip(swap.reason.values, accuracy, strict=True)):
        ax.text(104, row, reason or f"{value:.1f}%", va="center", fontsize="small")
    ax.plot(
        100 * swap.published.values,
        np.arange(len(names)),
        marker="D",
        ms=5,
        ls="none",
        mec="black",
        mfc="none",
        label="published, ReLU network",
    )
    chance = 100 * swap.attrs["chance"]
    ax.axvline(chance, **CHANCE, label=f"chance {chance:.1f}%")
    ax.invert_yaxis()
    ax.set(xlim=(0, 122), xticks=range(0, 101, 20), xlabel="accuracy over all pairs (%)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax
