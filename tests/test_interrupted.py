"""Ctrl-C and SIGTERM in the middle: a training ends on the same bits, a ladder leaves nothing."""

import dataclasses
import os
import random
import signal
import time
from functools import partial

import numpy as np
import pytest

from grokode import compare
from grokode.compare.lottery import retrained
from grokode.nets import TrainingConfig, open_run, train
from grokode.theory.predictors import PREDICTORS
from tests.attack.kills import command, ended, started
from tests.kinds import ATTENTION, PAIRS, SEQUENCES

if not hasattr(os, "fork"):
    pytest.skip("this system does not fork", allow_module_level=True)

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
EVERY = {"steps": 10**6, "checkpoint_every": 3, "log_every": 2}
KINDS = {
    "two layers": {**PAIRS, "optimizer": "adamw", "dropout": 0.1},
    "learned embedding": {**PAIRS, "embedding": 3, "momentum": 0.5},
    "transformer": {"p": 5, **ATTENTION, "optimizer": "adamw", "train_fraction": 0.6},
    "summed embeddings": {"p": 5, "network": "summed_embeddings", "width": 4},
    "recurrent": {"network": "recurrent", **SEQUENCES, "learning_rate": 1e-3},
}


def until_published(child, path, steps):
    """Wait until a training has published so many checkpoints; it does not outlive a failure."""
    until = time.monotonic() + 600
    try:
        while not (path / "run.json").exists() or published(path) < steps:
            assert time.monotonic() < until
            time.sleep(0.005)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        ended(child)
        raise


def published(path):
    return open_run(path).parameters.sizes["step"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_goes_on_to_the_same_bits(kind, tmp_path):
    config = TrainingConfig(**KINDS[kind] | EVERY)
    path, moments, seen = tmp_path / "run", random.Random(0), 0
    again = command("train", "--resume", "--out", "{out}")
    for call, number, code in (
        (lambda source, out: train(config, out, seeds=[0, 3]), signal.SIGINT, 2),
        *((again, number, code) for number, code in CODES.items()),
    ):
        child = started(call, tmp_path, path)
        until_published(child, path, seen + 2)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(child, number)
        assert ended(child) == code
        seen = published(path)
    done = config.replace(steps=int(open_run(path).parameters.step[-1]) + 10)
    resumed = train(done, path, seeds=[0, 3], resume=True)
    whole = train(done, tmp_path / "whole", seeds=[0, 3])
    assert resumed.parameters.drop_attrs().equals(whole.parameters.drop_attrs())
    assert resumed.metrics.equals(whole.metrics)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("name", ["ticket_flow", "retrained"])
def test_a_ladder_ends_at_once_and_leaves_nothing(number, name, tmp_path, monkeypatch):
    run = train(TrainingConfig(**PAIRS | {"scale": 0.1}), tmp_path / "run")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with monkeypatch.context() as patch:
        if name == "retrained":
            stop = lambda *_: os.kill(os.getpid(), number)  # noqa: E731
            patch.setattr(retrained, "train", partial(train, on_step=stop))
        else:
            one = PREDICTORS[name]

            def predict(*arguments):
                os.kill(os.getpid(), number)
                return one.predict(*arguments)

            patch.setitem(PREDICTORS, name, dataclasses.replace(one, predict=predict))
        asked = command("winners", "{source}", "--rule", name)
        assert ended(started(asked, run.path, tmp_path)) == CODES[number]
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert after == before
    assert not [*(tmp_path / "temporary").iterdir()]
    measured = compare.QUESTIONS["lottery"].measure(run, [name])
    assert np.isfinite(measured["ceiling" if name == "retrained" else "winners"].accuracy).all()
