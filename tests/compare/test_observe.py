"""How a run becomes theory's input."""

import dataclasses

import numpy as np
import pytest

from grokode import nets
from grokode.compare.common.observe import checkpoint_accuracy, training_rule

CONFIG = nets.TrainingConfig(
    p=7,
    neurons=6,
    dtype="float64",
    steps=60,
    checkpoint_every=20,
    log_every=10,
    scale=0.1,
    train_fraction=0.8,
)


def test_the_summed_loss_is_the_mean_with_a_larger_rate(tmp_path):
    config = dataclasses.replace(CONFIG, weight_decay=0.01)
    mean = nets.train(config, tmp_path / "mean")
    pairs = len(mean.train_pairs)
    of_sum = dataclasses.replace(
        config,
        loss="sum",
        learning_rate=config.learning_rate / pairs,
        weight_decay=config.weight_decay * pairs,
    )
    summed = nets.train(of_sum, tmp_path / "sum")
    # The same trainings but for the order of a product.
    np.testing.assert_allclose(summed.weights.theta, mean.weights.theta, rtol=1e-10)
    rules = training_rule(summed), training_rule(mean)
    assert rules[0].time_per_step == pytest.approx(rules[1].time_per_step, rel=1e-14)
    assert rules[0].weight_decay == pytest.approx(rules[1].weight_decay, rel=1e-14)


@pytest.mark.parametrize(
    "change", [{"task": "multiplication"}, {"separate_inputs": True}, {"embedding": 3}]
)
def test_what_theory_has_no_word_on_is_refused(tmp_path, change):
    run = nets.train(dataclasses.replace(CONFIG, **change), tmp_path / "run")
    with pytest.raises(ValueError, match=r"theory (is about addition|has no rule)"):
        training_rule(run)


def test_checkpoint_accuracy_is_that_of_the_same_step(tmp_path):
    run = nets.train(CONFIG, tmp_path / "run")
    accuracy = checkpoint_accuracy(run)
    assert accuracy.measured_at.values.tolist() == run.weights.step.values.tolist()
    at = run.metrics.test_accuracy.sel(step=run.weights.step)
    np.testing.assert_array_equal(accuracy.test_accuracy, at)
    # A checkpoint that nothing was logged at has no accuracy, rather than that of another step.
    rare = nets.train(dataclasses.replace(CONFIG, log_every=60), tmp_path / "rare")
    assert np.isnan(checkpoint_accuracy(rare).test_accuracy.values[1:-1]).all()
