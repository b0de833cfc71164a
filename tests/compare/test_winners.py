"""The ladder's scores: counted by hand, at their limits, and where they cannot be had."""

import json
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.lottery.ladder import current_leaders, ladder, observed_spectra
from grokode.compare.lottery.tables import winners_table
from grokode.compare.lottery.winner_figures import final_magnitude, leader_agreement
from grokode.compare.lottery.winners import REASONS, winners, winners_json
from grokode.theory import fourier, predictors
from grokode.theory.neuron_flow import neuron_flow, neuron_seconds
from grokode.theory.rule import TrainingRule

FLOWS = ("ticket_flow", "neuron_flow", "clock_flow", "moment_flow")

LADDER = ("chance", *predictors.PREDICTORS)


@pytest.fixture(scope="module")
def climbed(small_run):
    return ladder(small_run)


@pytest.fixture(scope="module")
def scored(small_run, climbed):
    return winners(small_run, climbed=climbed)


@pytest.fixture(scope="module")
def relu_run(tmp_path_factory):
    """ReLU and AdamW on part of the data: outside most assumptions."""
    config = nets.TrainingConfig(
        p=7,
        neurons=16,
        activation="relu",
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=1.0,
        train_fraction=0.75,
        steps=300,
        checkpoint_every=50,
        log_every=50,
    )
    return nets.train(config, tmp_path_factory.mktemp("runs") / "relu")


def damaged(run, step):
    """The run with NaN in one weight of one checkpoint."""
    weights = run.weights.load().copy(deep=True)
    weights.theta[step, 0, 0] = np.nan
    return SimpleNamespace(
        path=run.path,
        seed=run.seed,
        config=run.config,
        weights=weights,
        parameters=weights,
        metrics=run.metrics,
        knows_split=True,
        train_pairs=run.train_pairs,
    )


def test_every_predictor_is_scored(scored):
    assert tuple(scored.predictor.values) == LADDER
    K, n = 3, scored.sizes["neuron"]
    chance = scored.sel(predictor="chance")
    assert (float(chance.accuracy), chance.interval.values.tolist()) == (1 / K, [1 / K, 1 / K])
    assert float(chance.top3) == 1
    for name in LADDER[1:]:
        row = scored.sel(predictor=name)
        right = (row.predicted == row.observed).values
        assert float(row.accuracy) == right.mean()
        assert row.interval[0] <= row.accuracy <= row.interval[1]
        # With three frequencies the winner is always among the best three.
        assert float(row.top3) == 1
        assert list(row.reason.values).count("right") == right.sum()
        assert len(row.reason) == n


def test_scores_by_hand(scored, climbed):
    start, p = climbed.initial, 7
    A, B = start.theta_hat.values, start.xi_hat.values
    size = np.abs(A) ** 2 + np.abs(B) ** 2
    np.testing.assert_array_equal(
        scored.predicted.sel(predictor="largest_magnitude"), 1 + size.argmax(-1)
    )
    for name in ("clock_flow", "moment_flow"):
        path = getattr(predictors, name)(start, climbed.rule, [climbed.rule.steps])
        beta = np.abs(path.xi_hat.values[0])
        np.testing.assert_array_equal(scored.predicted.sel(predictor=name), 1 + beta.argmax(-1))
        np.testing.assert_array_equal(scored.predicted_magnitude.sel(predictor=name), beta.max(-1))
    ends = np.abs(climbed.observed.xi_hat.values)
    np.testing.assert_array_equal(scored.observed_magnitude, ends[-1].max(-1))
    # The leaders of every step, from the weights by another transform.
    path = climbed.predictions["moment_flow"].path
    agree = (np.abs(path.xi_hat.values).argmax(-1) == ends.argmax(-1)).mean(-1)
    np.testing.assert_allclose(scored.leader_agreement.sel(predictor="moment_flow"), agree)
    assert scored.attrs["p"] == p


