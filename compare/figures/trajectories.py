"""Pictures of `grokode.compare.trajectories`: theory's tickets over the network's."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.figures.style import CHANCE, NETWORK, THEORY
from grokode.compare.figures.winners import plain_log, rung_style
from grokode.compare.trajectories import TOLERANCES
from grokode.theory import fourier

__all__ = ["error_curves", "errors_by_rung", "loss_curve", "tickets"]

_QUANTITIES = {
    "alpha": (fourier.alpha, r"input magnitude $\alpha_k$"),
    "beta": (fourier.beta, r"output magnitude $\beta_k$"),
    "phi": (fourier.phi, r"input phase $\phi_k$ (rad)"),
    "psi": (fourier.psi, r"output phase $\psi_k$ (rad)"),
    "misalignment": (fourier.misalignment, r"misalignment $D_k$ (rad)"),
}

_ROUNDING = 1e-10


def tickets(pair: xr.Dataset, neuron: int, quantity: str, ax: Axes) -> Axes:
    """All frequencies of one neuron over steps, theory over network; the winner is drawn bold.

    Parameters
    ----------
    pair : Dataset
        From `grokode.compare.trajectories`.
    neuron : int
        Coordinate of the neuron.
    quantity : {"alpha", "beta", "phi", "psi", "misalignment"}
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
    is_angle = quantity in ("phi", "psi", "misalignment")
    winner = int(fourier.leading_frequency(of_neuron.sel(source="network").isel(step=-1)))
    for source, look in (("network", NETWORK), ("theory", THEORY)):
        for frequency in values.frequency.values:
            curve = values.sel(source=source, frequency=frequency)
            bold = frequency == winner
            ax.plot(
                pair.step,
                _cut_at_wraps(curve.values) if is_angle else curve,
                **look,
                linewidth=2.5 if bold else 0.9,
                alpha=1 if bold else 0.6,
                label=f"{source}, winner k = {frequency}" if bold else None,
            )
    if is_angle:
        ax.set_ylim(-np.pi, np.pi)
        ax.set_yticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
    if quantity == "misalignment":
        ax.axhline(0, **CHANCE, linewidth=0.8)
    elif not is_angle:
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
        r"$\beta$, relative $L_2$": (errors.beta_error, "--"),
        r"$\alpha$, relative $L_2$": (errors.alpha_error, "-."),
        "neurons with another leader": (1 - errors.leader_agreement, ":"),
    }
    for label, (values, line) in curves.items():
        # A log axis has no zero: agreement to rounding is a gap in the curve.
        shown = values.where(values > _ROUNDING)
        ax.semilogy(errors.step, shown, line, color=THEORY["color"], label=label)
    _mark_plateau_end(errors.loss_drop, ax)
    plain_log(ax.yaxis)
    ax.set(xlabel="step", ylabel="theory against network (fraction)")
    ax.legend(fontsize="small")
    return ax


def errors_by_rung(errors: xr.Dataset, ax: Axes) -> Axes:
    """Relative error of all beta over steps, one curve for each rung that follows the training.

    Parameters
    ----------
    errors : Dataset
        From `grokode.compare.trajectories.rung_errors`.
    ax : Axes
        The tolerances of `grokode.compare.trajectories.partings` are drawn as thin lines.
    """
    for rule in errors.rule.values:
        curve = errors.beta_error.sel(rule=rule)
        label = f"theory, {str(rule).replace('_', ' ')}"
        if errors.outside.sel(rule=rule).item():
            label += " (outside its assumption)"
        ax.semilogy(
            errors.step, curve.where(curve > _ROUNDING), **rung_style(str(rule)), label=label
        )
    for tolerance in TOLERANCES:
        ax.axhline(tolerance, color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(
            f"{tolerance:.0%}",
            (1, tolerance),
            (3, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color="0.5",
        )
    _mark_plateau_end(errors.loss_drop.isel(rule=0), ax)
    plain_log(ax.yaxis)
    ax.set(xlabel="step", ylabel=r"all $\beta$, theory against network" "\n" "(relative $L_2$)")
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


def _mark_plateau_end(loss_drop: xr.DataArray, ax: Axes) -> None:
    left = loss_drop > 0.005
    if left.any():
        index = int(left.values.argmax())
        step = int(loss_drop.step[index])
        early = index < loss_drop.size / 2
        ax.axvline(step, **CHANCE)
        ax.annotate(
            " loss 0.5% below log p ",
            (step, 0.02),
            xycoords=("data", "axes fraction"),
            ha="left" if early else "right",
            color=CHANCE["color"],
        )


def _cut_at_wraps(angles: np.ndarray) -> np.ndarray:
    """NaN where a curve jumps across +-pi, so that no vertical line is drawn there."""
    jumps = np.abs(np.diff(angles, prepend=angles[0])) > np.pi
    return np.where(jumps, np.nan, angles)
