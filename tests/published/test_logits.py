"""Logits of the published runs' last checkpoints: numbers measured before, by other code."""

import pytest

from grokode import compare, nets
from grokode.compare.logits.budget import logit_budget

QUAD = "p_23_dmlp_512_Quad_random_scale_0.1_decay_0_08151413"
RELU = "p_23_dmlp_512_ReLU_random_scale_0.1_decay_2.0_08180102"


def last_checkpoint(published, tmp_path, name):
    run = nets.import_published(published / name, tmp_path / "run")
    weights = compare.checkpoint(run)
    return weights.theta.values, weights.xi.values, run.config.activation


def r2(fit, name):
    return float(fit.fit_r2.sel(fit=name))


def test_quadratic_run(published, tmp_path):
    theta, xi, activation = last_checkpoint(published, tmp_path, QUAD)
    fit = compare.logits(theta, xi, activation)
    # Given to five digits and to two.
    assert float(fit.r2) == pytest.approx(0.19962, abs=5e-6)
    assert r2(fit, "proposition_1_per_frequency") == pytest.approx(0.32, abs=5e-3)
    # The published 0.66 leaves the projected network's scale as it is.
    assert r2(fit, "single_frequency_unscaled") == pytest.approx(0.66, abs=5e-3)
    assert r2(fit, "single_frequency") > r2(fit, "single_frequency_unscaled")
    # Fitted and computed from the weights: 1.14 and 1.22.
    assert float(fit.scale) == pytest.approx(1.14, abs=5e-3)
    assert float(fit.expected_scale) == pytest.approx(1.22, abs=5e-3)

    budget = logit_budget(theta, xi, activation)
    # The parts sum to the logits to float64 rounding; 1e-10 is what is promised.
    assert float(budget.closure) < 1e-10
    assert float(budget.covariance.sum()) == pytest.approx(1, abs=1e-10)
    share = budget.share
    # A kernel's fit per frequency and the signal of the weights are one pattern at other scales:
    # projecting the logits on the signal explains at most what the fit explains, and nearly that.
    projected = float(budget.covariance.sel(part="signal").sum() ** 2 / share.sel(part="signal"))
    fitted = r2(fit, "proposition_1_per_frequency")
    assert 0.99 * fitted < projected <= fitted
    # Phases are so unevenly spread that both noises are as large as the signal, to a factor of 2.
    for part in ("two_phase", "four_phase"):
        assert 1 / 2 < float(share.sel(part=part) / share.sel(part="signal")) < 2


def test_relu_run(published, tmp_path):
    theta, xi, activation = last_checkpoint(published, tmp_path, RELU)
    fit = compare.logits(theta, xi, activation)
    # Given to two digits.
    assert float(fit.r2) == pytest.approx(0.67, abs=5e-3)
    assert r2(fit, "relu_kernel") == pytest.approx(0.81, abs=5e-3)
    own = fit.sel(kernel="relu_kernel")
    # Aligned single-frequency neurons: the scale of the weights is the fitted one to a few percent.
    assert float(own.weights_scale.mean()) == pytest.approx(float(own.uniform_scale), rel=0.05)

    budget = logit_budget(theta, xi, activation)
    assert float(budget.closure) < 1e-10
    assert float(budget.covariance.sum()) == pytest.approx(1, abs=1e-10)
    projected = budget.covariance.sel(part="signal").sum() ** 2 / budget.share.sel(part="signal")
    fitted = r2(fit, "relu_kernel_per_frequency")
    assert 0.99 * fitted < float(projected) <= fitted
