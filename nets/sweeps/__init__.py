"""Sweeps: many configurations trained, on one machine or a cluster, and read as one Dataset."""

from grokode.nets.sweeps.engine import PointFailed, Progress, run_sweep
from grokode.nets.sweeps.results import SweepResult, open_sweep
from grokode.nets.sweeps.sweep import Sweep, read_sweep

__all__ = [
    "PointFailed",
    "Progress",
    "Sweep",
    "SweepResult",
    "open_sweep",
    "read_sweep",
    "run_sweep",
]