def test_a_neuron_past_a_blowup_is_led_by_the_first_to_go(scored, climbed):
    path = climbed.predictions["ticket_flow"].path
    gone = path.xi_hat.isnull().any("frequency").values[-1]
    # All of a neuron's tickets go in the end: several are gone by now, the first is what counts.
    assert (path.xi_hat.isnull().sum("frequency").values[-1] > 1).any()
    first = scored.predicted.sel(predictor="blowup_time").values
    leads = current_leaders(path, climbed.blowup_time.idxmin("frequency"))
    np.testing.assert_array_equal(leads.values[-1][gone], first[gone])


def test_top3_counts_the_three_best(tmp_path):
    config = nets.TrainingConfig(p=11, neurons=60, steps=2, checkpoint_every=1, log_every=1)
    run = nets.train(config, tmp_path / "run")
    row = winners(run, ["misalignment"]).isel(predictor=0)
    spectra = run.spectra()
    D = np.abs(fourier.misalignment(spectra.isel(step=0)).values)
    winner = np.abs(spectra.xi_hat.values[-1]).argmax(-1)
    of_winner = np.take_along_axis(D, winner[:, None], -1)
    better = (of_winner > D).sum(-1)
    assert float(row.accuracy) == (better == 0).mean()
    assert float(row.top3) == (better < 3).mean()
    assert 0 < float(row.top3) < 1


