"""One tiny run of every kind there is, for what must answer or refuse whatever it is given."""

import contextlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from grokode import nets
from grokode.nets.runs import RunWriter
from grokode.nets.training.loop import DivergedError
from tests.checkpoints import write_checkpoints

SCHEDULE = {"steps": 4, "checkpoint_every": 2, "log_every": 2}
PAIRS = {"p": 5, "neurons": 4, "scale": 1.0, **SCHEDULE}
ATTENTION = {"network": "transformer", "width": 4, "heads": 2, "neurons": 4}
# Sequences of up to three symbols, and few of another length to test on.
SEQUENCES = {"length": 3, "neurons": 4, "test_sequences": 4, "test_length": 5, "batch": 4}


def trained(**settings):
    def make(folder):
        return nets.train(nets.TrainingConfig(**SCHEDULE | settings), folder)

    return make


def seeds(folder):
    nets.train(nets.TrainingConfig(**PAIRS, train_fraction=0.6), folder, seeds=[2, 5])


def diverged(folder):
    config = nets.TrainingConfig(**PAIRS | {"learning_rate": 1e12, "checkpoint_every": 1})
    with contextlib.suppress(DivergedError):
        nets.train(config, folder)


def published(folder):
    source = write_checkpoints(folder.with_name("p_5_dmlp_4_Quad_random_scale_0.1_decay_0"))
    nets.import_checkpoint(source, folder)


def own_file(folder, weights=None, **options):
    """Two matrices of a user, in one file: one checkpoint, and no word of what it learnt from."""
    rng = np.random.default_rng(0)
    W, U = (rng.normal(size=(8, 5)), rng.normal(size=(5, 8))) if weights is None else weights
    np.savez(folder.with_suffix(".npz"), W=W, U=U)
    nets.import_checkpoint(
        folder.with_suffix(".npz"), folder, input_weights="W", activation="relu", **options
    )


def dead(folder):
    own_file(folder, (np.zeros((8, 5)), np.zeros((5, 8))), train_pairs="all")


class Killed(BaseException):
    pass


def begun(folder):
    """Killed before its first checkpoint: only its configuration is on disk."""
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(RunWriter, "checkpoint", _killed)
        nets.train(nets.TrainingConfig(**PAIRS), folder)


def _killed(*_):
    raise Killed


def format_2(name):
    def make(folder):
        with zipfile.ZipFile(Path(__file__).parent / "nets/stores/format2.zip") as archive:
            for member in archive.namelist():
                if member.startswith(f"{name}/"):
                    archive.extract(member, folder.parent / "format2")
        (folder.parent / "format2" / name).rename(folder)

    return make


def no_state(folder):
    nets.train(nets.TrainingConfig(**PAIRS), folder)
    for file in folder.glob("state-*.pth"):
        file.unlink()


def spoiled(folder):
    """Its last checkpoint is damaged."""
    nets.train(nets.TrainingConfig(**PAIRS), folder)
    (folder / "arrays.zarr/weights/theta/c.2.0.0.0").write_bytes(b"")


MADE = {
    "all pairs": trained(**PAIRS),
    "part of the pairs": trained(**PAIRS, train_fraction=0.6, activation="relu", optimizer="adamw"),
    "learned embedding": trained(**PAIRS, embedding=3),
    "separate inputs": trained(**PAIRS, separate_inputs=True, train_fraction=0.6),
    "separate embedded": trained(**PAIRS, separate_inputs=True, embedding=3),
    "dropout": trained(**PAIRS, dropout=0.5, activation="gelu"),
    "single frequency": trained(**PAIRS, initial="single_frequency"),
    "smallest": trained(**PAIRS | {"p": 3, "neurons": 1, "steps": 1}),
    "subtraction": trained(**PAIRS, task="subtraction", train_fraction=0.6),
    "multiplication": trained(**PAIRS, task="multiplication"),
    "dihedral": trained(**ATTENTION, data="dihedral", corners=3),
    "transformer": trained(p=5, **ATTENTION, train_fraction=0.6),
    "attention only": trained(p=5, **ATTENTION | {"neurons": 0}),
    "two storeys": trained(p=5, **ATTENTION, layers=2),
    "summed embeddings": trained(p=5, network="summed_embeddings", width=4),
    "parity": trained(network="recurrent", data="parity", **SEQUENCES),
    "automaton": trained(network="recurrent", data="automaton", **SEQUENCES),
    "two seeds": seeds,
    "diverged": diverged,
    "published": published,
    "unknown split": own_file,
    "one checkpoint": lambda folder: own_file(folder, train_pairs=[[0, 1], [1, 2], [3, 3]]),
    "dead": dead,
    "format 2": format_2("one_seed"),
    "format 2 diverged": format_2("diverged"),
    "begun": begun,
    "no state": no_state,
    "spoiled": spoiled,
}
