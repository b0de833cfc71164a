"""The ladder of predictors climbed once on a run: what winners and trajectories both read.

Following a training is what costs time here, so it is done in one place; the accuracies, leaders,
trajectories and partings of `grokode.compare.winners` and `grokode.compare.trajectories` are read
off the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_names
from grokode.compare.common.checkpoints import over_checkpoints
from grokode.compare.common.course import half_loss
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import start_of, training_rule
from grokode.nets.networks.two_layer import BESIDE
from grokode.nets.runs import Run
from grokode.nets.training.config import TrainingConfig
from grokode.theory import fourier
from grokode.theory._parallel import side_by_side
from grokode.theory.exact import blowup_time
from grokode.theory.predictors import PREDICTORS, Predictor, get_predictor
from grokode.theory.rule import TrainingRule

__all__ = [
    "AFFORDABLE",
    "LEFT_OUT",
    "Ladder",
    "Prediction",
    "current_leaders",
    "ladder",
    "observed_spectra",
    "outside_every_theory",
]


AFFORDABLE = 40.0
"""Seconds of a core for all predictors that are not asked for by name: half a minute of two."""

LEFT_OUT = "left out"
"""How the failure of a predictor begins that nobody waited for."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one predictor says of a run.

    Parameters
    ----------
    predictor : Predictor
    scores : DataArray (neuron, frequency)
        The lowest of a neuron is its predicted winner; NaN where there is none.
    path : Dataset or None
        Predicted spectrum (step, neuron, frequency) at the run's checkpoints; None where the
        predictor ranks only, or the run's steps are no time of its flow.
    outside : str
        Why the run is outside the predictor's assumption, or ``""``.
    failure : str
        Why there are no scores, or ``""``.
    """

    predictor: Predictor
    scores: xr.DataArray
    path: xr.Dataset | None
    outside: str
    failure: str


@dataclass(frozen=True, eq=False)
class Ladder:
    """A run, and what the predictors say of it from its first checkpoint.

    Parameters
    ----------
    path, seed : Path, int or None
        The run and the seed of it that the ladder is about.
    observed : Dataset
        The network's spectra (step, neuron, frequency), from `observed_spectra`.
    rule : TrainingRule
        How the run was trained.
    predictions : dict of Prediction
        By name of the predictor.
    train_loss : DataArray (step)
        The network's loss at the same checkpoints (nats), NaN where none was logged.
    """

    path: Path
    seed: int | None
    observed: xr.Dataset
    rule: TrainingRule
    predictions: dict[str, Prediction]
    train_loss: xr.DataArray

    @property
    def initial(self) -> xr.Dataset:
        """Spectrum (neuron, frequency) that was predicted from."""
        return self.observed.isel(step=0, drop=True)

    @property
    def blowup_time(self) -> xr.DataArray:
        """Blow-up time (neuron, frequency) of every ticket, from the start."""
        times: xr.DataArray = blowup_time(self.initial.theta_hat, self.initial.xi_hat, self.rule.p)
        return times

    def prediction(self, name: str) -> Prediction:
        """What a predictor says, or ValueError if the ladder was climbed without it."""
        if name not in self.predictions:
            known = ", ".join(self.predictions)
            raise ValueError(f"predictor must be one of {known}, got {name!r}")
        return self.predictions[name]

    def check_about(self, run: Run) -> None:
        """Refuse to answer about another run than the one that was climbed.

        Raises
        ------
        ValueError
            If the run, or the seed of it, is another.
        """
        if (self.path, self.seed) != (run.path, run.seed):
            raise ValueError(
                f"climbed must be the ladder of {run.path} (seed {run.seed}), got that of "
                f"{self.path} (seed {self.seed}); climb it with ladder(run)"
            )


def ladder(
    run: Run, predictors: Sequence[str] | None = None, *, affordable: float = AFFORDABLE
) -> Ladder:
    """Predict from a run's first checkpoint with every predictor, each followed once.

    Parameters
    ----------
    run : Run
        Of one seed, with at least two checkpoints.
    predictors : sequence of str, optional
        Names; all of `grokode.theory.predictors.PREDICTORS` if not given.
    affordable : float
        Seconds of a core for all predictors together. Those that would
        take more than is left are left out, with that for their failure. Predictors that are asked
        for by name never are.

    Returns
    -------
    Ladder
        A predictor whose assumption does not hold is scored where it can be, and says that it is
        outside; one that fails has NaN scores and the reason.

    Raises
    ------
    NotMeasured
        For fewer than two checkpoints with finite weights, or a network that no theory here is
        about, see `grokode.compare.common.observe.training_rule`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     climbed = ladder(nets.train(config, Path(folder) / "run"), ["ticket_flow"])
    >>> dict(climbed.predictions["ticket_flow"].path.sizes)
    {'step': 3, 'neuron': 4, 'frequency': 2}
    """
    if predictors is not None:
        check_names("predictors", predictors)
    if not (isinstance(affordable, int | float | np.number) and affordable >= 0):
        raise ValueError(f"affordable must be seconds, at least 0, got {affordable!r}")
    chosen = [get_predictor(name) for name in (PREDICTORS if predictors is None else predictors)]
    rule = training_rule(run, any_inputs=True)
    observed = observed_spectra(run)
    steps = observed.step.values
    rule = replace(rule, steps=int(steps[-1] - steps[0]), first_step=int(steps[0]))
    initial = start_of(run.parameters.sel(step=steps[0], drop=True).load())
    elsewhere = outside_every_theory(run.config)
    left = affordable
    calls = []
    for predictor in chosen:
        seconds = _seconds(predictor, initial, rule) if predictors is None else 0.0
        outside = "; ".join(filter(None, [elsewhere, predictor.covers(rule, initial)]))
        if seconds > left:
            calls.append(partial(_left_out, predictor, initial, outside, seconds))
            continue
        left -= seconds
        calls.append(partial(_predict, predictor, initial, rule, steps, outside))
    predicted = side_by_side(calls)
    return Ladder(
        path=run.path,
        seed=run.seed,
        observed=observed,
        rule=rule,
        predictions={one.predictor.name: one for one in predicted},
        train_loss=run.metrics.train_loss.load().reindex(step=steps),
    )


def observed_spectra(run: Run) -> xr.Dataset:
    """Spectrum over the checkpoints whose weights are all finite, (step, neuron, frequency).

    Parameters
    ----------
    run : Run
        Of one seed.

    Returns
    -------
    Dataset
        With ``theta_y (step, neuron, y)`` where y has input weights of its own. Attribute
        ``skipped`` lists the steps of the checkpoints left out.

    Raises
    ------
    NotMeasured
        If fewer than two are left, so that nothing was predicted.
    ValueError
        If the run holds several seeds.
    """
    finite = [now for now in over_checkpoints(run, any_inputs=True) if not now.reason]
    if len(finite) < 2:
        raise NotMeasured(
            f"run {run.path} has {len(finite)} checkpoint(s) with finite weights; theory "
            "needs a first and a later one: train further or import more checkpoints"
        )
    dims, steps = ("step", "neuron"), [now.step for now in finite]
    spectra = fourier.spectrum(
        xr.DataArray(np.stack([now.theta for now in finite]), dims=(*dims, "x")),
        xr.DataArray(np.stack([now.xi for now in finite]), dims=(*dims, "output")),
    )
    skipped = [step for step in run.weights.step.values.tolist() if step not in steps]
    own = [now.theta_y for now in finite if now.theta_y is not None]
    if own:
        spectra["theta_y"] = (*dims, "y"), np.stack(own)
    return spectra.assign_coords(step=steps, neuron=run.weights.neuron.values).assign_attrs(
        skipped=skipped
    )


def current_leaders(path: xr.Dataset, first_to_blow_up: xr.DataArray) -> xr.DataArray:
    """Leading frequency of every neuron at every step, (step, neuron).

    Parameters
    ----------
    path : Dataset
        Spectrum (step, neuron, frequency), NaN where a ticket has blown up.
    first_to_blow_up : DataArray (neuron)
        Who leads a neuron with a ticket past its blow-up.

    Returns
    -------
    DataArray of int
    """
    beta = fourier.beta(path)
    # idxmax takes no NaN; where a ticket has blown up, the first to do so leads.
    leads = beta.fillna(0).idxmax("frequency")
    return xr.where(beta.isnull().any("frequency"), first_to_blow_up, leads).astype(int)


def _seconds(predictor: Predictor, initial: xr.Dataset, rule: TrainingRule) -> float:
    try:
        return predictor.seconds(initial, rule) if predictor.seconds else 0.0
    except ValueError:  # what it cannot follow takes no time, and says why
        return 0.0


def _left_out(
    predictor: Predictor, initial: xr.Dataset, outside: str, seconds: float
) -> Prediction:
    none = xr.full_like(fourier.beta(initial), np.nan)
    reason = f"{LEFT_OUT}, as it takes about {seconds:.0f} s of a core; ask for it by name"
    return Prediction(predictor, none, None, outside, reason)


def _predict(
    predictor: Predictor,
    initial: xr.Dataset,
    rule: TrainingRule,
    steps: np.ndarray,
    outside: str,
) -> Prediction:
    path, failure = None, ""
    if not predictor.any_inputs:
        # To it theta is what is trained, and the weights of both inputs.
        initial = initial.drop_vars(BESIDE, errors="ignore")
    # A flow that diverges is told by its NaN, below.
    with np.errstate(all="ignore"):
        try:
            if predictor.predict is not None and predictor.follows(rule):
                path = predictor.predict(initial, rule, steps - steps[0])
                path = _with_half_loss(path).assign_coords(step=steps)
                path = path.drop_vars("loss", errors="ignore")
            if predictor.ranks_at_end and path is not None:
                scores = -fourier.beta(path.isel(step=-1, drop=True))
            else:
                scores = predictor.scores(initial, rule)
        except (ValueError, ArithmeticError, RuntimeError) as error:
            failure = str(error)
            scores = xr.full_like(fourier.beta(initial), np.nan)
    if not failure and scores.isnull().all():
        failure = "all scores are NaN: the flow diverged, or no ticket of the start can grow"
    return Prediction(predictor, scores, path, outside, failure)


def _with_half_loss(path: xr.Dataset) -> xr.Dataset:
    """A flow that knows its loss knows when it has halved, if only at the steps asked for."""
    if "loss" not in path or "half_loss" in path.attrs:
        return path
    step = half_loss(path.loss)
    return path.assign_attrs(half_loss=-1 if np.isnan(step) else int(step))


def outside_every_theory(config: TrainingConfig) -> str:
    """What of a network's training no predictor knows of, or ``""``.

    Parameters
    ----------
    config : TrainingConfig

    Examples
    --------
    >>> outside_every_theory(TrainingConfig(p=5, neurons=4, dropout=0.1))
    'dropout is 0.1, not 0'
    """
    reasons = []
    if config.dropout > 0:
        reasons.append(f"dropout is {config.dropout}, not 0")
    if config.decay_until is not None and config.weight_decay > 0:
        reasons.append(f"weight decay ends at step {config.decay_until}")
    return "; ".join(reasons)
