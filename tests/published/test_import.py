"""The published runs as they lie: settings, steps, and losses that their weights reproduce."""

import dataclasses

import numpy as np
import pytest
import torch

from grokode import nets

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
    x, y = run.train_pairs.T
    for index in (0, checkpoints // 2, checkpoints - 2):
        weights = run.weights.isel(step=index)
        logits = nets.logits(weights.theta, weights.xi, activation, run.train_pairs)
        answers = torch.tensor((x + y) % 23)
        loss = torch.nn.functional.cross_entropy(torch.tensor(logits), answers)
        at = int(weights.step)
        stored = float(run.metrics.train_loss.sel(step=at))
        # Stored losses carry the float32 rounding of 3.1 or, when small, of their logits.
        assert np.isclose(float(loss), stored, rtol=2e-5, atol=1e-6)
        norm = np.sqrt(float((weights.theta**2).sum() + (weights.xi**2).sum()))
        # Float32 sums of twenty thousand squares.
        assert float(run.metrics.weight_norm.sel(step=at)) == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("name", [QUAD, RELU])
def test_trained_again_the_published_runs_come_out(published, tmp_path, name):
    """From their first checkpoint, whose update had rate 0, to their second, 200 updates later."""
    run = nets.import_published(published / name, tmp_path / "run")
    assert run.metrics.train_loss[0] == run.metrics.train_loss[1]
    config = dataclasses.replace(run.config, steps=201, checkpoint_every=201)
    again = nets.train(
        config,
        tmp_path / "again",
        initial=run.spectra().isel(step=0, drop=True),
        train_pairs=run.train_pairs,
    )
    for layer in ("theta", "xi"):
        first, second = (run.weights[layer].sel(step=step) for step in (1, 201))
        difference = np.linalg.norm(again.weights[layer].sel(step=201) - second)
        # Float32 rounding, which AdamW turns into full steps where a gradient is nearly zero.
        # Without the warm-up it is 3% of the way on the Quad run and 6% on the ReLU run.
        assert difference < 1e-3 * np.linalg.norm(second - first)
