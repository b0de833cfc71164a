"""Memory that a thread writes over and over.

The system takes a large array back when it is let go of, and fills the next one with zeros, page by
page: for the hidden values of a block that takes as long as the product which they come from.
"""

import math
import threading

import torch
from torch import Tensor

__all__ = ["scratch"]


class _Scratch(threading.local):
    def __init__(self) -> None:
        self._held: dict[tuple[str, torch.dtype], Tensor] = {}

    def __call__(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """An array of the calling thread's own, with anything in it, until its next of that name.

        Parameters
        ----------
        name : str
            What it is for.
        like : Tensor
            Of its format and device; on a GPU, which keeps memory itself, a new array.
        *shape : int

        Examples
        --------
        >>> scratch("hidden", torch.zeros(1), 2, 3).shape
        torch.Size([2, 3])
        """
        if like.device.type != "cpu":
            return like.new_empty(shape)
        size, key = math.prod(shape), (name, like.dtype)
        held = self._held.get(key)
        if held is None or len(held) < size:
            held = self._held[key] = like.new_empty(size)
        return held[:size].view(shape)


scratch = _Scratch()
