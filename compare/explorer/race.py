"""The race of all frequencies in every neuron, as the ladder of predictors and the network run it.

The ladder is climbed once. A page from disk shows some neurons of it, and these are kept beside the
run like any measurement; a served page holds all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.cache import ask
from grokode.compare.lottery.ladder import Ladder, ladder
from grokode.compare.lottery.trajectories import predictor_errors
from grokode.compare.lottery.winners import winners
from grokode.compare.question import Datasets, Question, two_layers_of_addition
from grokode.nets.runs import Run

__all__ = ["NETWORK", "Race", "race", "spread_neurons"]

NETWORK = "network"
"""Name of the network among the sources of tickets, beside the predictors."""


@dataclass(frozen=True, eq=False)
class Race:
    """Who runs in every neuron, and who was said to win.

    Parameters
    ----------
    winners : Dataset
        From `grokode.compare.winners`.
    errors : Dataset or None
        From `grokode.compare.predictor_errors`; None where nothing follows the training.
    neurons : array of int
        The neurons whose tickets are there, in order of their first blow-up.
    followers : list of str
        The predictors that follow the training.
    tickets : function (neuron) -> Dataset
        Spectrum (source, step, frequency), ``source`` the network and the followers.
    """

    winners: xr.Dataset
    errors: xr.Dataset | None
    neurons: NDArray[np.int64]
    followers: list[str]
    tickets: Callable[[int], xr.Dataset]


def race(run: Run, neurons: int | None) -> Race:
    """The race of a run.

    Parameters
    ----------
    run : Run
        Of one seed.
    neurons : int or None
        How many neurons are kept beside the run; None holds all in memory, and keeps nothing.

    Raises
    ------
    NotMeasured
        If theory is not about the run.
    """
    if neurons is None:
        climbed = ladder(run)
        return Race(
            winners(run, climbed=climbed),
            _errors(run, climbed),
            spread_neurons(climbed, None),
            _followers(climbed),
            lambda neuron: _tickets(climbed, [neuron]).isel(neuron=0),
        )
    measured = ask(_QUESTION, run, neurons=neurons)
    kept = measured["tickets"]
    return Race(
        measured["winners"],
        measured.get("errors"),
        kept.neuron.values,
        [str(name) for name in kept.source.values if name != NETWORK],
        lambda neuron: kept.sel(neuron=neuron),
    )


def spread_neurons(climbed: Ladder, count: int | None) -> NDArray[np.int64]:
    """Some neurons, from the first to blow up to the last; all if no count is given.

    Parameters
    ----------
    climbed : Ladder
    count : int or None
    """
    first = climbed.blowup_time.min("frequency")
    order = first.neuron.values[np.argsort(first.values, kind="stable")]
    if count is None or count >= len(order):
        return np.asarray(order)
    return np.asarray(order[np.linspace(0, len(order) - 1, count).round().astype(int)])


def _measure(run: Run, /, neurons: int) -> Datasets:
    climbed = ladder(run)
    measured = {
        "winners": winners(run, climbed=climbed),
        "tickets": _tickets(climbed, spread_neurons(climbed, neurons)),
    }
    errors = _errors(run, climbed)
    return measured if errors is None else measured | {"errors": errors}


def _errors(run: Run, climbed: Ladder) -> xr.Dataset | None:
    return predictor_errors(run, climbed=climbed) if _followers(climbed) else None


def _followers(climbed: Ladder) -> list[str]:
    return [name for name, one in climbed.predictions.items() if one.path is not None]


def _tickets(climbed: Ladder, neurons: Any) -> xr.Dataset:
    """Spectra (source, step, neuron, frequency) of some neurons, half as precise as computed."""
    names = ["theta_hat", "xi_hat"]
    followers = {name: climbed.predictions[name].path for name in _followers(climbed)}
    paths = {NETWORK: climbed.observed} | {
        name: path for name, path in followers.items() if path is not None
    }
    parts = [path[names].sel(neuron=neurons).astype(np.complex64) for path in paths.values()]
    both = xr.concat(parts, "source", coords="minimal", compat="override", join="exact")
    return both.assign_coords(source=list(paths)).assign_attrs(p=climbed.rule.p)


_QUESTION = Question(
    "race",
    "How do all frequencies of some neurons grow, and who was said to win?",
    two_layers_of_addition,
    _measure,
    lambda measured: [],
    lambda measured: [],
    lambda measured: [],
    lambda measured: {},
)
"""Asked by the explorer alone, for what is kept beside the run; it tells nothing by itself."""
