"""A step of harmonic flow beside the network's own, by p and by what is kept.

Both start from the same weights, ReLU under AdamW on all pairs, in float32 on one thread. Times are
of the processor, each the least of some repeats that take turns, so that other jobs on the machine
burden all alike. The error is how far apart the two end, as a share of the way gone: on the plateau
a flow with margins is the network, but for what a loss felt a little does to steps of AdamW, which
divides gradients by themselves.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from grokode import nets
from grokode.compare.common.observe import start_of, training_rule
from grokode.theory import fourier
from grokode.theory.harmonic_flow import harmonic_flow
from grokode.theory.rule import TrainingRule

from .record import row
from .training import RECIPES, SILENT

KEPT = ("rows", "1", "rows+3", "rows+5")
REPEATS = 4
Timed = tuple[float, xr.Dataset]


def rows(
    moduli: Sequence[int] = (23, 59, 97), neurons: int = 1024, timed: int = 60_000
) -> list[dict[str, Any]]:
    """Milliseconds a step.

    Parameters
    ----------
    moduli : sequence of int
    neurons : int
    timed : int
        Pairs to pass through each timed stretch, from which the number of its steps follows.
    """
    results = []
    for p in moduli:
        steps = max(4, timed // p**2)
        config = nets.TrainingConfig(p=p, neurons=neurons, **RECIPES["ReLU, AdamW"], **SILENT)
        with tempfile.TemporaryDirectory() as folder:
            run = nets.train(config.replace(steps=1), Path(folder) / "run")
            start = start_of(run.parameters.isel(step=0, drop=True).load())
            rule = training_rule(run)
        sides: dict[str, Callable[[int], Timed]] = {"network": partial(network, config)}
        sides |= {keep: partial(flow, start, rule, keep) for keep in KEPT}
        seconds, ends = _in_turn(sides, steps)
        for keep in KEPT:
            results.append(
                row(
                    f"harmonic flow {keep}, a step, p = {p}, {neurons} neurons",
                    1e3 * seconds[keep],
                    "ms",
                    error=_apart(start, ends[keep], ends["network"]),
                    peer="the network's own step",
                    theirs=1e3 * seconds["network"],
                )
            )
    return results


def network(config: nets.TrainingConfig, steps: int) -> Timed:
    """Processor time of a training, and where it ends."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = nets.train(config.replace(steps=steps), Path(folder) / "run")
        seconds = time.process_time() - began
        return seconds, run.spectra().isel(step=-1)


def flow(start: xr.Dataset, rule: TrainingRule, keep: str, steps: int) -> Timed:
    """The same of a harmonic flow."""
    began = time.process_time()
    path = harmonic_flow(start, rule, [steps], keep=keep, dtype="float32")
    return time.process_time() - began, path.isel(step=0)


def _in_turn(
    sides: dict[str, Callable[[int], Timed]], steps: int
) -> tuple[dict[str, float], dict[str, xr.Dataset]]:
    """Seconds a step of each side, without what no steps cost, and where each ends."""
    few, many = ({name: float("inf") for name in sides} for _ in range(2))
    ends = {}
    for _ in range(REPEATS):
        for name, side in sides.items():
            few[name] = min(few[name], side(1)[0])
            seconds, ends[name] = side(1 + steps)
            many[name] = min(many[name], seconds)
    return {name: (many[name] - few[name]) / steps for name in sides}, ends


def _apart(start: xr.Dataset, one: xr.Dataset, other: xr.Dataset) -> float:
    begin, here, there = (fourier.weights(spectrum) for spectrum in (start, one, other))
    gone, off = (
        sum(float(((there - from_)[name] ** 2).sum()) for name in ("theta", "xi"))
        for from_ in (begin, here)
    )
    return float((off / gone) ** 0.5)
