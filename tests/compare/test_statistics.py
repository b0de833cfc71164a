"""Statistics against independent computations, and reasons where there is no number."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats

from grokode import nets
from grokode.compare.alignment.figures import (
    lead_lag_profile,
    score_against_accuracy,
    score_curves,
)
from grokode.compare.alignment.scores import scores
from grokode.compare.alignment.statistics import (
    BASELINES,
    FEWEST,
    block_permutation,
    lead_lag,
    pooled,
    regression,
    score_statistics,
    statistics_table,
)
from grokode.compare.common.events import boundary
from grokode.compare.common.observe import checkpoint_accuracy


def run_of(steps, test, train=None, logged=None):
    """As much of a run as the statistics read: random weights that grow, and these accuracies."""
    rng = np.random.default_rng(7)
    steps, p = np.asarray(steps), 5
    growth = np.linspace(1, 2, len(steps))[:, None, None]
    weights = xr.Dataset(
        {
            "theta": (("step", "neuron", "x"), growth * rng.normal(size=(len(steps), 6, p))),
            "xi": (("step", "neuron", "output"), growth * rng.normal(size=(len(steps), 6, p))),
        },
        coords={"step": steps},
    )
    columns = {
        "train_accuracy": np.ones(len(steps)) if train is None else train,
        "test_accuracy": test,
        "weight_norm": growth.ravel(),
    }
    metrics = xr.Dataset(
        {name: ("step", np.asarray(values, dtype=float)) for name, values in columns.items()},
        coords={"step": steps if logged is None else logged},
    )
    return SimpleNamespace(
        path="run",
        seed=0,
        seeds=(0,),
        config=SimpleNamespace(p=p, separate_inputs=False),
        weights=weights,
        metrics=metrics,
        knows_split=True,
        train_pairs=np.ones((4, 2), dtype=int),
        test_pairs=np.zeros((4, 2), dtype=int),
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
    fitted = regression(y, {"a": a, "b": b}, score)
    design = np.column_stack([np.ones(200), a, b, score])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    for name, values, coefficient in zip(
        ("a", "b", "score"), design.T[1:], solution[1:], strict=True
    ):
        # A standardised coefficient is the plain one times its regressor's spread.
        standardised = coefficient * values.std()
        assert fitted["with_score"]["coefficients"][name] == pytest.approx(standardised)
        low, high = fitted["with_score"]["intervals"][name]
        assert low < standardised < high
        # Errors of 0.3 over 200 draws: two standard errors of 0.021 either way.
        assert high - low == pytest.approx(4 * 0.3 / np.sqrt(200), rel=0.5)
    without = design[:, :3]
    residuals = [
        values - without @ np.linalg.lstsq(without, values, rcond=None)[0] for values in (y, score)
    ]
    partial = stats.pearsonr(*residuals).statistic
    assert fitted["partial_correlation"] == pytest.approx(partial, abs=1e-10)
    r2 = stats.pearsonr(score, without @ np.linalg.lstsq(without, score, rcond=None)[0])
    assert fitted["variance_inflation"] == pytest.approx(1 / (1 - r2.statistic**2))
    # Nearly collinear is a large number, not a warning: the baseline and 1e-7 of noise.
    nearly = regression(y, {"a": a}, a + 1e-7 * noise)
    own = noise - np.column_stack([np.ones(200), a]) @ stats.linregress(a, noise)[1::-1]
    expected = (a + 1e-7 * noise).var() / (1e-14 * own.var())
    # The difference is known to 1e-16 / 1e-7 of itself.
    assert nearly["variance_inflation"] == pytest.approx(expected, rel=1e-6)
    assert "constant" in regression(y, {"a": np.ones(200)}, score)
    assert "collinear" in regression(y, {"a": a, "b": 2 * a + 1}, score)
    assert "accuracy is constant" in regression(np.ones(200), {"a": a}, score)
    assert "nothing to explain" in regression(a, {"a": a}, score)
    assert "too few" in regression(y[:5], {"a": a[:5]}, score[:5])


def test_lead_lag_finds_who_moves_first():
    x = np.cumsum(np.random.default_rng(3).normal(size=100))
    lag = lead_lag(x, np.roll(x, 3), spacing=100)
    best = lag["lags"][int(np.argmax(lag["pearson"]))]
    assert best == 300
    assert "too few" in lead_lag(x[:12], x[:12], 100)
    # Flat but for the last steps: shifted the other way, those are cut off and nothing is left.
    late = np.where(np.arange(100) < 92, 0.0, x)
    partly = lead_lag(x, late, 100)["pearson"]
    assert partly[0] == "test accuracy is constant"
    assert isinstance(partly[-1], float)


def test_a_gap_in_a_series_is_no_small_p():
    x = np.random.default_rng(8).normal(size=60)
    broken = np.where(np.arange(60) == 9, np.nan, x)
    assert "no score or no accuracy" in block_permutation(broken, x)
    assert "no score or no accuracy" in block_permutation(x, broken)
    assert block_permutation(x, np.ones(60)) == "test accuracy is constant"
    assert block_permutation(x, x, block=20) == f"too few blocks (3 of 20; {FEWEST} are needed)"


def test_longer_blocks_see_through_shared_drift():
    """Two random walks have nothing to do with each other; single checkpoints say they do."""
    rng = np.random.default_rng(9)
    walks = np.cumsum(rng.normal(size=(40, 2, 256)), -1)
    rate = {
        block: np.mean([block_permutation(*walk, block=block, draws=99) <= 0.05 for walk in walks])
        for block in (1, 32)
    }
    # At level 0.05 two of 40 are expected; spurious correlation gives most of them in blocks of 1.
    assert rate[1] > 0.6
    assert rate[32] < rate[1] / 2


def test_grokking_is_sustained():
    steps = np.arange(6) * 100
    spike = np.array([0.1, 0.99, 0.2, 0.96, 0.97, 0.98])
    assert boundary(steps, spike, 0.95, 3, "test accuracy").step == 300
    assert "not held for 3" in boundary(steps[:5], spike[:5], 0.95, 3, "test accuracy").reason
    assert boundary(steps, spike, 0.99, 3, "test accuracy").step is None


def test_pooling_is_fishers():
    pool = pooled([0.5, 0.7, 0.9, "constant"])
    z = np.arctanh([0.5, 0.7, 0.9])
    low, high = stats.t.interval(0.95, 2, loc=z.mean(), scale=stats.sem(z))
    assert pool["mean"] == pytest.approx(np.tanh(z.mean()))
    assert pool["interval"] == pytest.approx([np.tanh(low), np.tanh(high)])
    assert (pool["runs"], pool["left_out"]) == (3, 1)
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
    assert constant["t_grok"].startswith("not found: test accuracy never reached 0.95")


STEPS = 100 * np.arange(60)
RISING = np.clip(np.linspace(-0.3, 1.5, 60), 0, 1)


def test_a_whole_run_has_every_number():
    run = run_of(STEPS, RISING)
    table = score_statistics(run, draws=99)
    assert table["t_grok"] == STEPS[np.flatnonzero(RISING >= 0.95)[0]]
    expected = stats.pearsonr(scores(run).weight_norm, RISING).statistic
    assert table["pearson"]["weight_norm"] == pytest.approx(expected)
    assert set(table["regression"]["without"]["coefficients"]) == set(BASELINES)
    assert table["global_phase"]["verdict"] == "unreliable"
    json.dumps(table, allow_nan=False)
    rows = statistics_table(table)
    assert len({len(row) for row in rows}) == 1
    assert rows[-1][:2] == ["weight_norm", f"{expected:.4f}"]
    with pytest.raises(ValueError, match="score must be one of"):
        score_statistics(run, score="luck")


def test_missing_checkpoints_leave_no_differences():
    gone = np.delete(np.arange(60), 30)
    table = score_statistics(run_of(STEPS[gone], RISING[gone]), draws=9)
    for reason in (table["lead_lag"], table["transition"]["ell_neuron"]):
        assert reason.startswith("checkpoints are missing or unevenly spaced: 200 steps follow")
    assert isinstance(table["pearson"]["ell_neuron"], float)
    # The last step of a training need not be a multiple of the rest.
    last = score_statistics(run_of([*STEPS, STEPS[-1] + 30], [*RISING, 1]), draws=9)
    assert isinstance(last["lead_lag"], dict)


def test_accuracy_that_was_not_logged_is_told_from_no_test_pairs():
    table = score_statistics(run_of(STEPS, RISING, logged=STEPS + 50), draws=9)
    assert table["pearson"]["ell_neuron"] == "test accuracy is not logged at any checkpoint"
    json.dumps(table, allow_nan=False)


def test_training_pairs_never_all_known_leave_no_saturation():
    table = score_statistics(run_of(STEPS, RISING, train=np.full(60, 0.9)), draws=9)
    for section in ("post_saturation", "permutation"):
        assert table[section]["ell_neuron"] == "the training pairs were never all known"
    assert isinstance(table["pearson"]["ell_neuron"], float)


def test_figures_show_what_they_were_given():
    run = run_of(STEPS, RISING)
    found, accuracy = scores(run), checkpoint_accuracy(run)
    axes = Figure().subplots(1, 4)
    curves = score_curves(found, accuracy, axes[0], names=("ell_global",), t_grok=4500)
    score, test, mark = curves.get_lines()
    assert abs(score.get_ydata()).max() == pytest.approx(1)
    assert (test.get_ydata() == RISING).all()
    assert (np.asarray(mark.get_xdata()) == 4500).all()
    assert len(score_curves(found, accuracy, axes[1], t_grok="not found").get_lines()) == 4
    points = score_against_accuracy(found, accuracy, "ell_neuron", axes[2]).collections[0]
    assert (np.asarray(points.get_offsets())[:, 1] == RISING).all()
    profile = {"lags": [-100, 0, 100], "pearson": [0.5, "the score is constant", -0.25]}
    stems = lead_lag_profile(profile, "ell_neuron", axes[3]).containers[0]
    assert stems.markerline.get_xydata().tolist() == [[-100, 0.5], [100, -0.25]]
