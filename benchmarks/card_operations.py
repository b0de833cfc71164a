"""What torch's operations move and compute, counted while they are called."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

__all__ = ["Operations"]

_IDLE = ("empty", "_unsafe_view")  # move nothing, and are no views by name


class Operations(TorchDispatchMode):
    """Counts what the operations inside it move (bytes) and compute, each by itself.

    Every operation reads its arguments and writes its results once; views move nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._each: list[tuple[int, int]] = []

    @property
    def count(self) -> int:
        """How many there were that move anything."""
        return len(self._each)

    @property
    def computed(self) -> int:
        """Multiplications and additions of all matrix products."""
        return sum(done for _, done in self._each)

    def seconds(self, speeds: Mapping[str, float]) -> float:
        """What they take one after the other at so many bytes and operations a second."""
        return math.fsum(
            max(moved / speeds["bytes"], done / speeds["operations"]) for moved, done in self._each
        )

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the operation, and count it unless it is a view."""
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if not function.is_view and not any(word in function.name() for word in _IDLE):
            # An out= that is given is the result, and only written.
            given = [value for value in kwargs.values() if value is not result]
            touched = [
                leaf.nbytes
                for leaf in tree_leaves((args, given, result))
                if isinstance(leaf, torch.Tensor)
            ]
            self._each.append((sum(touched), _computed(function, args, kwargs, result)))
        return result


def _computed(function: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Operations of a matrix product, 0 of anything else."""
    if function.overloadpacket is torch.ops.aten.baddbmm_:  # torch knows it by its other name only
        _, one, other = args
        return 2 * math.prod(one.shape) * int(other.shape[-1])
    count = flop_registry.get(function.overloadpacket)
    return int(count(*args, **kwargs, out_val=result)) if count else 0
