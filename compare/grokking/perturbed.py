"""What theory says of a training with missing pairs and decay, beside its stages.

Source: arXiv:2602.16849, section on grokking: a lottery perturbed by the missing pairs picks the
frequencies, then decay prunes the others.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.estimates import FEWEST, newey_west_lags, wilson
from grokode.compare.common.observe import training_rule
from grokode.compare.grokking.stages import Stages
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.neuron_flow import neuron_flow
from grokode.theory.predictors import get_predictor
from grokode.theory.rule import TrainingRule

__all__ = ["VARIANTS", "WINDOWS", "decay_fit", "non_feature_decay", "perturbed_lottery"]

Array = NDArray[Any]

_MOST = 1024  # neurons followed

VARIANTS = ("training pairs", "all pairs")
"""Neuron flow on the pairs trained on, and on all of them: what is missing is the perturbation."""

WINDOWS = ("after memorisation", "memorised", "generalised")
"""Stretches over which decay is fitted: from memorisation to the end, and each of its stages."""


def perturbed_lottery(run: Run, staged: Stages) -> xr.Dataset:
    """Leading frequencies by neuron flow with training mask and decay, against the network's.

    Every neuron is followed alone from the first measured checkpoint, under the run's optimiser and
    decay, until theory says that the plateau is over; from then on its leaders are held. Of more
    than 1024 neurons that many stand for all, evenly spread: each is followed alone in any case.

    Parameters
    ----------
    run : Run
    staged : Stages
        Of that run.

    Returns
    -------
    Dataset
        ``agreement (variant, step)``: part of the neurons whose frequency of largest beta is the
        predicted one; ``winners (variant)``: part whose final frequency is the predicted one, with
        its ``interval (variant, bound)`` (Wilson, 95%, neurons followed as independent draws);
        ``stopped (variant)``: step at which theory's plateau ended, -1 if it did not. `VARIANTS`
        differ in the pairs alone. Attributes ``chance`` and ``reason``: why there is no prediction,
        or ``""``; all numbers are then NaN.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.compare.grokking.stages import stages
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(config, f"{folder}/run")
    ...     lottery = perturbed_lottery(run, stages(run))
    >>> lottery.agreement.sel(variant="all pairs").values.tolist()
    [1.0, 1.0, 1.0]
    """
    rule = training_rule(run)
    measured = staged.measured
    steps = measured.step.values
    reason = get_predictor("neuron_flow").covers(rule)
    if len(steps) < 2:
        reason = f"{len(steps)} checkpoint(s) with finite weights; it takes two"
    agreement = np.full((len(VARIANTS), len(steps)), np.nan)
    interval = np.full((len(VARIANTS), 2), np.nan)
    stopped = np.full(len(VARIANTS), -1)
    if not reason:
        every = -(-run.config.neurons // _MOST)
        at = run.weights.sel(step=steps[0]).isel(neuron=slice(None, None, every))
        initial = fourier.spectrum(at.theta.values, at.xi.values)
        observed = measured.leader.values[:, ::every]
        n = observed.shape[1]
        complete = rule.pairs == rule.p**2
        for row in range(len(VARIANTS)):
            if row and complete:
                agreement[row], stopped[row], interval[row] = agreement[0], stopped[0], interval[0]
                continue
            used = replace(rule, train_pairs=None) if row else rule
            predicted, stopped[row] = _leaders(initial, used, steps, every)
            agreement[row] = (predicted == observed).mean(1)
            interval[row] = wilson(round(agreement[row, -1] * n), n)
    return xr.Dataset(
        {
            "agreement": (("variant", "step"), agreement, {"long_name": "same leading frequency"}),
            "winners": ("variant", agreement[:, -1] if len(steps) else np.full(2, np.nan)),
            "interval": (("variant", "bound"), interval),
            "stopped": ("variant", stopped, {"units": "optimiser steps"}),
        },
        coords={"variant": list(VARIANTS), "step": steps, "bound": ["low", "high"]},
        attrs={"chance": 2 / (rule.p - 1), "reason": reason},
    )


def non_feature_decay(staged: Stages) -> xr.Dataset:
    """Decay of the frequencies that did not win, once all training pairs are known.

    If decay were the only force on them, their size would go as exp(-rate * decay * steps).

    Parameters
    ----------
    staged : Stages

    Returns
    -------
    Dataset
        ``rate (layer, window)``: minus the slope of the log of their root mean square size per
        step, ``interval (layer, window, bound)`` and ``r2 (layer, window)`` as of `decay_fit`;
        ``ratio (layer, window)`` and ``ratio_interval`` over the predicted rate; ``checkpoints
        (window)``. Coordinate ``reason (window)``: why there is no number, or ``""``. Attribute
        ``predicted``, the rate that theory gives.
    """
    measured = staged.measured
    steps = measured.step.values
    known = staged.memorised.step is not None
    late = steps >= staged.memorised.step if known else np.zeros(len(steps), dtype=bool)
    if staged.decay.until is not None:
        late &= steps <= staged.decay.until
    stage = measured.stage.values
    masks = [late, late & (stage == "memorised"), late & (stage == "generalised")]
    predicted = staged.decay.rate * staged.decay.strength
    fits = np.full((2, len(WINDOWS), 4), np.nan)
    reasons = []
    for column, mask in enumerate(masks):
        reason = staged.memorised.reason
        if not reason and WINDOWS[column] == "generalised":
            reason = staged.generalised.reason
        if not reason and mask.sum() < FEWEST:
            reason = f"{mask.sum()} checkpoint(s) there; a rate takes {FEWEST}"
        reasons.append(reason)
        if not reason:
            for row, name in enumerate(("rest_theta", "rest_xi")):
                fits[row, column] = decay_fit(steps[mask], measured[name].values[mask])
    over = predicted or np.nan
    cells = ("layer", "window")
    return xr.Dataset(
        {
            "rate": (cells, fits[..., 0], {"units": "1/step"}),
            "interval": ((*cells, "bound"), fits[..., 1:3], {"units": "1/step"}),
            "r2": (cells, fits[..., 3]),
            "ratio": (cells, fits[..., 0] / over),
            "ratio_interval": ((*cells, "bound"), fits[..., 1:3] / over),
            "checkpoints": ("window", [int(mask.sum()) for mask in masks]),
        },
        coords={
            "layer": ["theta", "xi"],
            "window": list(WINDOWS),
            "reason": ("window", reasons),
            "bound": ["low", "high"],
        },
        attrs={"predicted": predicted},
    )


def decay_fit(steps: ArrayLike, sizes: ArrayLike) -> tuple[float, float, float, float]:
    """Rate at which sizes decay, by least squares on their logarithm.

    Parameters
    ----------
    steps, sizes : arrays (n,)
        Sizes that are zero are left out.

    Returns
    -------
    rate, low, high, r2 : float
        Rate per step, its 95% interval with errors that allow for heteroskedasticity and
        autocorrelation (Newey-West), and the share of the logarithm's
        variance that the line explains. The interval is that of a line's slope; where r2 is low the
        decay is not exponential. NaN for fewer than three sizes.

    Examples
    --------
    >>> steps = np.arange(0, 1000, 50)
    >>> rate, *_ = decay_fit(steps, 3 * np.exp(-2e-4 * steps))
    >>> round(rate, 9)
    0.0002
    """
    at, values = np.asarray(steps, dtype=float), np.asarray(sizes, dtype=float)
    at, values = at[values > 0], values[values > 0]
    if len(at) < 3:
        return np.nan, np.nan, np.nan, np.nan
    # Imported where it is used: every command would wait for it.
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    # In units of the whole stretch, so that neither column of the regression dwarfs the other.
    span = at[-1] - at[0]
    regressors = add_constant((at - at[0]) / span)
    kernel = {"maxlags": newey_west_lags(len(at))}
    fit = OLS(np.log(values), regressors).fit(cov_type="HAC", cov_kwds=kernel)
    low, high = fit.conf_int()[1]
    return (
        float(-fit.params[1] / span),
        float(-high / span),
        float(-low / span),
        float(fit.rsquared),
    )


def _leaders(
    initial: xr.Dataset, rule: TrainingRule, steps: Array, stand_for: int
) -> tuple[Array, int]:
    """Frequency of largest beta by neuron flow, (step, neuron), and where its plateau ended."""
    path = neuron_flow(initial, rule, steps - steps[0], stand_for=stand_for)
    ended = path.attrs["stopped"]
    return fourier.leading_frequency(path).values, ended + steps[0] if ended >= 0 else -1
