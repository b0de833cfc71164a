"""Theory's tickets laid over the network's, step by step, by every predictor that follows it.

Both come from the same first checkpoint: a flow moves its spectrum, the network was trained from
it. Steps are converted to flow time by the training rule, in one place
(`grokode.theory.rule.TrainingRule.time_per_step`).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_measured
from grokode.compare.common.missing import NotMeasured
from grokode.compare.lottery.ladder import Ladder, current_leaders, ladder
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.predictors import PREDICTORS

__all__ = [
    "PLATEAU_DROP",
    "TOLERANCES",
    "parting_step",
    "partings",
    "partings_json",
    "predictor_errors",
    "trajectories",
    "trajectory_errors",
]

_TICKETS = ("theta_hat", "xi_hat", "theta_mean", "xi_mean")

PLATEAU_DROP = 0.005
"""Fraction by which the loss may be below log p and still count as on its plateau."""

TOLERANCES = (0.01, 0.05, 0.2)
"""Relative errors of all beta at which theory is said to leave the network."""


def trajectories(
    run: Run, predictor: str = "ticket_flow", *, climbed: Ladder | None = None
) -> xr.Dataset:
    """Spectra of theory and network over the run's checkpoints.

    alpha, beta, phi, psi and misalignment of any ticket are read off with `grokode.theory.fourier`.

    Parameters
    ----------
    run : Run
        Of one seed.
    predictor : str
        Predictor that follows a training at its steps; the four-variable flow if not given.
    climbed : Ladder, optional
        The run's `grokode.compare.lottery.ladder.ladder`, if there is one already.

    Returns
    -------
    Dataset
        A spectrum with dimensions ``source, step, neuron, frequency``; source is ``theory`` or
        ``network``. Tickets of the four-variable flow are NaN from their blow-up time on.
        ``train_loss (step)`` is the network's, and ``initial_blowup_time (neuron, frequency)`` that
        of the four-variable flow from the start. Attribute ``outside``: why the run is outside the
        predictor's assumption, or ``""``.

    Raises
    ------
    NotMeasured
        If the predictor ranks only, its steps are no flow time (AdamW), or it failed.
    ValueError
        If ``climbed`` is another run's.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pair = trajectories(nets.train(config, Path(folder) / "run"))
    >>> D = fourier.misalignment(pair)
    >>> bool(abs(D.sel(source="theory") - D.sel(source="network")).max() < 1e-3)
    True
    """
    climbed = _of_run(run, [predictor], climbed)
    prediction = climbed.prediction(predictor)
    if prediction.path is None:
        ranks = "" if prediction.predictor.predict else "it ranks tickets only"
        followed = [name for name, one in PREDICTORS.items() if one.follows(climbed.rule)]
        raise NotMeasured(
            f"predictor {predictor} has no trajectory over {run.path}: "
            f"{ranks or prediction.failure or prediction.outside}; choose one of "
            f"{', '.join(followed)}"
        )
    return _pair(climbed, predictor, prediction.path)


def predictor_errors(
    run: Run, predictors: Sequence[str] | None = None, *, climbed: Ladder | None = None
) -> xr.Dataset:
    """Errors of every predictor that follows the training, over all tickets and steps.

    Parameters
    ----------
    run : Run
        Of one seed.
    predictors : sequence of str, optional
        Names of predictors; all that the ladder can afford if not given.
    climbed : Ladder, optional
        The run's `grokode.compare.lottery.ladder.ladder`, if there is one already.

    Returns
    -------
    Dataset
        As from `trajectory_errors`, with a dimension ``predictor``. One without trajectory, because
        it ranks only, failed, or AdamW's steps are no time of its flow, is left out. Coordinate
        ``outside (predictor)``: why the run is outside its assumption, or ``""``.

    Raises
    ------
    NotMeasured
        If no predictor is left.
    """
    climbed = _of_run(run, predictors, climbed)
    names = climbed.predictions if predictors is None else predictors
    paths = {name: climbed.prediction(name).path for name in names}
    pairs = {name: _pair(climbed, name, path) for name, path in paths.items() if path is not None}
    if not pairs:
        raise NotMeasured(
            f"predictors must have one that follows {run.path}, got {', '.join(names)}"
        )
    errors = xr.concat(
        [trajectory_errors(pair) for pair in pairs.values()], "predictor", combine_attrs="drop"
    )
    outside = [pair.attrs["outside"] for pair in pairs.values()]
    return errors.assign_coords(predictor=list(pairs), outside=("predictor", outside))


def _pair(climbed: Ladder, predictor: str, path: xr.Dataset) -> xr.Dataset:
    tickets = list(_TICKETS)
    both = xr.concat(
        [path[tickets], climbed.observed[tickets]],
        "source",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    ).assign_coords(source=["theory", "network"])
    return both.assign(
        train_loss=climbed.train_loss, initial_blowup_time=climbed.blowup_time
    ).assign_attrs(
        p=climbed.rule.p,
        predictor=predictor,
        outside=climbed.predictions[predictor].outside,
    )


def _of_run(run: Run, predictors: Sequence[str] | None, climbed: Ladder | None) -> Ladder:
    """The ladder given, if it is that of the run; else a new one."""
    if climbed is None:
        return ladder(run, predictors)
    climbed.check_about(run)
    return climbed


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
    check_measured("pair", pair, "grokode.compare.trajectories", "source", "theta_hat", "xi_hat")
    theory, network = (pair.sel(source=name, drop=True) for name in ("theory", "network"))
    beta = fourier.beta(theory)
    blown_up = beta.isnull()
    turn = 1j * (fourier.misalignment(theory) - fourier.misalignment(network))
    gap = abs(xr.apply_ufunc(lambda angle: np.angle(np.exp(angle)), turn))
    weight = fourier.alpha(network) ** 2 * fourier.beta(network)
    leads = current_leaders(theory, pair.initial_blowup_time.idxmin("frequency"))
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
    check_measured("errors", errors, "grokode.compare.trajectory_errors", "beta_error")
    parted = ~(errors.beta_error <= tolerance)
    return int(errors.step[int(parted.values.argmax())]) if parted.any() else None


def partings(errors: xr.Dataset, tolerances: Sequence[float] = TOLERANCES) -> xr.DataArray:
    """Step at which each predictor leaves the network by each tolerance.

    Parameters
    ----------
    errors : Dataset
        From `predictor_errors`.
    tolerances : sequence of float
        Relative L2 distances of all beta.

    Returns
    -------
    DataArray (predictor, threshold)
        The first checkpoint with a larger error, see `parting_step`; NaN if there is none.
    """
    of = "grokode.compare.predictor_errors"
    check_measured("errors", errors, of, "beta_error", "predictor")
    steps = [
        [parting_step(errors.sel(predictor=r), t) for t in tolerances] for r in errors.predictor
    ]
    return xr.DataArray(
        np.array(steps, dtype=float),
        {"predictor": errors.predictor.values, "threshold": list(tolerances)},
        ("predictor", "threshold"),
        name="parting_step",
        attrs={"long_name": "first step off by more than the tolerance", "units": "steps"},
    )


def partings_json(parted: xr.DataArray) -> dict[str, dict[str, int | None]]:
    """`partings` as plain values: by predictor and threshold, None for never.

    Parameters
    ----------
    parted : DataArray (predictor, threshold)
    """
    return {
        str(predictor): {
            f"{tolerance:g}": None if np.isnan(step) else int(step)
            for tolerance, step in zip(parted.threshold.values, row, strict=True)
        }
        for predictor, row in zip(parted.predictor.values, parted.values, strict=True)
    }


def _relative_distance(theory: xr.DataArray, network: xr.DataArray) -> xr.DataArray:
    tickets = ("neuron", "frequency")
    distance = ((theory - network) ** 2).sum(tickets, skipna=False)
    return (distance / (network**2).sum(tickets)) ** 0.5
