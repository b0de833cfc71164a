"""When a training that has memorised generalises: predicted, beside what it did.

Nothing is fitted. Three theories, from most to least that they are told of the training:

    published_law   the delay is log(norm ratio) / (rate decay), the time in which decay alone takes
                    the weights' norm from where it was on memorisation to where it is on grokking;
                    told both norms (arXiv:2603.13331, whose constant is left open; here it is 1)
    held_forces     the loss pushes on as it does on memorisation, so that weights go from w to
                    push / decay as exp(-rate decay steps); told two checkpoints
    harmonic_flow   the training as theory follows it, told the first checkpoint alone
"""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.common.course import course, foretold
from grokode.compare.common.events import GENERALISED
from grokode.compare.common.observe import training_rule
from grokode.compare.grokking.forces import push
from grokode.compare.grokking.stages import Stages
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.predictors import get_predictor

__all__ = ["THEORIES", "delay"]

Array = NDArray[Any]

THEORIES = ("published_law", "held_forces", "harmonic_flow")

# Forces held are looked at so many times, at steps that grow like a power.
_LOOKS = 200


def delay(
    run: Run, staged: Stages, threshold: float = GENERALISED, *, affordable: float = np.inf
) -> xr.Dataset:
    """Steps of memorisation and of grokking by theory.

    Parameters
    ----------
    run : Run
        Of one seed, with pairs held out.
    staged : Stages
        Of that run, at the same threshold.
    threshold : float
        Test accuracy from which on the network has generalised.
    affordable : float
        Seconds of a core; if the harmonic flow takes longer it is left out.

    Returns
    -------
    Dataset over ``theory``, see `THEORIES`
        ``memorised`` and ``generalised``: predicted steps, as
        `grokode.compare.common.events` defines them, at checkpoints; ``delay`` between the two;
        ``reason``: why there is none, or ``""``. Attributes ``memorised``, ``generalised`` and
        ``delay``: what the training did, -1 where it did not.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.compare.grokking.stages import stages
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(
    ...     p=5, neurons=8, train_fraction=0.8, steps=20, checkpoint_every=10, log_every=10
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(config, f"{folder}/run")
    ...     told = delay(run, stages(run))
    >>> str(told.reason.sel(theory="published_law").item())[:27]
    'training accuracy never rea'
    """
    told = [
        _published_law(staged),
        _held_forces(run, staged, threshold),
        _flow(run, staged, threshold, affordable),
    ]
    steps = np.array([row[:2] for row in told], dtype=float)
    observed = [-1 if at.step is None else at.step for at in (staged.memorised, staged.generalised)]
    return xr.Dataset(
        {
            "memorised": ("theory", steps[:, 0], {"units": "optimiser steps"}),
            "generalised": ("theory", steps[:, 1], {"units": "optimiser steps"}),
            "delay": ("theory", steps[:, 1] - steps[:, 0], {"units": "optimiser steps"}),
            "reason": ("theory", [row[2] for row in told]),
        },
        {"theory": list(THEORIES)},
        {
            "memorised": observed[0],
            "generalised": observed[1],
            "delay": -1 if -1 in observed else observed[1] - observed[0],
        },
    )


def _published_law(staged: Stages) -> tuple[float, float, str]:
    reason = staged.memorised.reason or staged.generalised.reason
    at = [staged.checkpoint(event.step) for event in (staged.memorised, staged.generalised)]
    decay = staged.decay
    if not reason and None in at:
        reason = "no checkpoint after memorisation and grokking"
    if not reason and not decay.rate * decay.strength:
        reason = "there is no weight decay"
    if reason:
        return np.nan, np.nan, reason
    norms = staged.series.weight_norm.sel(step=at).values
    after = np.log(norms[0] / norms[1]) / (decay.rate * decay.strength)
    begin = float(staged.memorised.step or 0)
    return begin, begin + after, ""


def _held_forces(run: Run, staged: Stages, threshold: float) -> tuple[float, float, str]:
    """With constant push, w goes to push / decay, a share 1 - (1 - rate decay)^n of the way."""
    begin = staged.checkpoint(staged.memorised.step)
    after = None if begin is None else staged.checkpoint(begin + 1)
    if begin is None or after is None:
        return np.nan, np.nan, staged.memorised.reason or "no two checkpoints after memorisation"
    weights = run.weights[["theta", "xi"]].sel(step=[begin, after]).load().astype(float)
    last = int(run.weights.step[-1]) - begin
    times = np.unique(np.geomspace(1, max(last, 1), _LOOKS).astype(int))
    kept = (1 - staged.decay.rate * staged.decay.at(begin)) ** times[:, None, None]
    layers = []
    for name in ("theta", "xi"):
        here, there = weights[name].values
        force = push(here, there, after - begin, staged.decay, begin)
        layers.append(kept * here + staged.decay.rate * force * _sum_of_powers(kept, times))
    path = fourier.spectrum(
        *(
            xr.DataArray(layer, dims=("step", "neuron", at))
            for layer, at in zip(layers, ("x", "output"), strict=True)
        )
    ).assign_coords(step=begin + times)
    series = course(path, run.config.activation, run.train_pairs, run.test_pairs)
    # Looks lie far apart where time does not matter: one is enough to hold.
    _, generalised = foretold(series, threshold, sustained=1)
    if generalised.step is None:
        return staged.memorised.step or 0, np.nan, f"{generalised.reason} within the run's length"
    return staged.memorised.step or 0, generalised.step, ""


def _sum_of_powers(kept: Array, times: Array) -> Array:
    """1 + k + ... + k^(n - 1), given k^n and n."""
    n = times[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        k = kept ** (1 / n)
        return np.where(kept == 1, n, (1 - kept) / (1 - k))


def _flow(
    run: Run, staged: Stages, threshold: float, affordable: float
) -> tuple[float, float, str]:
    steps = staged.measured.step.values
    if len(steps) < 2:
        return np.nan, np.nan, f"{len(steps)} checkpoint(s) with finite weights; it takes two"
    predictor = get_predictor("harmonic_flow")
    length = int(steps[-1] - steps[0])
    rule = replace(training_rule(run), first_step=int(steps[0]), steps=length)
    reason = predictor.covers(rule)
    assert predictor.predict is not None
    assert predictor.seconds is not None
    at = run.weights.sel(step=steps[0])
    initial = fourier.spectrum(at.theta.values, at.xi.values)
    seconds = predictor.seconds(initial, rule)
    if not reason and seconds > affordable:
        reason = f"it would take about {seconds:.0f} s of a core, more than {affordable:g}"
    if reason:
        return np.nan, np.nan, reason
    path = predictor.predict(initial, rule, steps - steps[0]).assign_coords(step=steps)
    series = course(path, run.config.activation, run.train_pairs, run.test_pairs)
    events = foretold(series, threshold)
    memorised, generalised = (np.nan if at.step is None else at.step for at in events)
    return memorised, generalised, events[0].reason or events[1].reason
