"""Pictures of `grokode.compare.logits`: the network's logits beside what theory gives them."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from grokode.compare.common.style import CHANCE, DIVERGING, NETWORK, THEORY, say

__all__ = [
    "frequency_scales",
    "logit_heatmap",
    "logit_row",
    "logit_scatter",
    "margin_histogram",
    "peak_heights",
]

# Where Proposition 1 has its peaks; the same marks everywhere.
_MARKS = {"x+y": "o", "2x": "s", "2y": "^"}
_KERNEL_NAMES = {"proposition_1": "Proposition 1", "relu_kernel": "ReLU kernel"}
_WEIGHTS = {"color": THEORY["color"], "linestyle": ":"}


def logit_heatmap(logits: xr.Dataset, source: str, x: int, ax: Axes) -> Axes:
    """Logits over y and output at one x, on a scale shared by network and theory (He, Figure 8).

    Proposition 1 has three lines here, which are marked: the answer x+y, and half as high 2x and
    2y, all mod p.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    source : {"network", "theory"}
    x : int
        The fixed first input.
    ax : Axes
    """
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    slices = logits[["network", "theory"]].sel(x=x)
    limit = max(float(abs(values).max()) for values in slices.values())
    mesh = ax.pcolormesh(
        logits.output,
        logits.y,
        slices[source],
        cmap=DIVERGING,
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    y = logits.y.values
    for name, outputs in _peak_outputs(x, y).items():
        ax.scatter(
            outputs % len(y),
            y,
            s=14,
            marker=_MARKS[name],
            facecolors="none",
            edgecolors="black",
            linewidths=0.6,
            label=name,
        )
    ax.legend(
        title="peaks of Proposition 1",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=3,
        fontsize="small",
        title_fontsize="small",
    )
    ax.figure.colorbar(mesh, ax=ax, label="centred logit")
    title = "Proposition 1" if source == "theory" else "network"
    ax.set(title=f"{title}, x = {x}", xlabel="output j", ylabel="y", aspect="equal")
    return ax


def logit_row(logits: xr.Dataset, x: int, y: int, ax: Axes) -> Axes:
    """Logits of one pair, network beside Proposition 1, with the peaks of the latter marked.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    x, y : int
        The pair.
    ax : Axes
    """
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    here = logits.sel(x=x, y=y)
    outputs = logits.output.values
    ax.bar(outputs, here.network, width=0.7, color=NETWORK["color"], label="network")
    ax.step(outputs, here.theory, where="mid", **THEORY, label="Proposition 1, fitted scale")
    top = 1.08 * float(max(here.network.max(), here.theory.max()))
    for name, peaks in _peak_outputs(x, np.array([y])).items():
        output = int(peaks[0] % len(outputs))
        ax.scatter(
            output,
            top,
            marker=_MARKS[name],
            facecolors="none",
            edgecolors="black",
            label=f"{name} = {output} (mod p)",
        )
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(title=f"x = {x}, y = {y}", xlabel="output j", ylabel="centred logit")
    _legend_above(ax)
    return ax


def logit_scatter(logits: xr.Dataset, ax: Axes) -> Axes:
    """Every logit of the network against Proposition 1 at the fitted scale."""
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    theory, network = logits.theory.values.ravel(), logits.network.values.ravel()
    ax.scatter(
        theory,
        network,
        s=2,
        alpha=0.15,
        color=NETWORK["color"],
        rasterized=True,
        label="network, one logit each",
    )
    ends = np.array([theory.min(), theory.max()])
    ax.plot(ends, ends, **THEORY, label="Proposition 1 exactly")
    ax.set(
        xlabel="Proposition 1, fitted scale (centred logit)",
        ylabel="network's centred logit",
        title=f"R² = {float(logits.r2):.3f}",
    )
    legend = ax.legend(fontsize="small")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return ax


def peak_heights(logits: xr.Dataset, ax: Axes) -> Axes:
    """Mean logit at each peak and in the background, with its spread, beside the prediction.

    The prediction is Proposition 1, or the ReLU kernel for a ReLU network: at the fitted scale, and
    at the scale computed from the weights, if the theory gives one for the activation.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    ax : Axes
    """
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    fitted = _own_kernel(logits)
    height = logits.peak_height
    at = np.arange(logits.sizes["peak"])
    ax.errorbar(
        at,
        height.sel(source="network"),
        logits.peak_spread.sel(source="network"),
        fmt="o",
        capsize=4,
        color=NETWORK["color"],
        label="network, mean ± standard deviation",
    )
    name = _KERNEL_NAMES[fitted]
    for source, style, label in (
        (fitted, THEORY, f"{name}, fitted scale"),
        ("weights", _WEIGHTS, f"{name}, scale from the weights"),
    ):
        values = height.sel(source=source).values
        if not np.isnan(values).all():
            ax.hlines(
                values,
                at - 0.35,
                at + 0.35,
                colors=style["color"],
                linestyles=style["linestyle"],
                label=label,
            )
    names = [str(peak).replace(" where ", "\n") for peak in logits.peak.values]
    names = [name.replace("background", "back-\nground") for name in names]
    ax.set_xticks(at, names)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlabel="output j (pairs x ≠ y unless said)", ylabel="centred logit")
    _legend_above(ax)
    return ax


def frequency_scales(logits: xr.Dataset, ax: Axes) -> Axes:
    """Scale c_k of every frequency: fitted to the logits, and computed from the weights.

    The kernel is that of Proposition 1, or the ReLU kernel for a ReLU network; equal scales are
    what the proposition assumes.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    ax : Axes
    """
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    own = logits.sel(kernel=_own_kernel(logits))
    frequency = logits.frequency.values
    ax.bar(frequency, own.frequency_scale, color=NETWORK["color"], label="network, fitted cₖ")
    if not np.isnan(own.weights_scale).all():
        ax.plot(
            frequency, own.weights_scale, **THEORY, marker="o", label="theory, cₖ of the weights"
        )
    name = _KERNEL_NAMES[_own_kernel(logits)]
    ax.axhline(float(own.uniform_scale), **CHANCE, label=f"{name}, one scale for all")
    ax.set(xlabel="frequency k", ylabel="scale cₖ (logits)")
    _legend_above(ax)
    return ax


def margin_histogram(logits: xr.Dataset, ax: Axes) -> Axes:
    """Margins of all pairs x != y, and the least of those predicted.

    Proposition 1 gives every such pair one margin, aNp/8. So does the ReLU kernel, for a ReLU
    network, if p is prime: then every x - y sees the same cosines in another order.

    Parameters
    ----------
    logits : Dataset
        From `grokode.compare.logits`.
    ax : Axes
    """
    if logits.attrs["reason"]:
        return say(logits.attrs["reason"], ax)
    kernel = _own_kernel(logits)
    margin = logits.margin.where(logits.x != logits.y)
    network = margin.sel(source="network").values.ravel()
    ax.hist(
        network[~np.isnan(network)], bins=40, color=NETWORK["color"], label="network, pairs x ≠ y"
    )
    name = "aNp/8" if kernel == "proposition_1" else _KERNEL_NAMES[kernel]
    for source, style, scale in (
        (kernel, THEORY, "fitted scale"),
        ("weights", _WEIGHTS, "scale from the weights"),
    ):
        least = float(margin.sel(source=source).min())
        if not np.isnan(least):
            ax.axvline(least, **style, label=f"{name}, {scale}: {least:.3g}")
    ax.axvline(0, **CHANCE, label="wrong answers below")
    ax.set(xlabel="margin (right answer minus best other, logits)", ylabel="pairs")
    _legend_above(ax)
    return ax


def _peak_outputs(x: int, y: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Outputs of the peaks of the pairs (x, y), not yet reduced mod p."""
    return {"x+y": x + y, "2x": np.full(y.shape, 2 * x), "2y": 2 * y}


def _own_kernel(logits: xr.Dataset) -> str:
    return "relu_kernel" if logits.attrs["activation"] == "relu" else "proposition_1"


def _legend_above(ax: Axes) -> None:
    """A legend over the data, with the room it needs."""
    low, high = ax.get_ylim()
    rows = len(ax.get_legend_handles_labels()[1])
    ax.set_ylim(low, high + (0.06 + 0.09 * rows) * (high - low))
    ax.legend(fontsize="small", loc="upper right")
