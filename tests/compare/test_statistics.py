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
    pooled_statistics,
    score_statistics,
)
from grokode.compare.alignment.tables import (
    pooled_json,
    pooled_table,
    statistics_json,
    statistics_table,
)
from grokode.compare.common.estimates import (
    FEWEST,
    block_permutation,
    lead_lag,
    pooled,
    regression,
)
from grokode.compare.common.events import boundary
from grokode.compare.common.missing import NotMeasured
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
    p_values = [
        block_permutation(*rng.normal(size=(2, 40)), block=4, draws=99, seed=seed)
        for seed in range(200)
    ]
    # Four standard errors of a proportion over 200 draws.
    assert np.mean(np.array(p_values) <= 0.2) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 200))


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
        full = fitted.sel(model="with_score", regressor=name)
        assert float(full.coefficient) == pytest.approx(standardised)
        low, high = full.interval.values
        assert low < standardised < high
        # Errors of 0.3 over 200 draws: two standard errors of 0.021 either way.
        assert high - low == pytest.approx(4 * 0.3 / np.sqrt(200), rel=0.5)
    without = design[:, :3]
    residuals = [
        values - without @ np.linalg.lstsq(without, values, rcond=None)[0] for values in (y, score)
    ]
    partial = stats.pearsonr(*residuals).statistic
    assert float(fitted.partial_correlation) == pytest.approx(partial, abs=1e-10)
    r2 = stats.pearsonr(score, without @ np.linalg.lstsq(without, score, rcond=None)[0])
    assert float(fitted.variance_inflation) == pytest.approx(1 / (1 - r2.statistic**2))
    # Nearly collinear is a large number, not a warning: the baseline and 1e-7 of noise.
    nearly = regression(y, {"a": a}, a + 1e-7 * noise)
    own = noise - np.column_stack([np.ones(200), a]) @ stats.linregress(a, noise)[1::-1]
    expected = (a + 1e-7 * noise).var() / (1e-14 * own.var())
    # The difference is known to 1e-16 / 1e-7 of itself.
    assert float(nearly.variance_inflation) == pytest.approx(expected, rel=1e-6)
    for match, arguments in (
        ("a is constant", (y, {"a": np.ones(200)}, score)),
        # Their standard deviation is not 0 in floating point.
        ("a is constant", (y, {"a": np.full(200, 0.3)}, score)),
        ("collinear", (y, {"a": a, "b": 2 * a + 1}, score)),
        ("accuracy is constant", (np.ones(200), {"a": a}, score)),
        ("accuracy is constant", (np.full(200, 0.3), {"a": a}, score)),
        ("nothing to explain", (a, {"a": a}, score)),
        ("too few", (y[:5], {"a": a[:5]}, score[:5])),
    ):
        with pytest.raises(NotMeasured, match=match):
            regression(*arguments)


def test_lead_lag_finds_who_moves_first():
    x = np.cumsum(np.random.default_rng(3).normal(size=100))
    lag = lead_lag(x, np.roll(x, 3), spacing=100)
    assert int(lag.pearson.idxmax()) == 300
    with pytest.raises(NotMeasured, match="too few"):
        lead_lag(x[:12], x[:12], 100)
    # Flat but for the last steps: shifted the other way, those are cut off and nothing is left.
    late = np.where(np.arange(100) < 92, 0.0, x)
    partly = lead_lag(x, late, 100)
    assert np.isnan(partly.pearson[0])
    assert partly.pearson_reason[0] == "test accuracy is constant"
    assert np.isfinite(partly.pearson[-1])
    assert partly.pearson_reason[-1] == ""


def test_a_gap_in_a_series_is_no_small_p():
    x = np.random.default_rng(8).normal(size=60)
    broken = np.where(np.arange(60) == 9, np.nan, x)
    for match, arguments, block in (
        ("no score or no accuracy", (broken, x), 4),
        ("no score or no accuracy", (x, broken), 4),
        ("test accuracy is constant", (x, np.ones(60)), 4),
        (rf"too few blocks \(3 of 20; {FEWEST} are needed\)", (x, x), 20),
    ):
        with pytest.raises(NotMeasured, match=match):
            block_permutation(*arguments, block=block)


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
    pool = pooled(np.array([0.5, 0.7, 0.9, np.nan]))
    z = np.arctanh([0.5, 0.7, 0.9])
    low, high = stats.t.interval(0.95, 2, loc=z.mean(), scale=stats.sem(z))
    assert float(pool["mean"]) == pytest.approx(np.tanh(z.mean()))
    assert pool.interval.values == pytest.approx([np.tanh(low), np.tanh(high)])
    assert (int(pool.runs), int(pool.left_out)) == (3, 1)
    assert pooled(np.array([np.nan])).mean_reason == "no run has this number"
    assert pooled(np.array([0.5])).interval_reason == "one run has no spread"


def test_reasons_stand_in_place_of_numbers(tmp_path):
    config = nets.TrainingConfig(
        p=5, neurons=8, steps=40, checkpoint_every=20, log_every=20, train_fraction=0.8
    )
    few = statistics_json(score_statistics(nets.train(config, tmp_path / "few")))
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
    constant = statistics_json(score_statistics(nets.train(still, tmp_path / "still")))
    assert constant["pearson"]["ell_neuron"] == "test accuracy is constant"
    assert constant["regression"] == "test accuracy is constant"
    json.dumps(constant, allow_nan=False)
    assert constant["t_grok"].startswith("not found: test accuracy never reached 0.95")