@pytest.mark.parametrize(("right", "n"), [(95, 512), (424, 512), (20, 24)])
def test_the_interval_is_the_bootstraps(right, n):
    hits = np.arange(n) < right
    drawn = stats.bootstrap(
        (hits,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    wilson = stats.binomtest(right, n).proportion_ci(method="wilson")
    # Wilson's centre is pulled to 1/2 by z^2 / n of the distance, and resampled fractions come in
    # steps of 1 / n: both are of order 1 / n.
    assert np.abs(np.subtract(drawn, wilson)).max() < 2.5 / n


def test_the_interval_keeps_a_width_where_all_are_right(tmp_path):
    config = nets.TrainingConfig(p=5, neurons=6, steps=2, checkpoint_every=1, log_every=1)
    row = winners(nets.train(config, tmp_path / "run"), ["neuron_flow"]).isel(predictor=0)
    assert float(row.accuracy) == 1
    # Wilson's lower bound of n right of n is n / (n + z^2).
    z = stats.norm.ppf(0.975)
    np.testing.assert_allclose(row.interval, [6 / (6 + z**2), 1], rtol=1e-12)


def test_why_neurons_are_wrong(small_run, climbed, scored):
    """Thresholds at their ends turn every miss into one kind; in between, each is as defined."""
    names = LADDER[1:]
    miss = (scored.predicted != scored.observed).sel(predictor=list(names)).values
    assert miss.any()
    loose = winners(small_run, names, near_tie=1e9, climbed=climbed).reason.values
    assert (loose[miss] == "near tie").all()
    tight = winners(small_run, names, near_tie=1e-12, contested=1.0, climbed=climbed).reason.values
    assert (tight[miss] == "contested").all()
    neither = winners(small_run, names, near_tie=1e-12, contested=1e-12, climbed=climbed)
    assert (neither.reason.values[miss] == "other").all()
    times, ends = climbed.blowup_time, fourier.beta(climbed.observed.isel(step=-1))
    for name in names:
        row = scored.sel(predictor=name)
        for neuron in np.flatnonzero(row.predicted.values != row.observed.values):
            both = [int(row.predicted[neuron]), int(row.observed[neuron])]
            T, beta = (values[neuron].sel(frequency=both).values for values in (times, ends))
            gap = T.max() / T.min() - 1
            close = beta[0] > 0.8 * beta[1]
            expected = "near tie" if gap < 0.05 else "contested" if close else "other"
            assert row.reason[neuron] == expected
    assert set(np.unique(scored.reason)) <= set(REASONS)


def test_the_ticket_flow_saturates_where_its_network_says_so():
    """At saturation the logits of the state itself have a mean margin of 2 log p."""
    p = 11
    start = nets.gaussian(p, 30, 0.1, seed=4)
    weights = fourier.weights(predictors.saturation_state(start, p))
    theta, xi = weights.theta.values, weights.xi.values
    logits = np.einsum("mxy,mj->xyj", (theta[:, :, None] + theta[:, None, :]) ** 2, xi)
    x, y = np.indices((p, p))
    margin = (logits[x, y, (x + y) % p] - logits.mean(-1)).mean()
    # Time is exact to rounding; the margin grows without bound at the blow-up and magnifies it.
    assert margin == pytest.approx(2 * np.log(p), rel=1e-6)
    time = float(predictors.saturation_time(start, p))
    rule = TrainingRule(p=p, learning_rate=0.1)
    # The neuron flow stops at the same margin: of each neuron alone, in steps, looked at every 50.
    flow = predictors.neuron_flow(start, rule, [10**6])
    steps = time / rule.time_per_step
    assert -50 < steps - flow.attrs["stopped"] < 0.01 * steps


def test_ticket_and_neuron_flow_are_one_theory_of_quadratic_sgd(scored):
    """Both stop at the end of the plateau: they may differ on near ties alone."""
    one, two = (scored.sel(predictor=name) for name in ("ticket_flow", "neuron_flow"))
    differ = (one.predicted != two.predicted).values
    assert differ.mean() < 0.1


def test_within_and_outside(scored, relu_run):
    within = {str(rule): bool(scored.within_assumptions.sel(predictor=rule)) for rule in LADDER}
    # Gaussian magnitudes are not equal, nor are misalignments.
    assert within == dict.fromkeys(LADDER, True) | dict.fromkeys(LADDER[1:3], False)
    outside = winners(relu_run)
    general = ["chance", "neuron_flow", "harmonic_flow"]
    assert outside.predictor[outside.within_assumptions].values.tolist() == general
    # Scored all the same, with no current leaders where steps are no flow time.
    assert outside.accuracy.notnull().all()
    assert (outside.accuracy_reason == "").all()
    followed = outside.leader_agreement.notnull().all("step")
    assert set(outside.predictor[followed].values) == {*general, "symmetric_flow"}
    why = str(outside.outside.sel(predictor="blowup_time").item())
    for reason in ("relu, not quadratic", "adamw, not sgd", "36 of 49 pairs", "weight_decay is 1"):
        assert reason in why
    assert json.loads(json.dumps(winners_json(outside)))["rules"]["clock_flow"]["outside"] != ""


def test_momentum_and_decay_are_told():
    sgd = TrainingRule(p=7)
    for name in LADDER[3:]:
        predictor = predictors.get_predictor(name)
        assert predictor.covers(sgd) == ""
        slow = predictor.covers(replace(sgd, momentum=0.9))
        any_optimiser = name in ("neuron_flow", "symmetric_flow", "harmonic_flow")
        assert slow == ("" if any_optimiser else "momentum is 0.9, not 0.0")
    equal = nets.equal_magnitude(7, 5, 0.02, seed=0)
    gaussian = nets.gaussian(7, 5, 0.02, seed=0)
    least = predictors.get_predictor("misalignment")
    assert least.covers(sgd, equal) == ""
    assert "initial alpha range from" in least.covers(sgd, gaussian)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (lambda start, rule: fourier.beta(start) * np.nan, "all scores are NaN"),
        (lambda start, rule: 1 / 0, "division by zero"),
    ],
)
def test_a_predictor_that_fails_says_why(small_run, monkeypatch, scores, reason):
    broken = predictors.Predictor("broken", "None.", scores)
    monkeypatch.setitem(predictors.PREDICTORS, "broken", broken)
    scored = winners(small_run, ["broken", "blowup_time"])
    answer = winners_json(scored)["rules"]
    # allow_nan=False: JSON has no NaN.
    json.dumps(answer, allow_nan=False)
    assert answer["broken"]["accuracy"] is None
    assert answer["broken"]["interval"] == [None, None]
    assert reason in answer["broken"]["failure"]
    assert answer["blowup_time"]["accuracy"] > 1 / 3
    assert winners_table(scored)[1][1] == "-"
    _, ax = plt.subplots()
    figures.accuracy_by_predictor(scored, ax)
    assert any(reason in text.get_text() for text in ax.texts)
    figures.winner_confusion(scored, "broken", ax)
    plt.close("all")


