"""A small training, and the files of a run."""

from grokode.nets.training.config import TrainingConfig

SMALL = TrainingConfig(
    p=5, neurons=3, dtype="float64", steps=20, checkpoint_every=10, log_every=5, scale=0.5
)


def files_of(path):
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name != ".lock")
