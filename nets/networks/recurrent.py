"""The recurrent network of Elman: h <- sigma(W_x x + W h + biases), read out after the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from grokode.nets.networks.base import Layout, Objective, Parameters
from grokode.nets.records import check_least
from grokode.nets.tasks.parity import Parity
from grokode.nets.tasks.sequences import SequenceTask

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from grokode.nets.tasks.base import Task
    from grokode.nets.tasks.examples import Examples

__all__ = ["Recurrent"]


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer whose state starts as a vector of ones, which is not trained.

    Its parameters are input (neuron, symbol), recurrent (neuron, source), input_bias and
    recurrent_bias (neuron), which act as their sum, readout (output, neuron) and readout_bias
    (output); a readout by an MLP has decoder (unit, neuron) and decoder_bias (unit) before it.

    Parameters
    ----------
    neurons : int
        Width of the state.
    activation : {"relu", "tanh"}
    gain : float
        Weights are drawn as gain sqrt(2 / (rows + columns)) N(0, 1), biases are zero.
    readout : {"linear", "mlp"}
    units : int
        Width of the MLP's layer, which is ReLU.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> from grokode.nets.tasks.parity import Parity
    >>> {name: layout.shape for name, layout in Recurrent(neurons=8).layout(Parity()).items()}
    {'input': (8, 2), 'recurrent': (8, 8), 'input_bias': (8,), 'recurrent_bias': (8,), \
'readout': (2, 8), 'readout_bias': (2,)}
    """

    TASK: ClassVar[type[SequenceTask]] = Parity

    neurons: int = 100
    activation: Literal["relu", "tanh"] = "relu"
    gain: float = 0.1
    readout: Literal["linear", "mlp"] = "linear"
    units: int = 100

    def __post_init__(self) -> None:
        check_least(self, 1, "neurons", "units")
        if not 0 < self.gain < np.inf:
            raise ValueError(f"gain must be positive and finite, got {self.gain}")

    @property
    def symmetric(self) -> bool:
        """Never: symbols come in order."""
        return False

    def layout(self, task: "Task") -> dict[str, Layout]:
        """The parameters by name."""
        _check_task(task)
        n, last = self.neurons, self.neurons
        layouts = {
            "input": Layout(("neuron", "symbol"), (n, 2)),
            "recurrent": Layout(("neuron", "source"), (n, n)),
            "input_bias": Layout(("neuron",), (n,)),
            "recurrent_bias": Layout(("neuron",), (n,)),
        }
        if self.readout == "mlp":
            last = self.units
            layouts["decoder"] = Layout(("unit", "neuron"), (last, n))
            layouts["decoder_bias"] = Layout(("unit",), (last,))
        before = "unit" if self.readout == "mlp" else "neuron"
        return layouts | {
            "readout": Layout(("output", before), (task.classes, last)),
            "readout_bias": Layout(("output",), (task.classes,)),
        }

    def draw(
        self, task: "Task", seed: int, initial: "xr.Dataset | None" = None
    ) -> dict[str, NDArray[Any]]:
        """A start from the seed, or the given parameters.

        Parameters
        ----------
        task : Task
        seed : int
        initial : Dataset, optional
            With the parameters by name.

        Raises
        ------
        ValueError
            If what is given does not fit.
        """
        layouts = self.layout(task)
        if initial is not None:
            return {name: _given(initial, name, layout) for name, layout in layouts.items()}
        rng = np.random.default_rng(seed)
        drawn = {}
        for name, layout in layouts.items():
            if len(layout.shape) == 1:
                drawn[name] = np.zeros(layout.shape)
            else:
                scale = self.gain * np.sqrt(2 / sum(layout.shape))
                drawn[name] = scale * rng.normal(size=layout.shape)
        return drawn

    def states(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Hidden states (seed, example, neuron) after each sequence.

        Parameters
        ----------
        parameters : dict of Tensor (seed, *shape)
        inputs : integers (example, position)
            Symbols, -1 after the end; a sequence may be empty.
        """
        from grokode.nets.networks.recurrent_model import hidden_states

        return hidden_states(parameters, inputs, self.activation)

    def read(self, parameters: Parameters, states: "Tensor") -> "Tensor":
        """Outputs (seed, example, class) of hidden states (seed, example, neuron)."""
        from grokode.nets.networks.recurrent_model import read_out

        return read_out(parameters, states)

    def outputs(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Outputs (seed, example, class)."""
        return self.read(parameters, self.states(parameters, inputs))

    def objective(
        self,
        task: "Task",
        examples: "Examples",
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> Objective:
        """The loss of a step's batch; its gradient is written out on the CPU."""
        from grokode.nets.networks.recurrent_model import objective

        return objective(self, _check_task(task), examples, parameters, gradients, seeds)

    def work(self, task: "Task") -> int:
        """Hidden values of a batch at every length up to the longest."""
        sequences = _check_task(task)
        return self.neurons * sum(min(2**n, sequences.batch) for n in range(sequences.length + 1))


def _check_task(task: "Task") -> SequenceTask:
    if not isinstance(task, SequenceTask):
        raise ValueError(
            f"network recurrent reads sequences, got the task {type(task).__name__}; choose the "
            "task parity or automaton"
        )
    return task


def _given(initial: "xr.Dataset", name: str, layout: Layout) -> NDArray[Any]:
    values = initial[name].values if name in initial else np.empty(0)
    if values.shape != layout.shape or not np.isfinite(values).all():
        raise ValueError(
            f"initial must hold finite {name} {layout.dims} of shape {layout.shape}, got "
            f"{values.shape if name in initial else 'none'}"
        )
    return values
