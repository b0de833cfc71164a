"""Predictors: what becomes of an initial spectrum under a training rule, from crude to fine.

A predictor names its one assumption and says of a training whether it is within it; one that is not
can be scored all the same, taken for one that is. All of them score tickets, the lowest score of a
neuron being its predicted winner; those that follow the training also predict the spectrum at any
step.
Comparing predictors shows which assumption costs what.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.theory import fourier
from grokode.theory._updates import ACTIVATIONS
from grokode.theory.exact import blowup_time
from grokode.theory.harmonic_flow import harmonic_flow, harmonic_seconds
from grokode.theory.kept import DEFAULT, parse_kept
from grokode.theory.moment_flow import clock_flow, flow_for, moment_flow, moment_seconds
from grokode.theory.neuron_flow import neuron_flow, neuron_seconds
from grokode.theory.rule import TrainingRule
from grokode.theory.saturation import saturation_state, saturation_time, ticket_flow

__all__ = [
    "PREDICTORS",
    "Predictor",
    "get_predictor",
    "saturation_state",
    "saturation_time",
    "ticket_flow",
]

Scores = Callable[[xr.Dataset, TrainingRule], xr.DataArray]
Flow = Callable[[xr.Dataset, TrainingRule, ArrayLike], xr.Dataset]

OWN_STEPS = 250
"""Euler steps that a flow takes whose time is its own; measured 170 to 220 at p = 23 and 97."""

QUADRATIC_SGD: dict[str, tuple[Any, ...]] = {
    "activation": ("quadratic",),
    "optimizer": ("sgd",),
    "momentum": (0.0,),
}


@dataclass(frozen=True)
class Predictor:
    """One step of the ladder.

    Parameters
    ----------
    name : str
    assumption : str
        What has to hold for the prediction to be right, in one sentence.
    scores : function (initial spectrum, rule) -> DataArray (..., neuron, frequency)
        The ticket with the lowest score is the neuron's predicted winner.
    predict : function (initial spectrum, rule, steps) -> spectrum (step, ...), or None
        None where the rule gives ranks only.
    needs : dict, optional
        The settings of a `TrainingRule` that the assumption allows, by name.
    all_pairs : bool
        Whether it assumes training on all pairs.
    start : function (initial spectrum) -> str, optional
        Why an initial state is outside the assumption, or ``""``.
    any_inputs : bool
        Whether it follows what is trained where that is not theta alone, a learned embedding or
        input weights of y (see `grokode.theory.harmonic_flow.harmonic_flow`); else theta is taken
        for what is trained, and for the weights of both inputs.
    ranks_at_end : bool
        Whether ``scores`` are those of ``predict`` at the last step of the training, so that who
        has the path need not follow the training again.
    seconds : function (initial spectrum, rule) -> float, optional
        About how long a core takes to score, for those that take long.
    """

    name: str
    assumption: str
    scores: Scores
    predict: Flow | None = None
    needs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    all_pairs: bool = False
    start: Callable[[xr.Dataset], str] | None = None
    ranks_at_end: bool = False
    any_inputs: bool = False
    seconds: Callable[[xr.Dataset, TrainingRule], float] | None = None

    def winners(self, initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
        """Predicted winning frequency of every neuron, (..., neuron); 0 where there is no score."""
        scores = self.scores(initial, rule)
        return scores.idxmin("frequency", fill_value=0).astype(int).rename("winner")

    def covers(self, rule: TrainingRule, initial: xr.Dataset | None = None) -> str:
        """Why a training, or its initial state, is outside the assumption; ``""`` if it is not.

        What can be told beforehand is looked at: the settings of the training and, if given, the
        initial magnitudes. Whether softmax stays near 1/p, or phases spread, only the end tells.

        Parameters
        ----------
        rule : TrainingRule
        initial : Dataset, optional
            Spectrum at the start.

        Examples
        --------
        >>> get_predictor("ticket_flow").covers(TrainingRule(p=5, activation="relu"))
        'activation is relu, not quadratic'
        >>> get_predictor("neuron_flow").covers(TrainingRule(p=5, activation="relu"))
        ''
        """
        reasons = [
            f"{name} is {getattr(rule, name)}, not {' or '.join(str(value) for value in allowed)}"
            for name, allowed in self.needs.items()
            if getattr(rule, name) not in allowed
        ]
        if self.all_pairs and rule.pairs < rule.p**2:
            reasons.append(f"training is on {rule.pairs} of {rule.p**2} pairs")
        if initial is not None and not self.any_inputs:
            if "embedding" in initial:
                reasons.append("theta is a product with a learned embedding")
            if "theta_y" in initial:
                reasons.append("y has input weights of its own")
        if initial is not None and self.start is not None:
            reasons.append(self.start(initial))
        return "; ".join(filter(None, reasons))

    def follows(self, rule: TrainingRule) -> bool:
        """Whether ``predict`` knows where a training is at each of its steps.

        Flows made for SGD take it with any momentum, and any activation for the quadratic one; the
        steps of AdamW are no flow time, and only `scores` can be had.
        """
        return self.predict is not None and rule.optimizer in self.needs.get(
            "optimizer", (rule.optimizer,)
        )


def get_predictor(name: str) -> Predictor:
    """The predictor of that name.

    Parameters
    ----------
    name : str
        One of `PREDICTORS`, or ``harmonic_flow:KEPT`` for one that keeps other modes than it does
        by default, see `grokode.theory.kept.parse_kept`.

    Raises
    ------
    ValueError
        If there is none, listing those there are.

    Examples
    --------
    >>> get_predictor("blowup_time").assumption[:25]
    'Tickets follow the four-v'
    >>> get_predictor("harmonic_flow:rows+5").name
    'harmonic_flow:rows+5'
    """
    if isinstance(name, str) and name.startswith("harmonic_flow:"):
        return _harmonic(name, name.partition(":")[2])
    if not isinstance(name, str) or name not in PREDICTORS:
        raise ValueError(f"predictor must be one of {', '.join(PREDICTORS)}, got {name!r}")
    return PREDICTORS[name]


def _misalignment_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    return abs(fourier.misalignment(fourier.check_spectrum(initial, rule.p)))


def _magnitude_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    initial = fourier.check_spectrum(initial, rule.p)
    return -(fourier.alpha(initial) ** 2 + fourier.beta(initial) ** 2)


def _blowup_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    initial = fourier.check_spectrum(initial, rule.p)
    times: xr.DataArray = blowup_time(initial.theta_hat, initial.xi_hat, rule.p)
    return times


def _saturation_scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
    return -fourier.beta(saturation_state(initial, rule.p))


def _final(flow: Flow) -> Scores:
    """Scores of a flow that is followed to the end of the training: minus the final beta."""

    def scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
        if rule.steps is None:
            raise ValueError("steps of the training rule must be given to follow it to its end")
        return -fourier.beta(flow(initial, rule, [rule.steps]).isel(step=0, drop=True))

    return scores


def _as_quadratic_sgd(flow: Flow) -> Flow:
    """The flow of a training by SGD, taken for one of a quadratic network without momentum."""

    def predict(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
        rule.require(optimizer="sgd")
        return flow(initial, _quadratic_sgd(rule, rule.learning_rate / (1 - rule.momentum)), steps)

    return predict


def _final_in_own_time(*, clocks: bool) -> Scores:
    """As `_final`; where steps are no flow time, to twice the time at which theory saturates."""
    followed = _final(_as_quadratic_sgd(clock_flow if clocks else moment_flow))

    def scores(initial: xr.Dataset, rule: TrainingRule) -> xr.DataArray:
        if rule.optimizer == "sgd":
            return followed(initial, rule)
        own = _quadratic_sgd(rule, rule.learning_rate)
        time = _own_time(initial, rule.p)
        if not time < np.inf:
            raise ValueError("no ticket of the start ever blows up, so the flow has no time to end")
        return -fourier.beta(flow_for(initial, own, 2 * time * rule.pairs, clocks=clocks))

    return scores


def _moment_seconds(*, clocks: bool) -> Callable[[xr.Dataset, TrainingRule], float]:
    def seconds(initial: xr.Dataset, rule: TrainingRule) -> float:
        steps = (rule.steps or 0) if rule.optimizer == "sgd" else OWN_STEPS
        return moment_seconds(initial, replace(rule, steps=steps), clocks=clocks)

    return seconds


_own_times: dict[bytes, float] = {}  # of the last start: the flows that follow it ask in turn


def _own_time(initial: xr.Dataset, p: int) -> float:
    content = (initial.theta_hat.values.tobytes(), initial.xi_hat.values.tobytes(), b"%d" % p)
    key = hashlib.sha256(b"".join(content)).digest()
    if key not in _own_times:
        _own_times.clear()
        _own_times[key] = float(saturation_time(initial, p))
    return _own_times[key]


def _quadratic_sgd(rule: TrainingRule, learning_rate: float) -> TrainingRule:
    return replace(
        rule,
        activation="quadratic",
        optimizer="sgd",
        momentum=0.0,
        learning_rate=learning_rate,
    )


def _spread(name: str, sizes: xr.DataArray) -> str:
    """Why magnitudes are not equal, or nothing; float32 weights are equal to 1e-6 or so."""
    low, high = float(sizes.min()), float(sizes.max())
    equal = high - low <= 1e-4 * high
    return "" if equal else f"initial {name} range from {low:.3g} to {high:.3g}"


def _neuron_flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
    # As the trainings that are predicted: float32 takes half the time.
    return neuron_flow(initial, rule, steps, dtype="float32")


def _harmonic(name: str, keep: str) -> Predictor:
    """The harmonic flow that keeps these modes, under a name."""
    kept = parse_kept(keep)

    def flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
        # As the trainings that are predicted: float32 takes half the time.
        return harmonic_flow(initial, rule, steps, keep=keep, dtype="float32")

    beside = " and the margins of the right answers" if kept.margins else ""
    return Predictor(
        name,
        f"Of the logits, training feels the modes of {keep.removesuffix('-margins')}{beside} only "
        "(any activation, optimiser and training set).",
        _final(flow),
        flow,
        needs={"activation": ACTIVATIONS},
        # Shifted pairs of which some are trained on and some are not have no common average.
        all_pairs="symmetric" in kept.sets and not kept.margins,
        ranks_at_end=True,
        any_inputs=True,
        seconds=lambda start, rule: harmonic_seconds(start, rule, keep),
    )


def _unequal_magnitudes(initial: xr.Dataset) -> str:
    return _spread("alpha", fourier.alpha(initial)) or _spread("beta", fourier.beta(initial))


def _unequal_misalignments(initial: xr.Dataset) -> str:
    return _spread("|D|", abs(fourier.misalignment(initial)))


PREDICTORS: dict[str, Predictor] = {
    predictor.name: predictor
    for predictor in (
        Predictor(
            "misalignment",
            "All tickets of a neuron start at equal magnitude, so the best aligned is the first "
            "to diverge (arXiv:2602.16849, corollary in section 4).",
            _misalignment_scores,
            needs=QUADRATIC_SGD,
            all_pairs=True,
            start=_unequal_magnitudes,
        ),
        Predictor(
            "largest_magnitude",
            "All tickets of a neuron start equally aligned, so the one with the largest weights, "
            "alpha^2 + beta^2, is the first to diverge.",
            _magnitude_scores,
            needs=QUADRATIC_SGD,
            all_pairs=True,
            start=_unequal_misalignments,
        ),
        Predictor(
            "blowup_time",
            "Tickets follow the four-variable flow until the first of a neuron diverges, which "
            "ends the race (quadratic activation, SGD, all pairs, softmax near 1/p).",
            _blowup_scores,
            needs=QUADRATIC_SGD | {"weight_decay": (0.0,)},
            all_pairs=True,
        ),
        Predictor(
            "ticket_flow",
            "Tickets follow the four-variable flow at every step, until its own logits say that "
            "the plateau is over (quadratic activation, SGD, all pairs, softmax near 1/p).",
            _saturation_scores,
            ticket_flow,
            needs=QUADRATIC_SGD | {"weight_decay": (0.0,)},
            all_pairs=True,
        ),
        Predictor(
            "neuron_flow",
            "Every neuron moves alone under its own optimiser, which is exact while softmax is "
            "near 1/p (any activation, optimiser and training set).",
            _final(_neuron_flow),
            _neuron_flow,
            needs={"activation": ACTIVATIONS},
            ranks_at_end=True,
            any_inputs=True,
            seconds=neuron_seconds,
        ),
        Predictor(
            "clock_flow",
            "The phases of every frequency's neurons are spread evenly, so that only their total "
            "signal reaches the logits (quadratic activation, SGD).",
            _final_in_own_time(clocks=True),
            _as_quadratic_sgd(clock_flow),
            needs=QUADRATIC_SGD,
            ranks_at_end=True,
            seconds=_moment_seconds(clocks=True),
        ),
        Predictor(
            "moment_flow",
            "Terms that mix two frequencies inside a neuron cancel over the neurons (quadratic "
            "activation, SGD).",
            _final_in_own_time(clocks=False),
            _as_quadratic_sgd(moment_flow),
            needs=QUADRATIC_SGD,
            ranks_at_end=True,
            seconds=_moment_seconds(clocks=False),
        ),
        _harmonic("symmetric_flow", "symmetric-margins"),
        _harmonic("harmonic_flow", DEFAULT),
    )
}
