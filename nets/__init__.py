"""What real networks do: tasks, matched initialisations, training, runs on disk (torch)."""

from grokode.nets.config import TrainingConfig, parse_setting
from grokode.nets.ensemble import Weights
from grokode.nets.initial import equal_magnitude, gaussian, single_frequency
from grokode.nets.interventions import align_phases, freeze_phases, redraw_phases
from grokode.nets.mlp import logits
from grokode.nets.presets import PRESETS, preset
from grokode.nets.readers import READERS, Imported, Reader, import_checkpoint, import_published
from grokode.nets.runs import Run, open_run
from grokode.nets.tasks import all_pairs, split_pairs
from grokode.nets.training import DivergedError, train

__all__ = [
    "PRESETS",
    "READERS",
    "DivergedError",
    "Imported",
    "Reader",
    "Run",
    "TrainingConfig",
    "Weights",
    "align_phases",
    "all_pairs",
    "equal_magnitude",
    "freeze_phases",
    "gaussian",
    "import_checkpoint",
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
