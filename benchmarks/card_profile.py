"""Where the time of a training step goes on a card: its kernels, beside what they move and compute.

Every operation as it is written down reads its arguments and writes its results once. At the speed
of the card's own copies and matrix products that takes a time which the kernels cannot beat unless
operations are fused; a step that takes much longer waits for something else.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from grokode import nets
from grokode.nets.training.ensemble import Ensemble

from .card_training import _wait, ensemble_of, peaks
from .record import row

__all__ = ["Operations", "kernels", "profile_rows", "step_rows"]

_SHOWN = 12
"""Kernels of a training that have a row of their own, the slowest."""
_IDLE = ("empty", "_unsafe_view")  # operations that move nothing
_WARM = 30  # after the warm-up of rates and the capture of graphs


def profile_rows() -> Iterator[dict[str, Any]]:
    """Of the published trainings, one seed and many."""
    speeds = peaks()
    for name, seeds in [
        ("he2026/standard", 1),
        ("he2026/standard", 256),
        ("he2026/grokking", 1),
        ("nanda2023/mainline", 1),
        ("nanda2023/mainline", 16),
    ]:
        yield from step_rows(name, nets.preset(name), seeds, speeds)


def step_rows(
    name: str, config: nets.TrainingConfig, seeds: int, speeds: Mapping[str, float], steps: int = 50
) -> Iterator[dict[str, Any]]:
    """A step to the wall, and the kernels that took longest, in microseconds a step."""
    ensemble = ensemble_of(config, range(seeds))
    device = ensemble.diverged_at.device.type
    with Operations() as written:
        _step(ensemble, 0)
    for step in range(1, _WARM):
        _step(ensemble, step)
    _wait(device)
    began = time.perf_counter()
    for step in range(_WARM, _WARM + steps):
        _step(ensemble, step)
    _wait(device)
    seconds = (time.perf_counter() - began) / steps
    found = kernels(ensemble, range(_WARM + steps, _WARM + 2 * steps))
    total = math.fsum(us for us, _ in found.values())
    label = f"{seeds} x {name}" if seeds > 1 else name
    yield row(f"{label}: a step", 1e6 * seconds, "us") | {
        "kernels": math.fsum(calls for _, calls in found.values()),
        "kernels_us": total,
        "operations": written.count,
        "unfused_us": 1e6 * written.seconds(speeds),
    }
    for kernel, (us, calls) in sorted(found.items(), key=lambda item: -item[1][0])[:_SHOWN]:
        yield row(f"{label}: {kernel[:80]}", us, "us") | {"calls": calls, "share": us / total}


class Operations(TorchDispatchMode):
    """Counts what the operations inside it move and compute, each by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._each: list[tuple[int, int]] = []

    @property
    def count(self) -> int:
        """How many there were that move anything."""
        return len(self._each)

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
            touched = [
                leaf.nbytes
                for leaf in tree_leaves((args, kwargs, result))
                if isinstance(leaf, torch.Tensor)
            ]
            count = flop_registry.get(function.overloadpacket)
            done = count(*args, **kwargs, out_val=result) if count else 0
            self._each.append((sum(touched), done))
        return result


def kernels(ensemble: Ensemble, steps: range) -> dict[str, tuple[float, float]]:
    """Microseconds and calls a step of every kernel, or operation of a processor, by its name."""
    device = ensemble.diverged_at.device.type
    cuda = device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        for step in steps:
            _step(ensemble, step)
        _wait(device)
    times: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for event in seen.events() or ():
        if event.device_type == (DeviceType.CUDA if cuda else DeviceType.CPU):
            times[event.name] += event.time_range.elapsed_us()
            calls[event.name] += 1
    return {name: (times[name] / len(steps), calls[name] / len(steps)) for name in times}


def _step(ensemble: Ensemble, step: int) -> None:
    ensemble.loss(step)
    ensemble.update(step)
