"""Every rung of theory's ladder climbed once on a run: what winners and trajectories both read.

Following a training is what costs time here, so it is done in one place; the accuracies, leaders,
trajectories and partings of `grokode.compare.winners` and `grokode.compare.trajectories` are read
off the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from grokode.compare.observe import one_network, training_rule
from grokode.nets.runs import Run
from grokode.nets.training.config import TrainingConfig
from grokode.theory import fourier
from grokode.theory.exact import blowup_time
from grokode.theory.predictors import PREDICTORS, Predictor, get_predictor
from grokode.theory.rule import TrainingRule

__all__ = ["Ladder", "Rung", "current_leaders", "ladder", "observed_spectra"]


AFFORDABLE = 120.0
"""Seconds of a core beyond which a predictor is left out unless it is asked for by name."""


@dataclass(frozen=True, eq=False)
class Rung:
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
    observed : Dataset
        The network's spectra (step, neuron, frequency), from `observed_spectra`.
    rule : TrainingRule
        How the run was trained.
    rungs : dict of Rung
        By name of the predictor.
    train_loss : DataArray (step)
        The network's loss at the same checkpoints (nats), NaN where none was logged.
    """

    observed: xr.Dataset
    rule: TrainingRule
    rungs: dict[str, Rung]
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

    def rung(self, name: str) -> Rung:
        """The rung of a predictor, or ValueError if the ladder was climbed without it."""
        if name not in self.rungs:
            raise ValueError(f"rung must be one of {', '.join(self.rungs)}, got {name!r}")
        return self.rungs[name]


def ladder(run: Run, rules: Sequence[str] = tuple(PREDICTORS)) -> Ladder:
    """Predict from a run's first checkpoint with every predictor, each followed once.

    Parameters
    ----------
    run : Run
        Of one seed, with at least two checkpoints.
    rules : sequence of str
        Names of predictors, see `grokode.theory.predictors`. Of all of them together, those that
        take longer than `AFFORDABLE` are left out, with that for their failure.

    Returns
    -------
    Ladder
        A predictor whose assumption does not hold is scored where it can be, and says that it is
        outside; one that fails has NaN scores and the reason.

    Raises
    ------
    ValueError
        For an unknown rule, fewer than two checkpoints with finite weights, several seeds, or a
        network that no theory here is about, see `grokode.compare.observe.training_rule`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     climbed = ladder(nets.train(config, Path(folder) / "run"), ["ticket_flow"])
    >>> dict(climbed.rungs["ticket_flow"].path.sizes)
    {'step': 3, 'neuron': 4, 'frequency': 2}
    """
    predictors = [get_predictor(name) for name in rules]
    rule = training_rule(run)
    observed = observed_spectra(run)
    steps = observed.step.values
    rule = replace(rule, steps=int(steps[-1] - steps[0]), first_step=int(steps[0]))
    initial = observed.isel(step=0, drop=True)
    elsewhere = _outside_every_theory(run.config)
    limit = AFFORDABLE if tuple(rules) == tuple(PREDICTORS) else np.inf
    return Ladder(
        observed=observed,
        rule=rule,
        rungs={
            predictor.name: _climb(predictor, initial, rule, steps, elsewhere, limit)
            for predictor in predictors
        },
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
        Attribute ``skipped`` lists the steps of the checkpoints left out.

    Raises
    ------
    ValueError
        If fewer than two are left, so that nothing was predicted; for several seeds, or input
        weights of their own for x and y.
    """
    weights = one_network(run).load()
    finite = np.isfinite(weights.theta).all(("neuron", "x"))
    finite &= np.isfinite(weights.xi).all(("neuron", "output"))
    if finite.sum() < 2:
        raise ValueError(
            f"run {run.path} has {int(finite.sum())} checkpoint(s) with finite weights; theory "
            "needs a first and a later one: train further or import more checkpoints"
        )
    kept = weights.sel(step=finite)
    skipped = weights.step.values[~finite.values].tolist()
    return fourier.spectrum(kept.theta, kept.xi).assign_attrs(skipped=skipped)


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


def _climb(
    predictor: Predictor,
    initial: xr.Dataset,
    rule: TrainingRule,
    steps: np.ndarray,
    elsewhere: str,
    limit: float,
) -> Rung:
    outside = "; ".join(filter(None, [elsewhere, predictor.covers(rule, initial)]))
    path, failure = None, ""
    if predictor.seconds and (seconds := predictor.seconds(rule, initial.sizes["neuron"])) > limit:
        none = xr.full_like(fourier.beta(initial), np.nan)
        reason = f"it would take about {seconds:.0f} s; ask for it by name"
        return Rung(predictor, none, None, outside, reason)
    # A flow that diverges is told by its NaN, below.
    with np.errstate(all="ignore"):
        try:
            if predictor.predict is not None and predictor.follows(rule):
                path = predictor.predict(initial, rule, steps - steps[0])
                path = path.assign_coords(step=steps)[list(initial.data_vars)]
            if predictor.ranks_at_end and path is not None:
                scores = -fourier.beta(path.isel(step=-1, drop=True))
            else:
                scores = predictor.scores(initial, rule)
        except (ValueError, ArithmeticError, RuntimeError) as error:
            failure = str(error)
            scores = xr.full_like(fourier.beta(initial), np.nan)
    if not failure and scores.isnull().all():
        failure = "all scores are NaN: the flow diverged, or no ticket of the start can grow"
    return Rung(predictor, scores, path, outside, failure)


def _outside_every_theory(config: TrainingConfig) -> str:
    """What of a network's training no predictor knows of, or nothing."""
    reasons = []
    if config.dropout > 0:
        reasons.append(f"dropout is {config.dropout}, not 0")
    if config.decay_until is not None and config.weight_decay > 0:
        reasons.append(f"weight decay ends at step {config.decay_until}")
    return "; ".join(reasons)
