"""The mean square error to one-hot answers over examples."""

import torch
from torch import Tensor

from grokode.nets.tasks.examples import Examples

__all__ = ["SquaredError"]

_ALL = (slice(None), slice(None))


class SquaredError:
    """A `grokode.nets.tasks.base.Criterion`: the mean over examples and outputs of the square.

    Parameters
    ----------
    examples : Examples
    """

    def __init__(self, examples: Examples) -> None:
        self._answers = examples.answers
        self._share = (examples.counts / examples.counts.sum(1, keepdim=True))[..., None]

    def __call__(self, values: Tensor, part: tuple[slice, slice] = _ALL) -> tuple[Tensor, Tensor]:
        """Residual (seed, example, class) and mean loss (seed,)."""
        classes = values.shape[-1]
        wanted = torch.nn.functional.one_hot(self._answers[part], classes).to(values.dtype)
        miss = values - wanted
        share = self._share[part].to(values.dtype)
        return miss * share * (2 / classes), (miss.square() * share).sum((1, 2)) / classes
