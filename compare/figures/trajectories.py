"""Pictures of `grokode.compare.trajectories`: theory's tickets over the network's."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.figures.style import CHANCE, NETWORK, STEPS, TEST, THEORY, plain_log
from grokode.compare.figures.winners import rung_style
from grokode.compare.trajectories import PLATEAU_DROP, TOLERANCES
from grokode.theory import fourier

__all__ = ["accuracy_curve", "error_curves", "errors_by_rung", "loss_curve", "tickets"]

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
    ax.set(xlabel=STEPS, ylabel="all β, theory against network\n(relative L₂)")
    ax.legend(fontsize="small")
    return ax


def loss_curve(metrics: xr.Dataset, p: int, ax: Axes) -> Axes:
    """Training loss over steps, and test loss where there are test pairs, with log p beside it."""
    metrics = _thinned(metrics)
    ax.plot(metrics.step, metrics.train_loss, **NETWORK, label="network, training loss")
    if metrics.test_loss.notnull().any():
        ax.plot(metrics.step, metrics.test_loss, **TEST, label="network, test loss")
    ax.axhline(np.log(p), **CHANCE, label="log p")
    ax.set(xlabel=STEPS, ylabel="cross-entropy (nats)", ylim=(0, None))
    ax.legend(fontsize="small")
    return ax


def accuracy_curve(metrics: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy over steps on training and test pairs, where it was logged."""
    for name, look, pairs in (
        ("train_accuracy", NETWORK, "training"),
        ("test_accuracy", TEST, "test"),
    ):
        known = _thinned(metrics[[name]].dropna("step"))[name]
        if known.size:
            ax.plot(known.step, known, **look, label=f"network, {pairs} pairs")
            ax.legend(fontsize="small")
    ax.set(xlabel=STEPS, ylabel="accuracy (fraction of pairs)", ylim=(0, 1.02))
    return ax


def _thinned(metrics: xr.Dataset) -> xr.Dataset:
    """Every nth logged step: more than 2000 are more than a figure has dots, and slow to draw."""
    return metrics.isel(step=slice(None, None, -(-metrics.sizes["step"] // 2000) or 1))


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
