"""The published runs as they lie: settings, steps, and losses that their weights reproduce."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.mlp import Batch

QUAD = "p_23_dmlp_512_Quad_random_scale_0.1_decay_0_08151413"
RELU = "p_23_dmlp_512_ReLU_random_scale_0.1_decay_2.0_08180102"


@pytest.mark.parametrize(
    ("name", "activation", "optimizer", "checkpoints", "last", "pairs"),
    [
        (QUAD, "quadratic", "sgd", 51, 10_000, (529, 529)),
        (RELU, "relu", "adamw", 251, 50_000, (396, 133)),
    ],
)
def test_published_run(published, tmp_path, name, activation, optimizer, checkpoints, last, pairs):
    run = nets.import_published(published / name, tmp_path / "run")
    assert (run.config.activation, run.config.optimizer) == (activation, optimizer)
    assert (run.weights.sizes["step"], int(run.weights.step[-1])) == (checkpoints, last)
    assert (len(run.train_pairs), len(run.test_pairs)) == pairs
    # Weights of step s reproduce the loss that was stored for step s, in the float32 of the run.
    batch = Batch.of(run.train_pairs, 23, torch.float64, "cpu")
    for index in (0, checkpoints // 2, checkpoints - 2):
        weights = run.weights.isel(step=index)
        theta, xi = (torch.tensor(w.values.astype(float)) for w in (weights.theta, weights.xi))
        loss, _ = batch.loss_and_accuracy(theta, xi, activation)
        stored = float(run.metrics.train_loss.sel(step=int(weights.step)))
        # Stored losses carry the float32 rounding of 3.1 or, when small, of their logits.
        assert np.isclose(loss, stored, rtol=2e-5, atol=1e-6)
