"""Statistics against independent computations, and reasons where there is no number."""

import json

import numpy as np
import pytest
from scipy import stats

from grokode import nets
from grokode.compare.statistics import (
    block_permutation,
    grokking_step,
    lead_lag,
    pooled,
    regression,
    score_statistics,
)


def test_permutation_p_is_uniform_without_a_relation():
    """Under the null a p below 0.2 comes up in a fifth of the cases."""
    rng = np.random.default_rng(0)
    found = [
        block_permutation(*rng.normal(size=(2, 40)), block=4, draws=99, seed=seed)
        for seed in range(200)
    ]
    # Four standard errors of a proportion over 200 draws.
    assert np.mean(np.array(found) <= 0.2) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 200))


def test_permutation_sees_a_relation():
    x = np.random.default_rng(1).normal(size=60)
    assert block_permutation(x, x, draws=199) == 1 / 200
    assert block_permutation(x, -x, draws=199) == 1 / 200


def test_regression_is_least_squares():
    rng = np.random.default_rng(2)
    a, b, score, noise = rng.normal(size=(4, 200))
    y = 0.5 + 2 * a - b + 0.7 * score + 0.3 * noise
    found = regression(y, {"a": a, "b": b}, score)
    design = np.column_stack([np.ones(200), a, b, score])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    for name, values, coefficient in zip(
        ("a", "b", "score"), design.T[1:], solution[1:], strict=True
    ):
        # A standardised coefficient is the plain one times its regressor's spread.
        standardised = coefficient * values.std()
        assert found["with_score"]["coefficients"][name] == pytest.approx(standardised)
        low, high = found["with_score"]["intervals"][name]
        assert low < standardised < high
        # Errors of 0.3 over 200 draws: two standard errors of 0.021 either way.
        assert high - low == pytest.approx(4 * 0.3 / np.sqrt(200), rel=0.5)
    without = design[:, :3]
    residuals = [
        values - without @ np.linalg.lstsq(without, values, rcond=None)[0] for values in (y, score)
    ]
    partial = stats.pearsonr(*residuals).statistic
    assert found["partial_correlation"] == pytest.approx(partial, abs=1e-10)
    assert "constant" in regression(y, {"a": np.ones(200)}, score)
    assert "too few" in regression(y[:5], {"a": a[:5]}, score[:5])


def test_lead_lag_finds_who_moves_first():
    x = np.cumsum(np.random.default_rng(3).normal(size=100))
    found = lead_lag(x, np.roll(x, 3), spacing=100)
    best = found["lags"][int(np.argmax(found["pearson"]))]
    assert best == 300
    assert "too few" in lead_lag(x[:12], x[:12], 100)


def test_pooling_is_fishers():
    found = pooled([0.5, 0.7, 0.9, "constant"])
    z = np.arctanh([0.5, 0.7, 0.9])
    low, high = stats.t.interval(0.95, 2, loc=z.mean(), scale=stats.sem(z))
    assert found["mean"] == pytest.approx(np.tanh(z.mean()))
    assert found["interval"] == pytest.approx([np.tanh(low), np.tanh(high)])
    assert (found["runs"], found["left_out"]) == (3, 1)
    assert isinstance(pooled(["constant"])["mean"], str)
    assert isinstance(pooled([0.5])["interval"], str)


def test_reasons_stand_in_place_of_numbers(tmp_path):
    config = nets.TrainingConfig(
        p=5, neurons=8, steps=40, checkpoint_every=20, log_every=20, train_fraction=0.8
    )
    few = score_statistics(nets.train(config, tmp_path / "few"))
    assert few["pearson"]["ell_neuron"] == "too few checkpoints (3; 8 are needed)"
    assert few["t_grok"].startswith("not found")
    json.dumps(few, allow_nan=False)
    still = nets.TrainingConfig(
        p=5,
        neurons=8,
        steps=20,
        checkpoint_every=1,
        log_every=1,
        train_fraction=0.8,
        learning_rate=1e-9,
    )
    constant = score_statistics(nets.train(still, tmp_path / "still"))
    assert constant["pearson"]["ell_neuron"] == "test accuracy is constant"
    assert constant["regression"] == "test accuracy is constant"
    json.dumps(constant, allow_nan=False)
    assert grokking_step(np.array([np.nan]), np.array([0])).endswith("no test pairs")