STEPS = 100 * np.arange(60)
RISING = np.clip(np.linspace(-0.3, 1.5, 60), 0, 1)


def test_a_whole_run_has_every_number():
    run = run_of(STEPS, RISING)
    table = statistics_json(score_statistics(run, draws=99))
    assert table["t_grok"] == STEPS[np.flatnonzero(RISING >= 0.95)[0]]
    expected = stats.pearsonr(scores(run).weight_norm, RISING).statistic
    assert table["pearson"]["weight_norm"] == pytest.approx(expected)
    assert set(table["regression"]["without"]["coefficients"]) == set(BASELINES)
    assert table["global_phase"]["verdict"] == "unreliable"
    json.dumps(table, allow_nan=False)
    rows = statistics_table(score_statistics(run, draws=9)["correlations"])
    assert len({len(row) for row in rows}) == 1
    assert rows[-1][:2] == ["weight_norm", f"{expected:.4f}"]
    with pytest.raises(ValueError, match="score must be one of"):
        score_statistics(run, score="luck")


def test_missing_checkpoints_leave_no_differences():
    gone = np.delete(np.arange(60), 30)
    table = statistics_json(score_statistics(run_of(STEPS[gone], RISING[gone]), draws=9))
    for reason in (table["lead_lag"], table["transition"]["ell_neuron"]):
        assert reason.startswith("checkpoints are missing or unevenly spaced: 200 steps follow")
    assert isinstance(table["pearson"]["ell_neuron"], float)
    # The last step of a training need not be a multiple of the rest.
    last = statistics_json(
        score_statistics(run_of([*STEPS, STEPS[-1] + 30], [*RISING, 1]), draws=9)
    )
    assert isinstance(last["lead_lag"], dict)


def test_accuracy_that_was_not_logged_is_told_from_no_test_pairs():
    table = statistics_json(score_statistics(run_of(STEPS, RISING, logged=STEPS + 50), draws=9))
    assert table["pearson"]["ell_neuron"] == "test accuracy is not logged at any checkpoint"
    json.dumps(table, allow_nan=False)


def test_training_pairs_never_all_known_leave_no_saturation():
    table = statistics_json(
        score_statistics(run_of(STEPS, RISING, train=np.full(60, 0.9)), draws=9)
    )
    for section in ("post_saturation", "permutation"):
        assert table[section]["ell_neuron"] == "the training pairs were never all known"
    assert isinstance(table["pearson"]["ell_neuron"], float)


def test_seeds_are_pooled_score_by_score():
    """Means are those of Fisher's z over the seeds; a seed without the number is counted out."""
    each = {
        seed: score_statistics(run_of(STEPS, accuracy), draws=9)
        for seed, accuracy in ((0, RISING), (1, RISING**2), (2, np.ones(60)))
    }
    pool = pooled_statistics(each)
    values = [one["correlations"].pearson.sel(score="magnitude").item() for one in each.values()]
    of_one = pool.sel(section="pearson", score="magnitude")
    assert float(of_one["mean"]) == pytest.approx(np.tanh(np.arctanh(values[:2]).mean()))
    assert (int(of_one.runs), int(of_one.left_out)) == (2, 1)
    peaks = [one["correlations"].sel(score="magnitude") for one in each.values()]
    early = sum(bool(peak.peak < peak.t_grok) for peak in peaks)
    told = pooled_json(pool, each)
    assert told["early_peak"]["magnitude"] == early
    assert told["pearson"]["magnitude"]["left_out"] == 1
    assert told["seeds"][2]["pearson"]["magnitude"] == "test accuracy is constant"
    json.dumps(told, allow_nan=False)
    assert len(pooled_table(pool)) == len(statistics_table(each[0]["correlations"]))


def test_figures_show_what_they_were_given():
    run = run_of(STEPS, RISING)
    of_run, accuracy = scores(run), checkpoint_accuracy(run)
    axes = Figure().subplots(1, 4)
    curves = score_curves(of_run, accuracy, axes[0], names=("ell_global",), t_grok=4500)
    score, test, mark = curves.get_lines()
    assert abs(score.get_ydata()).max() == pytest.approx(1)
    assert (test.get_ydata() == RISING).all()
    assert (np.asarray(mark.get_xdata()) == 4500).all()
    assert len(score_curves(of_run, accuracy, axes[1]).get_lines()) == 4
    points = score_against_accuracy(of_run, accuracy, "ell_neuron", axes[2]).collections[0]
    assert (np.asarray(points.get_offsets())[:, 1] == RISING).all()
    profile = xr.Dataset({"pearson": ("lag", [0.5, np.nan, -0.25])}, {"lag": [-100, 0, 100]})
    stems = lead_lag_profile(profile, "ell_neuron", axes[3]).containers[0]
    assert stems.markerline.get_xydata().tolist() == [[-100, 0.5], [100, -0.25]]