def test_an_activation_without_flow_says_so(tmp_path):
    config = nets.TrainingConfig(
        p=5, neurons=4, activation="cubic", steps=4, checkpoint_every=2, log_every=2
    )
    scored = winners(nets.train(config, tmp_path / "run"), ["neuron_flow", "moment_flow"])
    assert "activation must be one of" in scored.accuracy_reason.sel(predictor="neuron_flow").item()
    assert np.isnan(scored.accuracy.sel(predictor="neuron_flow"))
    # SGD's steps are time whatever the activation.
    assert scored.leader_agreement.sel(predictor="moment_flow").notnull().all()


def test_a_damaged_checkpoint_is_left_out(small_run, climbed, scored):
    last = small_run.weights.sizes["step"] - 1
    for bad in (3, last):
        run = damaged(small_run, bad)
        spectra = observed_spectra(run)
        assert spectra.attrs["skipped"] == [int(small_run.weights.step[bad])]
        whole = climbed.observed.drop_isel(step=bad)
        np.testing.assert_array_equal(spectra.xi_hat, whole.xi_hat)
    rest = winners(damaged(small_run, 3), ["blowup_time", "ticket_flow"])
    assert rest.attrs["skipped"] == [300]
    for name in ("accuracy", "predicted"):
        np.testing.assert_array_equal(rest[name], scored[name].sel(predictor=rest.predictor))
    errors = compare.trajectory_errors(compare.trajectories(damaged(small_run, 3)))
    assert 300 not in errors.step


def test_the_smallest_modulus_and_dead_neurons(small_run, tmp_path):
    config = nets.TrainingConfig(p=3, neurons=4, steps=2, checkpoint_every=1, log_every=1)
    scored = winners(nets.train(config, tmp_path / "run"))
    # One frequency: it wins, whoever predicts it.
    assert (scored.accuracy == 1).all()
    weights = small_run.weights.load().copy(deep=True)
    weights.theta[:, 0] = weights.xi[:, 0] = 0
    run = damaged(small_run, 0)
    run.weights = run.parameters = weights
    dead, alive = winners(run, ["blowup_time"]), winners(small_run, ["blowup_time"])
    np.testing.assert_array_equal(dead.predicted[:, 1:], alive.predicted[:, 1:])
    run.weights = run.parameters = weights * 0
    nothing = winners_json(winners(run))["rules"]
    assert "no ticket of the start can grow" in nothing["ticket_flow"]["failure"]
    json.dumps(nothing, allow_nan=False)


def test_runs_that_cannot_be_scored(small_run, tmp_path):
    one = damaged(small_run, 0)
    one.path, one.weights = "one", small_run.weights.isel(step=[0])
    one.parameters = one.weights
    with pytest.raises(ValueError, match="one has 1 checkpoint"):
        winners(one)
    config = nets.TrainingConfig(p=5, neurons=3, steps=2, checkpoint_every=1, log_every=1)
    both = nets.train(config, tmp_path / "seeds", seeds=[0, 1])
    with pytest.raises(ValueError, match="several seeds"):
        winners(both)
    assert winners(both.select(1), ["blowup_time"]).sizes["neuron"] == 3
    with pytest.raises(ValueError, match="predictor must be one of"):
        winners(small_run, ["astrology"])
    with pytest.raises(ValueError, match="predictor must be one of blowup_time, got 'moment_flow'"):
        winners(small_run, ["moment_flow"], climbed=ladder(small_run, ["blowup_time"]))
    with pytest.raises(ValueError, match="near_tie must be a positive fraction"):
        winners(small_run, near_tie=0.0)


