"""A network trained again goes on as the run did, also from a checkpoint in its middle."""

import numpy as np
import pytest

from grokode import nets
from grokode.compare.lottery import retrained as module

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
    weights = module.one_network(run).load()
    later = weights.sel(step=slice(begun, None))
    monkeypatch.setattr(module, "one_network", lambda of: later)
    again = module.retrained(run, ["float64"])
    # The same weights but for rounding, so the same logits; decay too long or short costs percents.
    np.testing.assert_allclose(again.logit_r2, 1, rtol=0, atol=1e-9)
