"""Stages of the published grokking run, as its figures and text have them."""

import pytest

from grokode import nets
from grokode.compare.grokking.perturbed import non_feature_decay, perturbed_lottery
from grokode.compare.grokking.stages import per_stage, stages
from tests.published.test_import import QUAD, RELU


@pytest.fixture(scope="module")
def relu(published, tmp_path_factory):
    return nets.import_published(published / RELU, tmp_path_factory.mktemp("relu") / "run")


@pytest.fixture(scope="module")
def grokking(relu):
    return stages(relu)


def test_boundaries(grokking):
    assert (grokking.memorised.step, grokking.generalised.step) == (2200, 10400)
    assert (grokking.memorised.lapses, grokking.generalised.lapses) == (0, 0)


def test_plateau_is_the_mirrored_pairs_and_nothing_else(grokking):
    """Figure 15: what was trained or mirrored is right, what is unseen all wrong."""
    at = grokking.series.sel(step=2201)
    assert at.accuracy.values.tolist() == [1, 1, 0]
    # 94 of the 133 test pairs; the text says about 70%.
    assert grokking.free_accuracy["mirrored"] == float(at.test_accuracy) == 94 / 133
    plateau = grokking.series.test_accuracy.sel(step=slice(2201, 5001))
    assert (plateau == 94 / 133).all()


def test_common_pairs_are_memorised_first(grokking):
    """Figure 16: near step 1000 the common pairs are known, and the rare ones all wrong."""
    common, rare, _ = grokking.series.group_accuracy.sel(step=1001).values
    assert (common, rare) == (1, 0)
    start = grokking.series.group_accuracy.isel(step=0).sel(group="rare")
    assert float(start) > 0
    assert float(grokking.series.group_accuracy.sel(step=2201).min()) == 1


def test_progress_measures(grokking):
    """Figure 14: misalignment falls and sparsity grows from stage to stage; the norm turns."""
    means = per_stage(grokking).sel(summary="mean")
    assert (means.mean_abs_sin.diff("stage") < 0).all()
    assert (means.participation_theta.diff("stage") > 0).all()
    assert (means.participation_xi.diff("stage") > 0).all()
    norm = grokking.series.weight_norm
    assert 8000 < int(norm.idxmax("step")) < 10401
    assert float(norm[-1]) < float(norm.max())


def test_agreement_with_what_the_run_stored(grokking, relu):
    # A numbered checkpoint holds the accuracy from before its last update; the final one none.
    measured = grokking.series.isel(step=slice(-1))
    logged = relu.metrics.sel(step=measured.step - 1)
    for name, pairs in (("train_accuracy", 396), ("test_accuracy", 133)):
        gap = abs(measured[name].values - logged[name].values)
        # One update changes at most a pair or two, and only while they are being learned.
        assert gap.max() < 2.5 / pairs, name
        assert (gap > 1e-9).mean() < 0.05, name


def test_forces_balance_in_the_last_stage(grokking):
    """AdamW: the loss's force does not die with the gradient, it comes to rest against decay."""
    last = grokking.series.isel(step=-1)
    assert float(last.gradient_norm) < 1e-4 * float(last.decay_norm)
    # The norm moves by 1e-3 of itself in the last fifth of the run, so the forces differ by less.
    assert float(last.push_norm) == pytest.approx(float(last.decay_norm), rel=1e-3)
    assert float(last.push_cosine) < -0.99


def test_frequencies_that_did_not_win_do_not_decay_as_stated(grokking):
    fits = non_feature_decay(grokking)
    # Learning rate 1e-4, decay 2.
    assert fits.attrs["predicted"] == pytest.approx(2e-4)
    assert (fits.ratio.sel(window="memorised") < 0).all()
    assert (fits.ratio_interval.sel(window="after memorisation", bound="high") < 0.1).all()


def test_the_missing_pairs_decide_the_lottery(grokking, relu):
    lottery = perturbed_lottery(relu, grokking)
    trained, everything = lottery.winners.values
    # Measured before by other code: about 0.70 with the mask.
    assert trained >= 0.70
    assert lottery.interval.sel(variant="training pairs", bound="low") > everything


def test_quad_run_has_no_held_out_pairs(published, tmp_path):
    grokking = stages(nets.import_published(published / QUAD, tmp_path / "run"))
    assert grokking.generalised.reason == "every test pair was trained on"
    assert grokking.memorised.step is not None