def test_pictures_show_the_numbers(scored):
    _, axes = plt.subplots(2, 2)
    figures.accuracy_by_predictor(scored, axes[0, 0])
    bars = axes[0, 0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], scored.accuracy[1:])
    hatched = [bool(bar.get_hatch()) for bar in bars]
    assert hatched == (~scored.within_assumptions[1:]).values.tolist()
    leader_agreement(scored, axes[0, 1])
    lines = {line.get_label(): line.get_ydata() for line in axes[0, 1].lines}
    for flow in FLOWS:
        drawn = lines[f"theory, {flow.replace('_', ' ')}"]
        np.testing.assert_array_equal(drawn, scored.leader_agreement.sel(predictor=flow))
    figures.winner_confusion(scored, "moment_flow", axes[1, 0])
    cells = axes[1, 0].collections[0].get_array()
    row = scored.sel(predictor="moment_flow")
    assert cells.sum() == scored.sizes["neuron"]
    assert np.trace(cells) == (row.predicted == row.observed).sum()
    final_magnitude(scored, "moment_flow", axes[1, 1])
    points = sum(len(line.get_xdata()) for line in axes[1, 1].lines[:2])
    assert points == scored.sizes["neuron"]
    with pytest.raises(ValueError, match="predictor must predict magnitudes, as ticket_flow"):
        final_magnitude(scored, "misalignment", axes[1, 1])
    figures.winner_confusion(scored, "chance", axes[1, 1])
    plt.close("all")


def test_table_has_a_row_for_each_predictor(scored):
    rows = winners_table(scored)
    assert len({len(row) for row in rows}) == 1
    names = [row[0] for row in rows[1:]]
    assert names == [*LADDER[:1], *(f"{name} *" for name in LADDER[1:3]), *LADDER[3:]]
    blowup = rows[1 + LADDER.index("blowup_time")]
    right = int(blowup[3].split()[0])
    assert right + sum(map(int, blowup[5:])) == scored.sizes["neuron"]


def test_what_takes_long_is_left_out_unless_it_is_named(relu_run):
    every = winners(relu_run, climbed=ladder(relu_run, affordable=0))
    reason = every.accuracy_reason.sel(predictor="harmonic_flow").item()
    assert reason.startswith("left out, as it takes about")
    assert reason.endswith("ask for it by name")
    assert np.isnan(every.accuracy.sel(predictor="harmonic_flow"))
    named = winners(relu_run, ["harmonic_flow", "harmonic_flow:rows+1"])
    assert named.accuracy.notnull().all()


def test_the_budget_is_spent_from_crude_to_fine(relu_run):
    """What is left out is what no longer fits, and only that; the rest is scored as ever."""
    whole = ladder(relu_run)
    start, rule = whole.initial, whole.rule
    costs = [one.seconds(start, rule) for one in predictors.PREDICTORS.values() if one.seconds]
    assert min(costs) > 0
    # Half of the last one's cost to spare: sums of floats in another order are no reason.
    climbed = ladder(relu_run, affordable=sum(costs[:-1]) + costs[-1] / 2)
    some = winners(relu_run, climbed=climbed)
    missing = some.predictor.values[some.accuracy.isnull().values]
    assert missing.tolist() == ["harmonic_flow"]
    some, every = (one.drop_sel(predictor="harmonic_flow") for one in (some, winners(relu_run)))
    np.testing.assert_array_equal(some.accuracy, every.accuracy)


def test_a_flow_of_neurons_tells_its_cost_by_a_few_of_them():
    """The plateau's end from 64 neurons of 640 is that of all, to a tenth."""
    start = nets.gaussian(p=7, neurons=640, scale=0.1, seed=0)
    rule = TrainingRule(p=7, learning_rate=0.5, steps=10**6)
    whole = neuron_flow(start, rule, [rule.steps])
    steps = neuron_seconds(start, rule) / (640 * 28 / 1.1e9)
    assert steps == pytest.approx(whole.attrs["stopped"], rel=0.1)
