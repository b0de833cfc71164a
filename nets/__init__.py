"""What real networks do: tasks, matched initialisations, training, runs on disk (torch)."""

import os

import torch

from grokode.nets.config import TrainingConfig, parse_setting
from grokode.nets.ensemble import Weights
from grokode.nets.initial import equal_magnitude, gaussian, single_frequency
from grokode.nets.interventions import align_phases, freeze_phases, redraw_phases
from grokode.nets.mlp import logits
from grokode.nets.presets import PRESETS, preset
from grokode.nets.published import import_published
from grokode.nets.runs import Run, open_run
from grokode.nets.tasks import all_pairs, split_pairs
from grokode.nets.training import DivergedError, train

__all__ = [
    "PRESETS",
    "DivergedError",
    "Run",
    "TrainingConfig",
    "Weights",
    "align_phases",
    "all_pairs",
    "equal_magnitude",
    "freeze_phases",
    "gaussian",
    "import_published",
    "logits",
    "open_run",
    "parse_setting",
    "preset",
    "redraw_phases",
    "single_frequency",
    "split_pairs",
    "train",
]

if hasattr(os, "register_at_fork"):
    # A process forked from one whose OpenMP threads run would wait for threads that it lacks.
    # One thread needs none; torch's own data loaders do the same.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
