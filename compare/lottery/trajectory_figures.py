"""Pictures of `grokode.compare.trajectories`: theory's tickets over the network's."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import CHANCE, NETWORK, STEPS, THEORY, plain_log
from grokode.compare.lottery.trajectories import PLATEAU_DROP, TOLERANCES
from grokode.compare.lottery.winner_figures import predictor_style
from grokode.theory import fourier

__all__ = ["error_curves", "errors_by_predictor", "tickets"]

_QUANTITIES = {
    "alpha": (fourier.alpha, "input magnitude αₖ (units of the weights)"),
    "beta": (fourier.beta, "output magnitude βₖ (units of the weights)"),
    "phi": (fourier.phi, "input phase φₖ (rad)"),
    "psi": (fourier.psi, "output phase ψₖ (rad)"),
    "misalignment": (fourier.misalignment, "misalignment Dₖ (rad)"),
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
        ax.set_yticks([-np.pi, 0, np.pi], ["-π", "0", "π"])
    if quantity == "misalignment":
        ax.axhline(0, **CHANCE, linewidth=0.8)
    elif not is_angle:
        # Theory diverges at its blow-up; the network's range is what can be compared.
        ax.set_ylim(0, 1.15 * float(values.sel(source="network").max()))
    ax.set(xlabel=STEPS, ylabel=label)
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
        "β, relative L₂": (errors.beta_error, "--"),
        "α, relative L₂": (errors.alpha_error, "-."),
        "neurons with another leader": (1 - errors.leader_agreement, ":"),
    }
    for label, (values, line) in curves.items():
        # A log axis has no zero: agreement to rounding is a gap in the curve.
        shown = values.where(values > _ROUNDING)
        ax.semilogy(errors.step, shown, line, color=THEORY["color"], label=label)
    _mark_plateau_end(errors.loss_drop, ax)
    plain_log(ax.yaxis)
    ax.set(xlabel=STEPS, ylabel="theory against network (fraction)")
    ax.legend(fontsize="small")
    return ax


def errors_by_predictor(errors: xr.Dataset, ax: Axes) -> Axes:
    """Relative error of all beta over steps, a curve to each predictor that follows the training.

    Parameters
    ----------
    errors : Dataset
        From `grokode.compare.lottery.trajectories.predictor_errors`.
    ax : Axes
        The tolerances of `grokode.compare.lottery.trajectories.partings` are drawn as thin lines.
    """
    for predictor in errors.predictor.values:
        curve = errors.beta_error.sel(predictor=predictor)
        label = f"theory, {str(predictor).replace('_', ' ')}"
        if errors.outside.sel(predictor=predictor).item():
            label += " (outside its assumption)"
        ax.semilogy(
            errors.step,
            curve.where(curve > _ROUNDING),
            **predictor_style(str(predictor)),
            label=label,
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
    _mark_plateau_end(errors.loss_drop.isel(predictor=0), ax)
    plain_log(ax.yaxis)
    ax.set(xlabel=STEPS, ylabel="all β, theory against network\n(relative L₂)")
    ax.legend(fontsize="small")
    return ax


def _mark_plateau_end(loss_drop: xr.DataArray, ax: Axes) -> None:
    left = loss_drop > PLATEAU_DROP
    if left.any():
        index = int(left.values.argmax())
        step = int(loss_drop.step[index])
        early = index < loss_drop.size / 2
        ax.axvline(step, **CHANCE)
        ax.annotate(
            f" loss {PLATEAU_DROP:.1%} below log p ",
            (step, 0.02),
            xycoords=("data", "axes fraction"),
            ha="left" if early else "right",
            color=CHANCE["color"],
        )


def _cut_at_wraps(angles: np.ndarray) -> np.ndarray:
    """NaN where a curve jumps across +-pi, so that no vertical line is drawn there."""
    jumps = np.abs(np.diff(angles, prepend=angles[0])) > np.pi
    return np.where(jumps, np.nan, angles)
