"""The computations of a run: what each of its checkpoints does with all pairs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.circuit.computation import (
    Computation,
    of_summed_embeddings,
    of_transformer,
    of_two_layer,
)
from grokode.nets.networks import SummedEmbeddings, Transformer, TwoLayer
from grokode.nets.runs import Run
from grokode.nets.tasks import Modular

__all__ = [
    "ARCHITECTURES",
    "SUMS",
    "computations",
    "embeddings",
    "last_computation",
    "training_pairs",
]

Values = Mapping[str, NDArray[Any]]

SUMS = ("addition", "subtraction")
"""Operations whose answer is x + y, y renamed for one of them."""


def _two_layer(network: Any, values: Values) -> Computation:
    composed = network.weights(values)
    theta_y = composed.get("theta_y")
    return of_two_layer(composed["theta"], composed["xi"], network.activation, theta_y)


ARCHITECTURES: dict[type, Callable[[Any, Values], Computation]] = {
    TwoLayer: _two_layer,
    Transformer: of_transformer,
    SummedEmbeddings: of_summed_embeddings,
}
"""How the computation is taken from a network's parameters; one line to an architecture."""

_EMBEDDINGS: dict[type, Callable[[Any, Values], NDArray[Any]]] = {
    TwoLayer: lambda network, values: network.weights(values)["theta"].T,
    Transformer: lambda network, values: values["W_E"].T,
    SummedEmbeddings: lambda network, values: values["embed"],
}
"""Where the embedding of the tokens (token, width) is; one line to an architecture."""


def training_pairs(run: Run) -> NDArray[np.int64] | None:
    """The pairs that a run of one seed was trained on, None if nobody knows."""
    try:
        pairs = run.train_pairs
    except ValueError:
        return None
    return pairs if len(pairs) else None


def computations(run: Run) -> Iterator[tuple[int, Computation]]:
    """Step and computation of every checkpoint of finite weights, in order.

    Parameters
    ----------
    run : Run
        Of one seed, a network in `ARCHITECTURES` on a task in `SUMS`.
    """
    parameters = run.parameters
    for index in range(parameters.sizes["step"]):
        computation = _at(run, parameters, index)
        if computation is not None:
            yield int(parameters.step[index]), computation


def embeddings(run: Run, steps: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """The embedding (x, width) at some steps, of `computations` without the network's answers.

    Parameters
    ----------
    run : Run
        Of one seed, a network in `ARCHITECTURES` on a task in `SUMS`.
    steps : sequence of int
        Those of checkpoints that are not finite are left out.
    """
    of_step = {}
    network, p, parameters = run.config.network, run.config.p, run.parameters
    for step in steps:
        row = parameters.sel(step=step)
        values = {str(name): np.asarray(value, dtype=np.float64) for name, value in row.items()}
        if all(np.isfinite(value).all() for value in values.values()):
            of_step[int(step)] = np.asarray(_EMBEDDINGS[type(network)](network, values)[:p])
    return of_step


def last_computation(run: Run, step: int | None = None) -> tuple[int, Computation] | None:
    """That of a step, or of the last checkpoint of finite weights; None if there is none.

    Raises
    ------
    ValueError
        If the step has no checkpoint.
    """
    parameters = run.parameters
    steps = parameters.step.values.tolist()
    if step is not None and step not in steps:
        raise ValueError(f"step must be one of {steps}, got {step}")
    for index in reversed(range(len(steps))):
        if step in (None, steps[index]):
            computation = _at(run, parameters, index)
            if computation is not None:
                return steps[index], computation
    return None


def _at(run: Run, parameters: xr.Dataset, index: int) -> Computation | None:
    task, network = run.config.data, run.config.network
    row = parameters.isel(step=index)
    values = {str(name): np.asarray(value, dtype=np.float64) for name, value in row.items()}
    if not all(np.isfinite(value).all() for value in values.values()):
        return None
    if not isinstance(task, Modular):
        raise ValueError(f"the task must be modular, got {type(task).__name__}")
    computation = ARCHITECTURES[type(network)](network, values)
    pairs = training_pairs(run)
    computation = computation if pairs is None else computation.with_training_pairs(pairs)
    return computation.as_sum(task.task)
