"""What the views of a run are made of: measured once, and picked to what a page can hold."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.cache import ask
from grokode.compare.common.missing import NotMeasured
from grokode.compare.explorer.race import Race, race
from grokode.compare.grokking.stages import Stages
from grokode.compare.lottery.ladder import observed_spectra
from grokode.compare.question import Datasets, two_layers_of_addition
from grokode.compare.registry import QUESTIONS
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.exact import blowup_time

__all__ = ["PAGE", "SERVED", "Limits", "Material", "answer_reason", "spread"]


@dataclass(frozen=True)
class Limits:
    """How much of a run is shown.

    Parameters
    ----------
    steps, neurons, rows : int or None
        Checkpoints, neurons with all their frequencies, and neurons in the map of weights; None
        for all.
    numbers : int
        Of all frames of one view together, where that is not settled by the others.
    """

    steps: int | None
    neurons: int | None
    rows: int | None
    numbers: int


PAGE = Limits(steps=64, neurons=32, rows=96, numbers=250_000)
"""Of a page from disk: a run of p = 23, 512 neurons and 251 checkpoints is under 5 MB."""

SERVED = Limits(steps=None, neurons=None, rows=None, numbers=100_000_000)
"""All there is."""


@dataclass(eq=False)
class Material:
    """A run, and everything measured on it that a view has asked for.

    Parameters
    ----------
    run : Run
        Of one seed.
    limits : Limits
    """

    run: Run
    limits: Limits

    def answer(self, name: str) -> Datasets:
        """What the run answers to a question, measured once.

        Raises
        ------
        NotMeasured
            If it cannot be asked.
        """
        if name not in self._answers:
            question = QUESTIONS[name]
            reason = question.needs(self.run)
            if reason is not None:
                raise NotMeasured(reason)
            with np.errstate(all="ignore"):
                self._answers[name] = ask(question, self.run)
        told: Datasets = self._answers[name]
        return told

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """The checkpoints shown."""
        return spread(self._checkpoints, self.limits.steps)

    @cached_property
    def two_layers(self) -> bool:
        """Whether it is a two-layer network of addition."""
        return two_layers_of_addition(self.run) is None

    @cached_property
    def spectra(self) -> xr.Dataset:
        """Spectrum (step, neuron, frequency) of a two-layer network at the checkpoints shown."""
        return self._spectra.sel(step=self.steps)

    @cached_property
    def winner(self) -> xr.DataArray:
        """The frequency of largest beta of every neuron in the last checkpoint."""
        return fourier.leading_frequency(self._spectra.isel(step=-1, drop=True))

    @cached_property
    def winning(self) -> xr.Dataset:
        """``alpha, beta, phi, psi, misalignment (step, neuron)`` of every neuron's winner."""
        own = self.spectra.sel(frequency=self.winner)
        names = ("alpha", "beta", "phi", "psi", "misalignment")
        values = {name: getattr(fourier, name)(own).transpose("step", "neuron") for name in names}
        return xr.Dataset(values)

    @cached_property
    def start(self) -> xr.Dataset:
        """Spectrum (neuron, frequency) of the first checkpoint."""
        return self._spectra.isel(step=0, drop=True)

    @cached_property
    def blowup_times(self) -> xr.DataArray:
        """Blow-up time (neuron, frequency) of every ticket, from the start."""
        times: xr.DataArray = blowup_time(
            self.start.theta_hat, self.start.xi_hat, self.start.attrs["p"]
        )
        return times

    @cached_property
    def race(self) -> Race:
        """The lottery of every neuron."""
        with np.errstate(all="ignore"):
            return race(self.run, self.limits.neurons)

    @cached_property
    def stages(self) -> Stages:
        """The training in stages."""
        measured = self.answer("grokking")
        return Stages(measured["series"], measured["pairs"])

    @property
    def left_out(self) -> str:
        """What a page does not show of the run, in one sentence, or that it shows all."""
        parts = []
        if len(self.steps) < len(self._checkpoints):
            parts.append(f"{len(self.steps)} of {len(self._checkpoints)} checkpoints move")
        if self.two_layers:
            total, kept = self.run.config.neurons, self.limits.neurons
            if kept is not None and kept < total:
                parts.append(f"{kept} of {total} neurons show all their frequencies")
        if not parts:
            return "All checkpoints and all neurons are here."
        return f"In this file {', '.join(parts)}; grokode explore without --out has all of them."

    @cached_property
    def _spectra(self) -> xr.Dataset:
        return observed_spectra(self.run)

    @cached_property
    def _checkpoints(self) -> NDArray[np.int64]:
        with suppress(NotMeasured):
            return np.asarray(self._spectra.step.values)
        return np.asarray(self.run.parameters.step.values)

    @cached_property
    def _answers(self) -> dict[str, Datasets]:
        return {}


def answer_reason(name: str) -> Any:
    """What says why a run cannot be asked a question.

    Parameters
    ----------
    name : str
        Of the question.
    """
    return lambda material: QUESTIONS[name].needs(material.run)


def spread(values: Any, count: int | None) -> NDArray[Any]:
    """Some of the values, evenly spread, with the first and the last; all if no count is given.

    Parameters
    ----------
    values : array (n,)
    count : int or None

    Examples
    --------
    >>> spread(np.arange(0, 100, 10), 4).tolist()
    [0, 30, 60, 90]
    """
    values = np.asarray(values)
    if count is None or count >= len(values):
        return values
    return np.asarray(values[np.linspace(0, len(values) - 1, count).round().astype(int)])
