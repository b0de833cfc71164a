"""What can be seen of a training while it is written: its curves, and one neuron's lottery."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import training_rule
from grokode.compare.lottery.sheets import median_neuron
from grokode.compare.question import two_layers_of_addition
from grokode.nets.runs import Run, open_run
from grokode.theory import fourier
from grokode.theory.exact import blowup_time
from grokode.theory.predictors import get_predictor
from grokode.theory.rule import TrainingRule

__all__ = ["Lottery", "Watched"]

FLOW = "ticket_flow"
"""The predictor laid over a training while it runs: exact, and done in no time."""


@dataclass(frozen=True, eq=False)
class Lottery:
    """One neuron's frequencies so far.

    Parameters
    ----------
    neuron, named : int
        The neuron, and the frequency that blows up first.
    steps : array (step,)
    network, theory : arrays (frequency, step)
        beta; theory's is NaN where the four-variable flow does not follow the training.
    """

    neuron: int
    named: int
    steps: NDArray[np.int64]
    network: NDArray[np.float64]
    theory: NDArray[np.float64]


@dataclass(eq=False)
class Watched:
    """A run that is being written, read as far as it has come.

    Parameters
    ----------
    path : Path
    """

    path: Path
    _seen: dict[int, xr.Dataset] = field(default_factory=dict)
    _start: tuple[int, int, xr.Dataset] | None = None

    def run(self) -> Run | None:
        """The run, first seed; None before its first checkpoint is there."""
        if not (self.path / "run.json").exists():
            return None
        opened = open_run(self.path)
        return opened if opened.seed is not None else opened.select(opened.seeds[0])

    def lottery(self, run: Run) -> Lottery | None:
        """The lottery of the neuron of median blow-up; None for a network without one.

        Parameters
        ----------
        run : Run
            From `run`. Checkpoints seen before are not read again.
        """
        if two_layers_of_addition(run) is not None:
            return None
        weights = run.weights
        if self._start is None:
            self._start = _start(weights.isel(step=0).load(), run.config.p)
        neuron, named, initial = self._start
        for step in weights.step.values.tolist():
            if step not in self._seen:
                now = weights.sel(step=step, neuron=[neuron]).load()
                self._seen[step] = fourier.spectrum(now.theta, now.xi)
        steps = np.array(sorted(self._seen))
        observed = [fourier.beta(self._seen[step]).values[0] for step in steps.tolist()]
        network = np.stack(observed, 1)
        return Lottery(neuron, named, steps, network, _theory(run, initial, steps, network.shape))


def _start(first: xr.Dataset, p: int) -> tuple[int, int, xr.Dataset]:
    spectrum = fourier.spectrum(first.theta, first.xi)
    times = blowup_time(spectrum.theta_hat, spectrum.xi_hat, p)
    neuron = median_neuron(times)
    named = int(times.sel(neuron=neuron).idxmin("frequency"))
    return neuron, named, spectrum.sel(neuron=[neuron])


def _theory(run: Run, initial: xr.Dataset, steps: Any, shape: tuple[int, ...]) -> Any:
    """Beta by the four-variable flow, if the training is one of its own."""
    none = np.full(shape, np.nan)
    flow = get_predictor(FLOW)
    try:
        rule: TrainingRule = training_rule(run)
    except NotMeasured:
        return none
    if flow.predict is None or flow.covers(rule) or len(steps) < 2:
        return none
    path = flow.predict(initial, rule, steps - steps[0])
    return fourier.beta(path).isel(neuron=0).transpose("frequency", "step").values
