"""Predictors: what becomes of an initial spectrum under a training rule, from crude to fine.

A predictor names its one assumption. All of them score tickets, the lowest score of a neuron being
its predicted winner; those that follow the training also predict the spectrum at any step.
Comparing rungs shows which assumption costs what.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.theory import fourier
from grokode.theory.exact import blowup_time
from grokode.theory.moment_flow import clock_flow, moment_flow
from grokode.theory.neuron_flow import neuron_flow
from grokode.theory.rule import TrainingRule
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

__all__ = ["PREDICTORS", "Predictor", "get_predictor", "ticket_flow"]


Scores = Callable[[xr.Dataset, TrainingRule], xr.DataArray]
Flow = Callable[[xr.Dataset, TrainingRule, ArrayLike], xr.Dataset]


@dataclass(frozen=True)
class Predictor:
    """One rung of the ladder.

    Parameters
    ----------
    name : str
    assumption : str
        What has to hold for the prediction to be right, in one sentence.
    scores : function (initial spectrum, rule) -> DataArray (..., neuron, frequency)
        The ticket with the lowest score is the neuron's predicted winner.
    predict : function (initial spectrum, rule, steps) -> spectrum (step, ...), or None
        None where the rule gives ranks only.
    """

    name: str
    assumption: str
    scores: Scores
    predict: Flow | None = None

    def winners(self, initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
        """Predicted winning frequency of every neuron, (..., neuron)."""
        scores = self.scores(initial, rule)
        return scores.idxmin("frequency").astype(int).rename("winner")


def get_predictor(name: str) -> Predictor:
    """The predictor of that name.

    Raises
    ------
    ValueError
        If there is none, listing those there are.

    Examples
    --------
    >>> get_predictor("blowup_time").assumption[:25]
    'Tickets follow the four-v'
    """
    if name not in PREDICTORS:
        raise ValueError(f"predictor must be one of {', '.join(PREDICTORS)}, got {name!r}")
    return PREDICTORS[name]


def ticket_flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
    """The four-variable flow at steps of SGD after the initial state.

    Parameters
    ----------
    initial : Dataset
        Spectrum (..., neuron, frequency).
    rule : TrainingRule
        SGD and the quadratic activation.
    steps : array (step,)
        Increasing, counted from the initial state.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front; a ticket is NaN from its blow-up on.

    Raises
    ------
    ValueError
        For another optimiser or activation.

    Examples
    --------
    >>> wave = 0.1 * np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> start = fourier.spectrum(2**0.5 * wave, wave)
    >>> path = ticket_flow(start, TrainingRule(p=5, learning_rate=0.5), [0, 25])
    >>> np.round(fourier.beta(path).sel(frequency=1).squeeze().values, 9).tolist()
    [0.1, 0.2]
    """
    rule.require(activation="quadratic", optimizer="sgd")
    asked = np.asarray(steps)
    path = simulate(TicketFlow(rule.p), initial, asked * rule.time_per_step, check=False)
    return path.rename(time="step").assign_coords(step=("step", asked, {"long_name": "step"}))


def _misalignment_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    return abs(fourier.misalignment(initial))


def _blowup_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    times: xr.DataArray = blowup_time(initial.theta_hat, initial.xi_hat, rule.p)
    return times


def _final(flow: Flow) -> Scores:
    """Scores of a flow that is followed to the end of the training: minus the final beta."""

    def scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
        if rule.steps is None:
            raise ValueError("steps of the training rule must be given to follow it to its end")
        return -fourier.beta(flow(initial, rule, [rule.steps]).isel(step=0, drop=True))

    return scores


PREDICTORS: dict[str, Predictor] = {
    predictor.name: predictor
    for predictor in (
        Predictor(
            "misalignment",
            "All tickets of a neuron start at equal magnitude, so the best aligned is the first "
            "to diverge (arXiv:2602.16849, corollary in section 4).",
            _misalignment_scores,
        ),
        Predictor(
            "blowup_time",
            "Tickets follow the four-variable flow until the first of a neuron diverges, which "
            "ends the race (quadratic activation, SGD, softmax near 1/p).",
            _blowup_scores,
        ),
        Predictor(
            "ticket_flow",
            "Tickets follow the four-variable flow at every step (quadratic activation, SGD, "
            "softmax near 1/p).",
            _blowup_scores,
            ticket_flow,
        ),
        Predictor(
            "neuron_flow",
            "Every neuron moves alone under its own optimiser, which is exact while softmax is "
            "near 1/p (any activation, optimiser and training set).",
            _final(neuron_flow),
            neuron_flow,
        ),
        Predictor(
            "clock_flow",
            "The phases of every frequency's neurons are spread evenly, so that only their total "
            "signal reaches the logits (quadratic activation, SGD).",
            _final(clock_flow),
            clock_flow,
        ),
        Predictor(
            "moment_flow",
            "Terms that mix two frequencies inside a neuron cancel over the neurons (quadratic "
            "activation, SGD).",
            _final(moment_flow),
            moment_flow,
        ),
    )
}
