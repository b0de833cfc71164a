"""What a task is: inputs, answers, a split, and a loss."""

from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from grokode.nets.tasks.examples import Examples

__all__ = ["Criterion", "Task"]


class Criterion(Protocol):
    """A loss over some examples."""

    def __call__(
        self, values: "Tensor", part: tuple[slice, slice] = ...
    ) -> "tuple[Tensor, Tensor]":
        """Residual and mean loss of outputs.

        Parameters
        ----------
        values : Tensor (seed, example, class)
            Outputs of the networks, for a part of the seeds and examples.
        part : tuple of slices
            Which part; all if not given.

        Returns
        -------
        residual : Tensor (seed, example, class)
            Derivative by the outputs of what the optimiser descends.
        loss : Tensor (seed,)
            The mean over the examples.
        """
        ...


class Task(Protocol):
    """A frozen record of what is asked, full-batch; see `grokode.nets.tasks.Modular`."""

    @property
    def classes(self) -> int:
        """Number of answers there are."""
        ...

    @property
    def inputs(self) -> NDArray[Any]:
        """All examples there are, (example, ...), the same for every seed."""
        ...

    @property
    def grid(self) -> dict[str, int]:
        """Dimensions in which the inputs form a grid, outermost first; empty if they do not."""
        ...

    def answers(self, seed: int) -> NDArray[Any]:
        """The right answer of every example, (example,)."""
        ...

    def split(self, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Training and test examples, as indices into `inputs`."""
        ...

    @property
    def mirror(self) -> NDArray[Any] | None:
        """For every example the one with its two inputs exchanged, if that has the same answer."""
        ...

    def criterion(self, examples: "Examples") -> Criterion:
        """The loss over examples."""
        ...

    def evaluate(self, values: "Tensor", examples: "Examples") -> "tuple[Tensor, Tensor]":
        """Mean loss and accuracy of outputs (seed, example, class), each (seed,).

        NaN where there are no examples.
        """
        ...
