"""Where the time of a training step goes on a card: its kernels, beside what they move and compute.

At the speed of the card's own copies and matrix products the operations of a step take a time that
kernels cannot beat unless operations are fused; a step that takes much longer waits for something
else.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from torch.profiler import ProfilerActivity, profile

from grokode import nets
from grokode.nets.training.ensemble import Ensemble

from .card_operations import Operations
from .card_training import _wait, ensemble_of, peaks
from .record import row

__all__ = ["kernels", "profile_rows", "step_rows"]

_SHOWN = 12
"""Kernels of a training that have a row of their own, the slowest."""
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
        if event.device_type.name == ("CUDA" if cuda else "CPU"):
            times[event.name] += event.time_range.elapsed_us()
            calls[event.name] += 1
    return {name: (times[name] / len(steps), calls[name] / len(steps)) for name in times}


def _step(ensemble: Ensemble, step: int) -> None:
    ensemble.loss(step)
    ensemble.update(step)
