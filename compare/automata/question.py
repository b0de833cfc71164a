"""Automata as a question: what the hidden states become, and whether theory knew."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokode.compare.automata import figures
from grokode.compare.automata import measure as measures
from grokode.compare.automata.claims import judge_run
from grokode.compare.automata.machines import Sequences
from grokode.compare.automata.mergers import length_law, pair_theory, score
from grokode.compare.automata.tables import (
    accuracy_table,
    automaton_json,
    law_table,
    mergers_table,
    states_table,
)
from grokode.compare.common.claims import Verdict
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.question import Datasets, Question, Table
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure"]

STATES, LENGTHS, MERGERS = "the states at the end", "random sequences", "which states merge"
LAW = "agreeing pairs merge where C < N G^(n - m)"
_SHOWN = 6
_WIDEST = 1000
"""Largest tolerance in parts of sigma: all states are one long before."""


def measure(
    run: Run,
    /,
    tolerances: Sequence[float] = measures.TOLERANCES,
    lengths: Sequence[int] = measures.LENGTHS,
    per_cell: int = 4,
) -> Datasets:
    """States over training, accuracy by length, and pairs beside the theory of mergers.

    Parameters
    ----------
    run : Run
    tolerances : sequence of float
        Parts of sigma, increasing.
    lengths : sequence of int
        Of the random sequences.
    per_cell : int
        Pairs of either kind for every two lengths.

    Returns
    -------
    dict of Datasets
        ``states``, ``accuracy``, ``automaton`` (at the widest tolerance), ``positions``, ``pairs``,
        ``score`` and ``law``.

    Raises
    ------
    NotMeasured
        If the run has no hidden states, or they are not finite, or its seed diverged.
    ValueError
        If a tolerance is not in (0, 1000] or they do not increase, or lengths are too long.
    """
    given = np.asarray(tolerances, dtype=float)
    within = given.ndim == 1 and given.size and ((given > 0) & (given <= _WIDEST)).all()
    if not within or (np.diff(given) <= 0).any():
        raise ValueError(
            f"tolerances must be positive and increasing, up to {_WIDEST}, got {list(tolerances)}"
        )
    refusal = measures.reason_not(run) or _diverged(run)
    if refusal:
        raise NotMeasured(refusal)
    right = measures.accuracy(run, lengths)
    try:
        states = measures.states_over_training(run, tolerances)
    except measures.DivergedStatesError as error:
        raise NotMeasured(str(error)) from None
    sigma = float(states.sigma)
    pairs = pair_theory(run, sigma, per_cell=per_cell, tolerances=tolerances)
    return {
        "states": states,
        "accuracy": right.to_dataset(),
        "automaton": measures.last_automaton(run, sigma * tolerances[-1]),
        "positions": _positions(run),
        "pairs": pairs,
        "score": score(pairs),
        "law": length_law(pairs),
    }


def _diverged(run: Run) -> str | None:
    end = run.ended.get(run.config.seed, {})
    if end.get("why") != "diverged":
        return None
    return (
        f"seed {run.config.seed} of {run.path} diverged at step {end['step']}, so there is no end "
        "of training to compare; choose another seed, or train at a lower rate"
    )


def tables(measured: Datasets) -> list[Table]:
    """States, accuracy, mergers."""
    pairs = measured["pairs"]
    fits = []
    for begin in pairs.begin.values:
        one = pairs.sel(begin=begin)
        if np.isfinite(one.begin_step):
            fits.append(
                f"from step {int(one.begin_step)}: hidden time {float(one.hidden_time):.3g}, output"
                f" time {float(one.output_time):.3g} steps, explaining "
                f"{float(one.explained[0]):.2f} of the log distances of agreeing pairs and "
                f"{float(one.explained[1]):.2f} of the others'"
            )
    return [
        Table(
            STATES,
            states_table(measured),
            "States within a tolerance count as one; sigma is the length of the vector of the "
            "neurons' standard deviations over sequences and checkpoints.",
        ),
        Table(LENGTHS, accuracy_table(measured), "One hundred sequences of each length."),
        Table(
            MERGERS,
            mergers_table(measured),
            "On pairs that the rates were not fitted on. Rates of the pair flow, fitted once: "
            + ("; ".join(fits) or "none")
            + ".",
        ),
        Table(
            LAW,
            law_table(measured),
            "N continuations, of at most n symbols, after m symbols, or n and m the lengths of the "
            "two; G and C fitted on the other pairs.",
        ),
    ]


def sheets(measured: Datasets) -> list[Sheet]:
    """Automaton, states, losses, positions, pairs, criteria."""
    states = measured["states"]
    return [
        Sheet(
            "automaton",
            "The states at the end, at the widest tolerance; dark ones answer 1, the answer of a "
            "red one was never asked for. A ring is an arrow to itself.",
            lambda: _single(lambda ax: figures.automaton(measured["automaton"], ax), (5, 5)),
            STATES,
        ),
        Sheet(
            "states",
            "Hidden states that can be told apart, over training.",
            lambda: _single(lambda ax: figures.state_counts(states, ax)),
            STATES,
        ),
        Sheet(
            "losses",
            "Loss by length of the sequence.",
            lambda: _single(lambda ax: figures.losses(states, ax)),
            STATES,
        ),
        Sheet(
            "positions",
            "Hidden states of all sequences in the plane of their largest spread over training; "
            "larger dots are shorter sequences, orange ones are to be answered with 1.",
            lambda: _places(measured),
            STATES,
        ),
        Sheet(
            "pairs",
            "Distances of pairs that no rate was fitted on: network (lines), pair flow (dashes).",
            lambda: _distances(measured["pairs"]),
            MERGERS,
        ),
        Sheet(
            "criteria",
            "How often each criterion is right, with 95% intervals.",
            lambda: _single(lambda ax: figures.criteria(measured["score"], ax)),
            MERGERS,
        ),
    ]


def _single(draw: Callable[[Axes], Any], inches: tuple[float, float] = (6, 4)) -> Figure:
    figure, ax = blank_sheet(inches)
    draw(ax)
    return figure


def _places(measured: Datasets) -> Figure:
    figure, axes = blank_sheet((9, 2), columns=_SHOWN)
    for ax, at in zip(axes, _shown(measured), strict=True):
        figures.positions(measured["positions"], at, ax)
    return figure


def _distances(pairs: xr.Dataset) -> Figure:
    figure, axes = blank_sheet((9, 4), columns=2)
    for ax, begin in zip(axes, pairs.begin.values, strict=True):
        figures.pair_distances(pairs, str(begin), ax)
        ax.set_title(f"from the {begin}")
    return figure


def _shown(measured: Datasets) -> list[int]:
    """Checkpoints whose positions are drawn: four around the drop, the first and the last."""
    states = measured["states"]
    last = states.sizes["step"] - 1
    drop = states.attrs["drop_step"]
    if not np.isfinite(drop):
        return np.linspace(0, last, _SHOWN).astype(int).tolist()
    at = int(np.searchsorted(states.step.values, drop))
    around = np.clip([at // 2, at - 3, at - 1, at + 1], 0, last)
    return [0, *around.tolist(), last]


def _positions(run: Run) -> xr.Dataset:
    """Hidden states in the plane of largest spread, pooled over checkpoints.

    Without that of the empty sequence, which is as far from all others as they ever move.
    """
    _, task = measures.parts_of(run)
    every = Sequences.up_to(task.length)
    count, total, second = 0, 0.0, 0.0
    for _, _, hidden in measures.hidden_over_training(run, every):
        values = hidden[0, 1:].double().numpy()
        count, total, second = (
            count + len(values),
            total + values.sum(0),
            second + values.T @ values,
        )
    mean = total / count
    _, axes = np.linalg.eigh(second / count - np.outer(mean, mean))
    plane = axes[:, :-3:-1]
    placed = [
        ((hidden[0, 1:].double().numpy() - mean) @ plane).astype(np.float32)
        for _, _, hidden in measures.hidden_over_training(run, every)
    ]
    return xr.Dataset(
        {
            "position": (("step", "sequence", "axis"), np.stack(placed)),
            "answer": ("sequence", task.machine(run.config.seed).run(every.inputs[1:])),
            "length": ("sequence", every.lengths[1:]),
        },
        coords={"step": run.parameters.step.values},
        attrs={"epoch": task.epoch(run.config.seed)},
    )


def judge(measured: Datasets) -> list[Verdict]:
    """The published claims."""
    return judge_run(measured)


def plain(measured: Datasets) -> dict[str, Any]:
    """All numbers."""
    return automaton_json(measured)


QUESTION = Question(
    "automaton",
    "What automaton do the hidden states become, and does theory know which of them merge?",
    measures.reason_not,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
