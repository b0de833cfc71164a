"""The run store under attack: long histories, a reader in a loop, size."""

import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from grokode import nets
from grokode.nets.runs import RunWriter, open_run
from grokode.nets.runs.layout import expected
from grokode.nets.training.config import TrainingConfig
from tests.nets.store_model import StoreMachine, data, small_chunks

pytestmark = pytest.mark.attack


def test_many_histories_against_a_model(monkeypatch):
    small_chunks(monkeypatch)
    many = settings(max_examples=150, stateful_step_count=50, deadline=None, database=None)
    run_state_machine_as_test(StoreMachine, settings=many)


WRITER = """
import sys
from grokode import nets
config = nets.TrainingConfig(p=5, neurons=4, dtype="float64", steps=int(sys.argv[2]),
                             checkpoint_every=1, log_every=1, log_grid=True, scale=0.5)
nets.train(config, sys.argv[1], seeds=[0, 3])
"""


def test_a_reader_in_a_loop_never_meets_half_a_run(tmp_path):
    path, steps = tmp_path / "run", 400
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(steps)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    looks, seen, kept = 0, 0, None
    while writer.poll() is None or looks == 0:
        if not (path / "run.json").exists():
            time.sleep(0.01)
            continue
        run = nets.open_run(path)
        run.check_files()
        count = run.weights.sizes["step"]
        assert count >= seen
        assert np.isfinite(run.weights.theta.isel(step=-1)).all()
        assert run.metrics.sizes["step"] == run.correct.sizes["step"] == count
        if kept is None:
            kept = run, run.metrics, run.correct.load()
        # What was opened first stays as it was, though its tail is long gone.
        assert kept[0].metrics.equals(kept[1])
        assert kept[0].correct.equals(kept[2])
        looks, seen = looks + 1, count
    assert writer.wait() == 0
    assert looks > 3
    assert nets.open_run(path).weights.sizes["step"] == steps + 1


def fill(path, checkpoints, seeds, logged):
    """A run of a tiny network; returns the memory in use at a fifth and at the end, in bytes."""
    config = TrainingConfig(p=3, neurons=2)
    layouts, used = expected(config)[0], []
    tracemalloc.start()
    with RunWriter(path) as writer:
        writer.create(config, seeds, layouts, data(config, seeds), {"seconds": 0.0})
        one = {name: np.ones((len(seeds), *of.shape), "float32") for name, of in layouts.items()}
        rows = np.ones((len(seeds), 6))
        for step in range(checkpoints):
            writer.checkpoint(step, seeds, one)
            writer.log(seeds, [(step * logged + row, rows) for row in range(logged)])
            writer.publish(seeds, {"momentum": torch.zeros(12)}, 1.0)
            if step in (checkpoints // 5, checkpoints - 1):
                used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return used


@pytest.mark.parametrize(
    ("checkpoints", "seeds", "logged"), [(5000, 1, 2), (300, 256, 4), (200, 1, 5000)]
)
def test_memory_stays_flat_and_opening_is_quick(tmp_path, checkpoints, seeds, logged):
    """5,000 checkpoints, 256 seeds, a million logged steps."""
    early, late = fill(tmp_path / "run", checkpoints, range(seeds), logged)
    # What one more publication needs comes and goes; nothing is kept of those before.
    assert late < early + 2**21
    began = time.process_time()
    run = open_run(tmp_path / "run")
    took = time.process_time() - began
    assert run.weights.sizes["step"] == checkpoints
    assert run.metrics.sizes["step"] == checkpoints * logged
    run.check_files()
    # A bound on work, of this process alone; measured 0.15 s for 5,000 checkpoints.
    assert took < 5
