"""Numbers of the published runs that were measured independently of this code."""

import pytest

from grokode import compare, nets

QUAD = "p_23_dmlp_512_Quad_random_scale_0.1_decay_0_08151413"


@pytest.fixture(scope="module")
def quad(published, tmp_path_factory):
    return nets.import_published(published / QUAD, tmp_path_factory.mktemp("runs") / "quad")


def test_winners(quad):
    named = compare.winners(quad, ["chance", "misalignment", "blowup_time"])
    right = (named.accuracy * named.sizes["neuron"]).round().astype(int)
    assert named.attrs["chance"] == float(named.accuracy.sel(predictor="chance")) == 1 / 11
    assert int(right.sel(predictor="misalignment")) == 95
    assert int(right.sel(predictor="blowup_time")) == 424
    # Wilson's interval of 424 in 512 at 95%, from its closed form.
    share, n, z = 424 / 512, 512, 1.959964
    middle = (share + z**2 / 2 / n) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / 4 / n**2) ** 0.5
    low, high = named.interval.sel(predictor="blowup_time").values
    assert (low, high) == pytest.approx((middle - half, middle + half), rel=1e-6)


def test_logits_follow_proposition_1_only_in_part(quad):
    weights = compare.checkpoint(quad)
    fit = compare.logits(weights.theta, weights.xi)
    # Given to four digits.
    assert float(fit.r2) == pytest.approx(0.1996, abs=5e-5)
    assert float(fit.accuracy) == 1


def test_theory_follows_the_published_run_over_its_plateau(quad):
    errors = compare.trajectory_errors(compare.trajectories(quad))
    plateau = errors.sel(step=errors.loss_drop <= 0.005)
    assert plateau.step[-1] >= 6800
    assert (plateau.beta_error <= 0.005).all()
    assert (plateau.leader_agreement >= 0.99).all()
    # The last 200 steps of the plateau's end: within 2% until 1.3% below log p.
    assert (errors.beta_error[errors.loss_drop <= 0.012] <= 0.02).all()
