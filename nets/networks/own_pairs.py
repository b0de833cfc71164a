"""The pairs of each seed, where seeds are trained on different ones and none is wasted.

`Examples` has one list of inputs for all seeds, with counts. A network whose pairs cost much takes
every seed's own instead; lists of different lengths are filled up with pairs that count nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokode.nets.tasks.base import Criterion, Task
from grokode.nets.tasks.examples import Examples

__all__ = ["OwnPairs", "kept_factors"]


@dataclass(frozen=True)
class OwnPairs:
    """Pairs of every seed.

    Parameters
    ----------
    inputs : Tensor (seed, example, 2)
    criterion : Criterion
        The task's loss over them.
    """

    inputs: Tensor
    criterion: Criterion

    @classmethod
    def of(cls, task: Task, examples: Examples) -> "OwnPairs":
        """Of a task's examples."""
        counts = examples.counts
        rows = [count.nonzero().flatten() for count in counts]
        longest = max(len(of_seed) for of_seed in rows)
        index = torch.stack([_filled(of_seed, longest) for of_seed in rows])
        inputs = torch.as_tensor(np.asarray(examples.inputs), device=counts.device)
        own = torch.arange(longest, device=counts.device)
        lengths = torch.tensor([len(of_seed) for of_seed in rows], device=counts.device)
        kept = counts.gather(1, index) * (own < lengths[:, None])
        chosen = Examples(examples.inputs, examples.answers.gather(1, index), kept)
        return cls(inputs[index], task.criterion(chosen))


def kept_factors(
    seeds: Sequence[int], step: int, shape: Sequence[int], probability: float, like: Tensor
) -> Tensor:
    """Factors of dropout (seed, *shape): 0, or 1 / (1 - probability).

    Drawn anew from seed and step, so that a resumed training drops the same, and a seed's draws
    are its own whatever the others.
    """
    drawn = torch.stack(
        [
            torch.rand(
                *shape,
                generator=torch.Generator(like.device).manual_seed((seed << 32) + step),
                device=like.device,
            )
            for seed in seeds
        ]
    )
    return (drawn >= probability).to(like.dtype) / (1 - probability)


def _filled(rows: Tensor, length: int) -> Tensor:
    return torch.cat([rows, rows.new_zeros(length - len(rows))])
