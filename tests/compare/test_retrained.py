"""A network trained again goes on as the run did, whatever it trains and wherever it begins."""

import numpy as np
import pytest

from grokode import nets
from grokode.compare.lottery import retrained as module
from grokode.compare.lottery.outcomes import ceiling
from grokode.nets.training.loop import DivergedError

CONFIG = nets.TrainingConfig(
    p=5,
    neurons=8,
    learning_rate=0.5,
    weight_decay=0.3,
    decay_until=40,
    steps=80,
    checkpoint_every=20,
    log_every=20,
    dtype="float64",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return nets.train(CONFIG, tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.parametrize("begun", [0, 20, 40, 60])
def test_decay_ends_where_it_ended_wherever_the_run_begins(run, monkeypatch, begun):
    later = run.parameters.sel(step=slice(begun, None))
    monkeypatch.setattr(module, "_checkpoints", lambda of: later)
    again = module.retrained(run, ["float64"])
    # The same weights but for rounding, so the same logits; decay too long or short costs percents.
    np.testing.assert_allclose(again.logit_r2, 1, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "inputs",
    [{"embedding": 6}, {"separate_inputs": True}, {"embedding": 6, "separate_inputs": True}],
)
def test_whatever_is_trained_is_trained_again(tmp_path, inputs):
    run = nets.train(CONFIG.replace(scale=1.0, **inputs), tmp_path / "run")
    again = module.retrained(run, ["float64", "kick"])
    # The very training from the same start; a kick of 1e-6 costs its square, and grows.
    off = 1 - again.logit_r2.values
    assert off[0] < 1e-14 < off[1] < 1e-8
    assert again.accuracy.values.tolist() == [1, 1]
    assert again.pairs_right[0] == run.metrics.train_accuracy[-1]


def test_a_run_of_a_card_is_trained_again_where_there_is_none(run):
    again = module.retrained(run, ["float64"])
    run.__dict__["config"] = run.config.replace(device="cuda")
    try:
        assert module.retrained(run, ["float64"]).equals(again)
    finally:
        run.__dict__["config"] = run.config.replace(device=CONFIG.device)


def test_one_that_diverges_again_is_a_reason(run, monkeypatch):
    def diverging(*_, **__):
        raise DivergedError("the loss stopped being finite")

    monkeypatch.setattr(module, "train", diverging)
    assert "diverges when it is trained again" in ceiling(run).attrs["reason"]


def test_a_warm_up_of_one_step_leaves_its_memory(tmp_path, monkeypatch):
    """As theory has it, see `TrainingRule.unmoved`."""
    config = CONFIG.replace(
        optimizer="adamw", learning_rate=1e-2, warmup=1, checkpoint_every=1, steps=20
    )
    run = nets.train(config.replace(decay_until=None), tmp_path / "run")
    later = run.parameters.sel(step=slice(1, None))
    monkeypatch.setattr(module, "_checkpoints", lambda of: later)
    np.testing.assert_allclose(module.retrained(run, ["float64"]).logit_r2, 1, rtol=0, atol=1e-9)
