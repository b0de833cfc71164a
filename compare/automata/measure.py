"""What the hidden states of a run are over its training, and what the theory of mergers says of it.

Hidden states are computed from the checkpoints' weights each time, one checkpoint after the other.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.automata import clusters, machines
from grokode.compare.automata.machines import Sequences
from grokode.nets.networks import Recurrent
from grokode.nets.tasks.sequences import SequenceTask, random_sequences

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.runs import Run

__all__ = [
    "DRAWN",
    "FALL",
    "LENGTHS",
    "TOLERANCES",
    "DivergedStatesError",
    "accuracy",
    "drop_step",
    "hidden_over_training",
    "last_automaton",
    "parameters_at",
    "parts_of",
    "reason_not",
    "states_over_training",
    "told_apart",
]

Array = NDArray[Any]

TOLERANCES = (0.01, 0.1)
"""Parts of sigma within which two hidden states count as one; the first is the published one."""
LENGTHS = (25, 100, 250, 1000, 2500, 10_000)
"""Lengths of random sequences, as published."""
DRAWN = 24
"""States of an automaton that can be drawn, and is kept for every checkpoint."""
FALL = 0.1
"""Test loss below which training has dropped, as published."""
_LARGEST = 200_000_000
"""Symbols of one set of random sequences; more would not be read in seconds."""


class DivergedStatesError(ValueError):
    """Hidden states are not finite, so that there is nothing to compare."""


def reason_not(run: "Run") -> str | None:
    """Why a run has no hidden states to compare, in one line, or None if it has."""
    network = run.config.network
    if isinstance(network, Recurrent):
        return None
    kind = type(network).__name__
    return f"it is about recurrent networks; {run.path} is a network of kind {kind}"


def parts_of(run: "Run") -> tuple[Recurrent, SequenceTask]:
    """The network and the task of a run that has hidden states.

    Raises
    ------
    ValueError
        If it has none.
    """
    network, task = run.config.network, run.config.data
    if not isinstance(network, Recurrent) or not isinstance(task, SequenceTask):
        raise ValueError(f"run must be of a recurrent network: {reason_not(run)}")
    return network, task


def parameters_at(run: "Run", at: int) -> "dict[str, Tensor]":
    """The parameters of one checkpoint of a run of one seed, each (1, *shape)."""
    import torch

    weights = run.parameters.isel(step=at)
    return {str(name): torch.tensor(value.values[None]) for name, value in weights.items()}


def hidden_over_training(
    run: "Run", sequences: Sequences
) -> Iterator[tuple[int, "dict[str, Tensor]", "Tensor"]]:
    """Per checkpoint its place, its parameters and the hidden states (1, sequence, neuron)."""
    import torch

    network, _ = parts_of(run)
    for at in range(run.parameters.sizes["step"]):
        parameters = parameters_at(run, at)
        with torch.no_grad():
            yield at, parameters, network.states(parameters, sequences.inputs)


def drop_step(run: "Run") -> float:
    """The first logged step from which the test loss stays below 0.1, or NaN.

    Parameters
    ----------
    run : Run
        Of one seed.
    """
    loss = run.metrics.test_loss
    above = np.flatnonzero(~(loss.values < FALL))
    after = int(above[-1]) + 1 if above.size else 0
    return float(loss.step[after]) if after < loss.size else float("nan")


def states_over_training(run: "Run", tolerances: Sequence[float] = TOLERANCES) -> xr.Dataset:
    """Clusters of hidden states, the automaton they make, merged pairs and losses, per checkpoint.

    Parameters
    ----------
    run : Run
        Of one seed.
    tolerances : sequence of float
        Parts of sigma, the length of the vector of the neurons' standard deviations over all
        sequences and checkpoints.

    Returns
    -------
    Dataset
        Over (step, within): ``states`` and ``states_linked`` (see
        `grokode.compare.automata.clusters`), ``conflicts``, ``finite``, ``minimal_states`` (NaN
        where not finite), ``equivalent`` to the task's automaton, and pairs of non-empty sequences
        within the tolerance, ``agreeing_merged`` and ``disagreeing_merged``, where two sequences
        agree if the same answer is right whatever follows; ``loss`` (step, length), and ``sigma``;
        ``transitions`` (step, state, symbol) and ``outputs`` (step, state) at the widest tolerance,
        as of `last_automaton`, where there are no more than `DRAWN` states.
        Attributes ``agreeing_pairs`` and ``disagreeing_pairs``, how many there are; ``epoch``, the
        steps of one; ``drop_step``, see `drop_step`.

    Raises
    ------
    ValueError
        If a tolerance is not positive.
    DivergedStatesError
        If hidden states are not finite, as when a seed diverged.
    """
    network, task = parts_of(run)
    machine = task.machine(run.config.seed)
    every = Sequences.up_to(task.length)
    states = told_apart(machine, every)
    sigma = _sigma(run, every)
    rows: list[list[dict[str, float]]] = []
    losses, drawn = [], []
    for _, parameters, hidden in hidden_over_training(run, every):
        outputs = network.read(parameters, hidden)[0].double().numpy()
        losses.append(_losses(outputs, machine.run(every.inputs), every, task.loss))
        distances = clusters.squared_distances(hidden[0].numpy())
        both = [
            _automaton(distances, part * sigma, outputs.argmax(-1), every, machine, states)
            for part in tolerances
        ]
        rows.append([told for told, _ in both])
        drawn.append(both[-1][1])
    names = rows[0][0]
    counted = {
        name: (("step", "within"), np.array([[cell[name] for cell in row] for row in rows]))
        for name in names
    }
    counts = np.bincount(states[1:])
    same = int((counts * (counts - 1) // 2).sum())
    total = (len(states) - 1) * (len(states) - 2) // 2
    return xr.Dataset(
        counted | _arrows(drawn) | {"loss": (("step", "length"), np.array(losses)), "sigma": sigma},
        coords={
            "step": run.parameters.step.values,
            "within": list(tolerances),
            "length": np.arange(1, task.length + 1),
        },
        attrs={
            "agreeing_pairs": same,
            "disagreeing_pairs": total - same,
            "epoch": task.epoch(run.config.seed),
            "drop_step": drop_step(run),
        },
    )


def accuracy(
    run: "Run", lengths: Sequence[int] = LENGTHS, count: int = 100, seed: int = 1
) -> xr.DataArray:
    """Share of random sequences answered rightly at the end of training (length,).

    Parameters
    ----------
    run : Run
        Of one seed.
    lengths : sequence of int
    count : int
        Sequences of every length.
    seed : int
        Of the sequences.

    Raises
    ------
    ValueError
        If one is below 1, or they are too many to be read.
    """
    import torch

    if min(lengths) < 1:
        raise ValueError(f"lengths must be at least 1, got {min(lengths)}")
    if max(lengths) * count > _LARGEST:
        raise ValueError(
            f"lengths must have at most {_LARGEST // count} symbols for {count} sequences each, "
            f"got {max(lengths)}; ask for shorter or fewer"
        )
    network, task = parts_of(run)
    parameters = parameters_at(run, -1)
    machine = task.machine(run.config.seed)
    right = []
    for length in lengths:
        inputs = random_sequences(count, length, seed)
        with torch.no_grad():
            answers = network.outputs(parameters, inputs)[0].argmax(-1).numpy()
        right.append((answers == machine.run(inputs)).mean())
    return xr.DataArray(right, dims="length", coords={"length": list(lengths)}, name="accuracy")


def last_automaton(run: "Run", tolerance: float) -> xr.Dataset:
    """The automaton that hidden states make at the end of training, by leaders.

    Parameters
    ----------
    run : Run
        Of one seed.
    tolerance : float
        Distance within which two states count as one.

    Returns
    -------
    Dataset
        ``transitions`` (state, symbol) and ``outputs`` (state,), -1 where there is none; attribute
        ``start``. See `grokode.compare.automata.machines.Extracted`.
    """
    import torch

    network, task = parts_of(run)
    every = Sequences.up_to(task.length)
    parameters = parameters_at(run, -1)
    with torch.no_grad():
        hidden = network.states(parameters, every.inputs)
        answers = network.read(parameters, hidden)[0].argmax(-1).numpy()
    grouped = clusters.leaders(clusters.squared_distances(hidden[0].numpy()), tolerance)
    machine = machines.extract(grouped, every.children, answers)
    return xr.Dataset(
        {
            "transitions": (("state", "symbol"), machine.transitions),
            "outputs": ("state", machine.outputs),
        },
        attrs={"start": machine.start},
    )


def _automaton(
    distances: Array,
    tolerance: float,
    answers: Array,
    every: Sequences,
    machine: Any,
    states: Array,
) -> tuple[dict[str, float], machines.Extracted]:
    of_leaders = clusters.leaders(distances, tolerance)
    conflicts = clusters.count_conflicts(of_leaders, every.children)
    extracted = machines.extract(of_leaders, every.children, answers, conflicts)
    same, other = clusters.near_pairs(distances[1:, 1:], tolerance, states[1:])
    told = {
        "states": of_leaders.count,
        "states_linked": clusters.linked(distances, tolerance).count,
        "conflicts": conflicts,
        "finite": extracted.finite,
        "minimal_states": machines.minimal_states(extracted) if extracted.finite else np.nan,
        "equivalent": machines.equivalent(
            extracted, np.array(machine.transitions), np.array(machine.outputs)
        ),
        "agreeing_merged": same,
        "disagreeing_merged": other,
    }
    return told, extracted


def _arrows(drawn: Sequence[machines.Extracted]) -> dict[str, Any]:
    """Transitions and outputs of automata of few states, -1 where there is none."""
    transitions = np.full((len(drawn), DRAWN, 2), -1)
    outputs = np.full((len(drawn), DRAWN), -1)
    for at, machine in enumerate(drawn):
        count = len(machine.outputs)
        if count <= DRAWN:
            transitions[at, :count], outputs[at, :count] = machine.transitions, machine.outputs
    return {
        "transitions": (("step", "state", "symbol"), transitions),
        "outputs": (("step", "state"), outputs),
    }


def told_apart(machine: Any, every: Sequences) -> Array:
    """For every sequence the state of the smallest automaton, which says what may follow."""
    classes = machines.classes_of(np.array(machine.transitions), np.array(machine.outputs))
    return classes[machine.states(every.inputs)]


def _sigma(run: "Run", every: Sequences) -> float:
    count, total, squares = 0, 0.0, 0.0
    for at, _, hidden in hidden_over_training(run, every):
        values = hidden[0].double().numpy()
        if not np.isfinite(values).all():
            step = int(run.parameters.step[at])
            raise DivergedStatesError(
                f"seed {run.config.seed} of {run.path} has hidden states that are not finite at "
                f"step {step}: it diverged; there is nothing to compare"
            )
        count += len(values)
        total = total + values.sum(0)
        squares = squares + (values * values).sum(0)
    variance = squares / count - (total / count) ** 2
    return float(np.sqrt(np.maximum(variance, 0).sum()))


def _losses(outputs: Array, answers: Array, every: Sequences, loss: str) -> Array:
    """Mean loss by length, from 1 on."""
    if loss == "mse":
        each = ((outputs - np.eye(outputs.shape[1])[answers]) ** 2).mean(1)
    else:
        shifted = outputs - outputs.max(1, keepdims=True)
        at_answer = np.take_along_axis(shifted, answers[:, None], 1)[:, 0]
        each = np.log(np.exp(shifted).sum(1)) - at_answer
    total = np.bincount(every.lengths, weights=each)
    return total[1:] / np.bincount(every.lengths)[1:]
