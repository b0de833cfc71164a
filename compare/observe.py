"""What a run says about itself in the terms of theory: where a run becomes theory's input."""

import xarray as xr

from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.rule import TrainingRule

__all__ = ["checkpoint", "observed_winners", "training_rule"]


def training_rule(run: Run) -> TrainingRule:
    """How the run was trained, as theory's predictors take it.

    Parameters
    ----------
    run : Run

    Returns
    -------
    TrainingRule
    """
    config, steps = run.config, run.weights.step.values
    return TrainingRule(
        p=config.p,
        activation=config.activation,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
        train_pairs=run.train_pairs,
        steps=int(steps[-1] - steps[0]),
    )


def observed_winners(run: Run) -> xr.DataArray:
    """Winner of each neuron: the frequency of largest beta in the last checkpoint, (neuron).

    Raises
    ------
    ValueError
        If the run has fewer than two checkpoints, so that nothing was predicted.
    """
    spectra = run.spectra()
    if spectra.sizes["step"] < 2:
        raise ValueError(
            f"run {run.path} has {spectra.sizes['step']} checkpoint(s); winners need a first and "
            "a later one: train further or import more checkpoints"
        )
    return fourier.leading_frequency(spectra.isel(step=-1, drop=True)).rename("winner")


def checkpoint(run: Run, step: int | None = None) -> xr.Dataset:
    """Weights at one checkpoint, ``theta (neuron, x)`` and ``xi (neuron, output)``.

    Parameters
    ----------
    run : Run
    step : int, optional
        A step that has a checkpoint; the last one if not given.

    Raises
    ------
    ValueError
        If there is no checkpoint at that step.
    """
    steps = run.weights.step.values
    if step is None:
        return run.weights.isel(step=-1).load()
    if step not in steps:
        nearest = steps[abs(steps - step).argmin()]
        raise ValueError(
            f"step {step} has no checkpoint in {run.path}; the nearest is {nearest} "
            f"of {len(steps)} from {steps[0]} to {steps[-1]}"
        )
    return run.weights.sel(step=step).load()
