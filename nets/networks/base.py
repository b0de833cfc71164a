"""What a network is: a frozen record that says what parameters it has and what it computes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from grokode.nets.tasks.base import Task
    from grokode.nets.tasks.examples import Examples

__all__ = ["Layout", "Network", "Objective", "Parameters", "pair_symbols"]

Parameters = Mapping[str, "Tensor"]
"""Name -> Tensor (seed, *shape)."""


@dataclass(frozen=True)
class Layout:
    """How one parameter lies.

    Parameters
    ----------
    dims : tuple of str
        Names of its dimensions, as a run stores it.
    shape : tuple of int
    transposed : bool
        Whether the last two dimensions lie in memory the other way round, for the sake of speed.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    transposed: bool = False


class Objective(Protocol):
    """What an optimiser descends: a call computes it and fills the gradients."""

    def __call__(self, step: int) -> "Tensor":
        """Mean loss (seed,) at the parameters; fills the gradients. ``step`` seeds draws."""
        ...


class Network(Protocol):
    """A frozen record of an architecture's settings; see `grokode.nets.networks.TwoLayer`.

    A class attribute ``symmetric`` or property of that name says whether the network treats the two
    inputs of an example alike; ``TASK``, if there is one, is the type of task it is for unless
    another is asked for. ``steady``, if true, says that a step's loss and gradient are the same
    operations on the same memory whatever the step, so that a GPU may replay them.
    """

    @property
    def symmetric(self) -> bool:
        """Whether the two inputs of an example are treated alike."""
        ...

    def layout(self, task: "Task") -> dict[str, Layout]:
        """The parameters by name."""
        ...

    def draw(
        self, task: "Task", seed: int, initial: "xr.Dataset | None" = None
    ) -> dict[str, NDArray[Any]]:
        """A start, each parameter in its shape; from a given one where that is asked for."""
        ...

    def outputs(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Outputs (seed, example, class), in torch operations that autograd can follow."""
        ...

    def objective(
        self,
        task: "Task",
        examples: "Examples",
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> Objective:
        """The training loss over examples; `grokode.nets.networks.autograd.Autograd` will do.

        Parameters
        ----------
        task : Task
        examples : Examples
        parameters : dict of Tensor (seed, *shape)
            Read at every call, so an optimiser may change them in place.
        gradients : dict of Tensor (seed, *shape)
            Filled at every call.
        seeds : sequence of int
            Of whatever is drawn while training, dropout say.
        """
        ...

    def work(self, task: "Task") -> int:
        """Size of the largest array of one step, by which the number of threads is chosen."""
        ...


def pair_symbols(task: "Task", network: str) -> int:
    """How many symbols the x and y of a task's pairs are chosen from.

    Raises
    ------
    ValueError
        If the examples are no pairs.

    Examples
    --------
    >>> from grokode.nets.tasks import Modular
    >>> pair_symbols(Modular(p=5), "transformer")
    5
    """
    if task.inputs.ndim != 2 or task.inputs.shape[1] != 2:
        raise ValueError(
            f"network {network} answers pairs of symbols, got the task {type(task).__name__}; "
            "choose the task modular"
        )
    return task.classes
