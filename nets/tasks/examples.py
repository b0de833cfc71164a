"""Examples as an ensemble of networks sees them, and the cross-entropy over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.tasks.base import Task

__all__ = ["CrossEntropy", "Examples", "evaluate_classes"]

_ALL = (slice(None), slice(None))


@dataclass(frozen=True)
class Examples:
    """Inputs with their answers, for several seeds.

    Parameters
    ----------
    inputs : array (u, ...)
        Every input that some seed has.
    answers : Tensor (seed, u)
    counts : Tensor (seed, u)
        How many examples of the seed's set each stands for, 0 if none.
    """

    inputs: NDArray[Any]
    answers: Tensor
    counts: Tensor

    @classmethod
    def of(
        cls,
        task: Task,
        seeds: Sequence[int],
        chosen: Sequence[NDArray[Any]],
        *,
        symmetric: bool = False,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> "Examples":
        """Examples of a task.

        Parameters
        ----------
        task : Task
        seeds : sequence of int
        chosen : sequence of integer arrays (n,)
            Indices into the task's inputs, for each seed.
        symmetric : bool
            The network treats the two inputs alike, so that of an example and its mirror image one
            stands for both, where the task gives both the same answer.
        dtype : torch.dtype
            Of the counts.
        device : str
        """
        inputs, mirror = task.inputs, task.mirror
        counts = np.stack([np.bincount(rows, minlength=len(inputs)) for rows in chosen])
        if symmetric and mirror is not None:
            first = np.minimum(mirror, np.arange(len(mirror)))
            counts = np.stack(
                [np.bincount(first, weights=of_seed, minlength=len(first)) for of_seed in counts]
            )
        used = np.flatnonzero(counts.any(0))
        answers = np.stack([task.answers(seed) for seed in seeds])
        return cls(
            inputs[used],
            torch.tensor(answers[:, used], device=device),
            torch.tensor(counts[:, used], dtype=dtype, device=device),
        )

    def select(self, rows: Sequence[int]) -> "Examples":
        """The same for some of the seeds."""
        chosen = torch.tensor(list(rows), dtype=torch.long, device=self.answers.device)
        # An example's seeds side by side in memory, as `of` has them: so sums are rounded alike.
        answers, counts = (values.mT[:, chosen].mT for values in (self.answers, self.counts))
        return Examples(self.inputs, answers, counts)


class CrossEntropy:
    """Softmax cross-entropy and its residual.

    Parameters
    ----------
    examples : Examples
    dtype : torch.dtype
        Format in which softmax and loss are computed.
    summed : bool
        Scale the residual for the sum over examples; the loss returned is the mean in any case.
    """

    def __init__(self, examples: Examples, dtype: torch.dtype, summed: bool = False) -> None:
        counts = examples.counts.to(dtype)
        self._dtype = dtype
        self._answers = examples.answers[..., None]
        self._share = (counts / counts.sum(1, keepdim=True))[..., None]
        self._weight = counts[..., None] if summed else self._share
        self._minus_weight = -self._weight

    def __call__(self, values: Tensor, part: tuple[slice, slice] = _ALL) -> tuple[Tensor, Tensor]:
        """Residual and mean loss (seed,) of logits (seed, u, class), see `Criterion`."""
        answers, share = self._answers[part], self._share[part]
        # One exponential serves both; log_softmax and its exponential would take two.
        shifted = values.to(self._dtype)
        shifted = shifted - shifted.amax(-1, keepdim=True)
        at_answers = shifted.gather(-1, answers)
        residual = shifted.exp_()
        total = residual.sum(-1, keepdim=True)
        loss = ((total.log() - at_answers) * share).sum((1, 2))
        residual *= self._weight[part] / total
        residual.scatter_add_(-1, answers, self._minus_weight[part])
        return residual.to(values.dtype), loss


def evaluate_classes(values: Tensor, examples: Examples) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy (nats) and accuracy, each (seed,), of logits (seed, u, class)."""
    values, counts = values.double(), examples.counts.double()
    losses = torch.nn.functional.cross_entropy(values.mT, examples.answers, reduction="none")
    right = (values.argmax(-1) == examples.answers).double()
    total = counts.sum(1)
    return (counts * losses).sum(1) / total, (counts * right).sum(1) / total
