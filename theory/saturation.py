"""The four-variable flow in the steps of a training, and where it says that the plateau is over."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.theory import fourier
from grokode.theory._checks import any_array, check_increasing
from grokode.theory.exact import blowup_time, evolve
from grokode.theory.neuron_flow import PLATEAU_MARGIN
from grokode.theory.rule import TrainingRule
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

__all__ = ["saturation_state", "saturation_time", "ticket_flow"]


def ticket_flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
    """The four-variable flow at steps of SGD after the initial state.

    Parameters
    ----------
    initial : Dataset
        Spectrum (..., neuron, frequency).
    rule : TrainingRule
        SGD; whatever the activation, the flow is that of the quadratic one.
    steps : array (step,)
        Increasing, counted from the initial state.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front; a ticket is NaN from its blow-up on.

    Raises
    ------
    TypeError, ValueError
        For another optimiser, whose steps are no flow time; if the spectrum is not finite or of
        another p, or the steps are not increasing.

    Examples
    --------
    >>> wave = 0.1 * np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> start = fourier.spectrum(2**0.5 * wave, wave)
    >>> path = ticket_flow(start, TrainingRule(p=5, learning_rate=0.5), [0, 25])
    >>> np.round(fourier.beta(path).sel(frequency=1).squeeze().values, 9).tolist()
    [0.1, 0.2]
    """
    rule.require(optimizer="sgd")
    asked = np.atleast_1d(any_array("steps", steps))
    times = rule.time(check_increasing("steps", asked))
    path = simulate(TicketFlow(rule.p), rule.check_initial(initial), times, check=False)
    return path.rename(time="step").assign_coords(step=("step", asked, {"long_name": "step"}))


def saturation_time(initial: xr.Dataset, p: int) -> xr.DataArray:
    """Time at which the four-variable flow's own logits say that the plateau is over.

    On the plateau the mean margin, right answer over mean logit, is ``sum alpha^2 beta cos D / 2``
    over all tickets, the energy that the flow climbs. The plateau is over when it is
    `grokode.theory.neuron_flow.PLATEAU_MARGIN` times log p, as it is for the neuron flow.

    Parameters
    ----------
    initial : Dataset
        Spectrum (..., neuron, frequency).
    p : int
        Odd modulus, that of the spectrum.

    Returns
    -------
    DataArray (...)
        Gradient-flow time of the summed loss, before the first blow-up; NaN where no ticket ever
        blows up.

    Examples
    --------
    >>> wave = 0.1 * np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> start = fourier.spectrum(2**0.5 * wave, wave)
    >>> T = float(blowup_time(start.theta_hat, start.xi_hat, 5).min())
    >>> bool(0.9 * T < saturation_time(start, 5) < T)
    True
    """
    initial = fourier.check_spectrum(initial, p)
    tickets = ("neuron", "frequency")
    late = blowup_time(initial.theta_hat, initial.xi_hat, p).min(tickets)
    late = late.where(np.isfinite(late))
    early = xr.zeros_like(late)
    aim = PLATEAU_MARGIN * np.log(p)

    def margin(time: xr.DataArray) -> xr.DataArray:
        A, B = evolve(initial.theta_hat, initial.xi_hat, p, time.fillna(0), past_blowup="nan")
        return (A**2 * B.conj()).real.sum(tickets, skipna=False) / 2

    # The energy of a gradient flow only grows, near the blow-up as (T - t)^-3: its inverse cube
    # root is nearly a line there, and false position finds where it meets that of the threshold.
    # A step goes a little beyond, so that both ends of the bracket close in.
    low, high = margin(early), xr.full_like(late, np.inf)
    width = late - early
    for turn in range(60):
        middle = (early + late) / 2
        if turn % 3:  # else halve, in case the line is none
            heights = [abs(m.clip(min=1e-30)) ** (-1 / 3) - aim ** (-1 / 3) for m in (low, high)]
            share = heights[0] / (heights[0] - heights[1])
            guess = early + share.clip(0, 1) * (late - early)
            beyond = (1 if turn % 3 == 1 else -1) * np.maximum(1e-3 * width, 1e-16 * late)
            middle = (guess + beyond).clip(early, late)
            middle = middle.where((middle > early) & (middle < late), (early + late) / 2)
        reached = margin(middle)
        # A ticket that rounding takes for blown up has met any threshold.
        over = ~(reached < aim)
        early, late = early.where(over, middle), late.where(~over, middle)
        low, high = low.where(over, reached), high.where(~over, reached.fillna(np.inf))
        width = late - early
        if not (width > 4e-16 * late).any():
            break
    return early.where(late.notnull()).rename("saturation_time")


def saturation_state(initial: xr.Dataset, p: int) -> xr.Dataset:
    """Spectrum of the four-variable flow at its `saturation_time`.

    Parameters
    ----------
    initial : Dataset
        Spectrum (..., neuron, frequency).
    p : int
        Odd modulus.

    Examples
    --------
    >>> wave = 0.1 * np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> end = saturation_state(fourier.spectrum(2**0.5 * wave, wave), 5)
    >>> margin = float((fourier.alpha(end) ** 2 * fourier.beta(end)).sum() / 2)
    >>> bool(np.isclose(margin, PLATEAU_MARGIN * np.log(5)))
    True
    """
    time = saturation_time(initial, p)
    A, B = evolve(initial.theta_hat, initial.xi_hat, p, time.fillna(0), past_blowup="nan")
    return initial.assign(theta_hat=A.where(time.notnull()), xi_hat=B.where(time.notnull()))
