"""What a CUDA graph does, on the CPU: the operations of a call, with their arrays and numbers.

Replaying runs them again on the same memory and no Python in between, so a number that should have
changed, or an array that moved, shows as it would on a device.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What makes a host wait for a device, or sends something there from the host's memory.
WAITS = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::lift_fresh",
    "aten::masked_select",
    "aten::nonzero",
}


class Names(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function._schema.name)
        return function(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self._lines = []
        self._done = True  # recording has done it once, where capturing would not have

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function._schema.name in WAITS:
            raise RuntimeError(f"{function._schema.name} waits\nfor the host")
        result = function(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors((args, kwargs))}
        made = [tensor.untyped_storage().data_ptr() not in given for tensor in tensors(result)]
        self._lines.append((function, args, kwargs or {}, tensors(result), made))
        return result

    @torch.no_grad()
    def replay(self):
        if self._done:
            self._done = False
            return
        for function, args, kwargs, results, made in self._lines:
            for old, new, is_new in zip(
                results, tensors(function(*args, **kwargs)), made, strict=True
            ):
                if is_new:
                    old.copy_(new)


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def record(call):
    """What `grokode.nets.training.graphs` asks of a device."""
    tape = Tape()
    with tape:
        result = call()
    return tape.replay, result
