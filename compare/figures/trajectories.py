"""Pictures of `grokode.compare.trajectories`: theory's tickets over the network's."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.figures.style import CHANCE, NETWORK, THEORY
from grokode.theory import fourier

__all__ = ["error_curves", "loss_curve", "tickets"]

_QUANTITIES = {
    "alpha": (fourier.alpha, r"input magnitude $\alpha_k$"),
    "beta": (fourier.beta, r"output magnitude $\beta_k$"),
    "misalignment": (fourier.misalignment, r"misalignment $D_k$ (rad)"),
}


def tickets(pair: xr.Dataset, neuron: int, quantity: str, ax: Axes) -> Axes:
    """All frequencies of one neuron over steps, theory over network; the winner is drawn bold.

    Parameters
    ----------
    pair : Dataset
        From `grokode.compare.trajectories`.
    neuron : int
        Coordinate of the neuron.
    quantity : {"alpha", "beta", "misalignment"}
    ax : Axes

    Raises
    ------
    ValueError
        For an unknown quantity.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}, got {quantity!r}")
    compute, label = _QUANTITIES[quantity]
    of_neuron = pair.sel(neuron=neuron)
    values = compute(of_neuron)
    winner = int(fourier.leading_frequency(of_neuron.sel(source="network").isel(step=-1)))
    for source, look in (("network", NETWORK), ("theory", THEORY)):
        for frequency in values.frequency.values:
            curve = values.sel(source=source, frequency=frequency)
            bold = frequency == winner
            ax.plot(
                pair.step,
                _cut_at_wraps(curve.values) if quantity == "misalignment" else curve,
                **look,
                linewidth=2.5 if bold else 0.9,
                alpha=1 if bold else 0.6,
                label=f"{source}, winner k = {frequency}" if bold else None,
            )
    if quantity == "misalignment":
        ax.set_ylim(-np.pi, np.pi)
        ax.set_yticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
        ax.axhline(0, **CHANCE, linewidth=0.8)
    else:
        # Theory diverges at its blow-up; the network's range is what can be compared.
        ax.set_ylim(0, 1.15 * float(values.sel(source="network").max()))
    ax.set(xlabel="step", ylabel=label)
    ax.legend(loc="best", fontsize="small")
    return ax


def error_curves(errors: xr.Dataset, ax: Axes) -> Axes:
    """Distance of theory from network over steps, all tickets, and disagreement on leaders.

    Parameters
    ----------
    errors : Dataset
        From `grokode.compare.trajectory_errors`.
    ax : Axes
    """
    curves = {
        r"$\beta$, relative $L_2$": (errors.beta_error, "#D55E00", "-"),
        r"$\alpha$, relative $L_2$": (errors.alpha_error, "#E69F00", "-"),
        "neurons with another leader": (1 - errors.leader_agreement, "#009E73", "-."),
    }
    for label, (values, color, line) in curves.items():
        # A log axis has no zero: exact agreement is a gap in the curve.
        ax.semilogy(errors.step, values.where(values > 0), line, color=color, label=label)
    left = errors.loss_drop > 0.005
    if left.any():
        step = int(errors.step[int(left.values.argmax())])
        ax.axvline(step, **CHANCE)
        ax.annotate(
            "loss 0.5% below log p ",
            (step, 0.02),
            xycoords=("data", "axes fraction"),
            ha="right",
            color=CHANCE["color"],
        )
    ax.set(xlabel="step", ylabel="theory against network (fraction)")
    ax.legend(fontsize="small")
    return ax


def loss_curve(metrics: xr.Dataset, p: int, ax: Axes) -> Axes:
    """Training loss over steps, and test loss where there are test pairs, with log p beside it."""
    ax.plot(metrics.step, metrics.train_loss, **NETWORK, label="network, training loss")
    if metrics.test_loss.notnull().any():
        ax.plot(metrics.step, metrics.test_loss, color="#56B4E9", label="network, test loss")
    ax.axhline(np.log(p), **CHANCE, label="log p")
    ax.set(xlabel="step", ylabel="cross-entropy (nats)", ylim=(0, None))
    ax.legend(fontsize="small")
    return ax


def _cut_at_wraps(angles: np.ndarray) -> np.ndarray:
    """NaN where a curve jumps across +-pi, so that no vertical line is drawn there."""
    jumps = np.abs(np.diff(angles, prepend=angles[0])) > np.pi
    return np.where(jumps, np.nan, angles)
