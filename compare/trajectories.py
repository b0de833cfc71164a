"""Theory's tickets laid over the network's, step by step.

Both come from the same first checkpoint: the four-variable flow moves its spectrum, the network was
trained from it. Steps are converted to flow time by the training rule, in one place
(`grokode.theory.rule.TrainingRule.time_per_step`).
"""

import numpy as np
import xarray as xr

from grokode.compare.observe import training_rule
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.exact import blowup_time
from grokode.theory.predictors import ticket_flow

__all__ = ["parting_step", "trajectories", "trajectory_errors"]


def trajectories(run: Run) -> xr.Dataset:
    """Spectra of theory and network over the run's checkpoints.

    Parameters
    ----------
    run : Run
        Trained with SGD and the quadratic activation, the flow's assumption.

    Returns
    -------
    Dataset
        A spectrum with dimensions ``source, step, neuron, frequency``; source is ``theory`` or
        ``network``. Theory's tickets are NaN from their blow-up time on. ``train_loss (step)`` is
        the network's, and ``initial_blowup_time (neuron, frequency)`` theory's from the start.

    Raises
    ------
    ValueError
        If the run was not trained by SGD with the quadratic activation.
    """
    network = run.spectra().load()
    rule = training_rule(run)
    initial = network.isel(step=0, drop=True)
    elapsed = network.step.values - network.step.values[0]
    theory = ticket_flow(initial, rule, elapsed)
    both = xr.concat(
        [theory.assign_coords(step=network.step)[list(network.data_vars)], network],
        "source",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    ).assign_coords(source=["theory", "network"])
    return both.assign(
        train_loss=run.metrics.train_loss.load().reindex(step=network.step),
        initial_blowup_time=blowup_time(initial.theta_hat, initial.xi_hat, rule.p),
    )


def trajectory_errors(pair: xr.Dataset) -> xr.Dataset:
    """How far theory is from the network at every step, over all tickets.

    Parameters
    ----------
    pair : Dataset
        From `trajectories`.

    Returns
    -------
    Dataset over ``step``
        ``alpha_error, beta_error``: relative L2 distance over all tickets, NaN once one of
        theory's has blown up. ``misalignment_error``: mean absolute difference in radians,
        tickets weighted by the network's alpha^2 beta, over the tickets that have not blown up.
        ``leader_agreement``: fraction of neurons whose leading frequency is the same; a neuron
        with tickets past their blow-up leads with the first to blow up. ``blown_up``: fraction of
        theory's tickets past their blow-up. ``loss_drop``: fraction by which the training loss is
        below log p.

    """
    theory, network = (pair.sel(source=name, drop=True) for name in ("theory", "network"))
    beta = fourier.beta(theory)
    blown_up = beta.isnull()
    turn = 1j * (fourier.misalignment(theory) - fourier.misalignment(network))
    gap = abs(xr.apply_ufunc(lambda angle: np.angle(np.exp(angle)), turn))
    weight = fourier.alpha(network) ** 2 * fourier.beta(network)
    first = pair.initial_blowup_time.idxmin("frequency")
    # idxmax takes no NaN; where a ticket has blown up, the first to do so leads.
    leads = xr.where(blown_up.any("frequency"), first, beta.fillna(0).idxmax("frequency"))
    tickets = ("neuron", "frequency")
    return xr.Dataset(
        {
            "alpha_error": _relative_distance(fourier.alpha(theory), fourier.alpha(network)),
            "beta_error": _relative_distance(beta, fourier.beta(network)),
            "misalignment_error": gap.weighted(weight.where(~blown_up, 0)).mean(tickets),
            "leader_agreement": (leads == fourier.leading_frequency(network)).mean("neuron"),
            "blown_up": blown_up.mean(tickets),
            "loss_drop": 1 - pair.train_loss / np.log(pair.attrs["p"]),
        }
    )


def parting_step(errors: xr.Dataset, tolerance: float) -> int | None:
    """First step at which all beta differ by more than the tolerance, or None if there is none.

    Parameters
    ----------
    errors : Dataset
        From `trajectory_errors`.
    tolerance : float
        Relative L2 distance; a blown-up theory counts as parted.
    """
    parted = ~(errors.beta_error <= tolerance)
    return int(errors.step[int(parted.values.argmax())]) if parted.any() else None


def _relative_distance(theory: xr.DataArray, network: xr.DataArray) -> xr.DataArray:
    tickets = ("neuron", "frequency")
    distance = ((theory - network) ** 2).sum(tickets, skipna=False)
    return (distance / (network**2).sum(tickets)) ** 0.5
