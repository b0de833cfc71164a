"""The first predictors of the ladder: what they must agree on, and where they must differ."""

import numpy as np
import pytest

from grokode import nets
from grokode.theory import exact, fourier, predictors
from grokode.theory.rule import TrainingRule

RULE = TrainingRule(p=23, learning_rate=0.1)


def test_rules_agree_where_the_corollary_holds():
    """At equal magnitudes T grows with |D|, so least misalignment is least blow-up time."""
    start = nets.equal_magnitude(23, 400, 0.02, seed=0)
    by_rule = {
        name: predictors.get_predictor(name).winners(start, RULE)
        for name in ("misalignment", "blowup_time")
    }
    np.testing.assert_array_equal(by_rule["misalignment"], by_rule["blowup_time"])


def test_rules_differ_under_gaussian_magnitudes():
    start = nets.gaussian(23, 400, 0.1, seed=0)
    one, two = (
        predictors.get_predictor(name).winners(start, RULE)
        for name in ("misalignment", "blowup_time")
    )
    assert 0.1 < float((one == two).mean()) < 0.6


def test_blowup_winner_is_the_first_to_diverge_in_the_integrated_flow():
    start = nets.gaussian(7, 40, 0.1, seed=2)
    rule = TrainingRule(p=7, learning_rate=0.1)
    T = exact.blowup_time(start.theta_hat, start.xi_hat, 7)
    winners = predictors.get_predictor("blowup_time").winners(start, rule)
    for neuron in range(40):
        times = np.sort(T[neuron].values)
        # Between the first and the second blow-up only the winner is gone.
        step = (times[0] + times[1]) / 2 / rule.time_per_step
        path = predictors.ticket_flow(start.isel(neuron=[neuron]), rule, [step])
        gone = path.frequency[path.xi_hat.squeeze().isnull().values]
        assert gone.values.tolist() == [int(winners[neuron])]


def test_steps_are_gradient_flow_time():
    """Euler steps of the mean loss's gradient converge to the flow at lr * steps / pairs."""
    start = nets.gaussian(5, 3, 0.5, seed=0)
    errors = []
    for rate in (0.04, 0.02):
        rule = TrainingRule(p=5, learning_rate=rate)
        steps = round(4 / rate)
        A, B = start.theta_hat.values, start.xi_hat.values
        for _ in range(steps):
            A, B = (
                A + rule.time_per_step * 2 * 5 * A.conj() * B,
                B + rule.time_per_step * 5 * A**2,
            )
        path = predictors.ticket_flow(start, rule, [steps])
        errors.append(np.abs(path.xi_hat.values[0] - B).max())
    # Euler is of first order.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_scores_do_not_depend_on_the_origin():
    start = nets.gaussian(11, 20, 0.1, seed=1)
    weights = fourier.weights(start)
    moved = fourier.spectrum(np.roll(weights.theta, 3, -1), np.roll(weights.xi, 6, -1))
    rule = TrainingRule(p=11)
    for name in ("misalignment", "blowup_time"):
        predictor = predictors.get_predictor(name)
        np.testing.assert_allclose(
            predictor.scores(moved, rule), predictor.scores(start, rule), rtol=1e-9
        )


@pytest.mark.parametrize("name", predictors.PREDICTORS)
def test_the_step_a_state_was_taken_at_does_not_matter(name):
    """A checkpoint picked by isel keeps its step as a scalar coordinate; the path has its own."""
    predictor = predictors.get_predictor(name)
    start, rule = nets.gaussian(5, 3, 0.3, seed=0), TrainingRule(p=5, steps=20)
    taken = start.expand_dims(step=[700]).isel(step=0)
    np.testing.assert_array_equal(predictor.scores(taken, rule), predictor.scores(start, rule))
    if predictor.predict is not None:
        path = predictor.predict(taken, rule, [0, 20])
        assert path.xi_hat.dims == ("step", "neuron", "frequency")
        assert path.step.values.tolist() == [0, 20]


@pytest.mark.parametrize("name", predictors.PREDICTORS)
def test_what_is_no_start_of_the_rule_is_refused(name):
    predictor = predictors.get_predictor(name)
    start, rule = nets.gaussian(5, 3, 0.3, seed=0), TrainingRule(p=5, steps=20)
    broken = start.copy(deep=True)
    broken.xi_hat[1, 0] = np.nan
    with pytest.raises(ValueError, match="finite, got NaN or infinity in xi_hat"):
        predictor.scores(broken, rule)
    with pytest.raises(ValueError, match="3 frequencies for p = 7"):
        predictor.scores(start, TrainingRule(p=7, steps=20))
    with pytest.raises(TypeError, match="must be a Dataset with theta_hat"):
        predictor.scores(start.theta_hat, rule)
    if predictor.predict is not None:
        steps = start.expand_dims(step=2)
        with pytest.raises(ValueError, match="initial must be one state, got 2 steps"):
            predictor.predict(steps, rule, [5])
        with pytest.raises(ValueError, match="steps must be increasing, got 5 before 1"):
            predictor.predict(start, rule, [5, 1])
    if predictor.ranks_at_end:
        with pytest.raises(ValueError, match=r"one network .*, got seed as well"):
            predictor.predict(start.expand_dims(seed=2), rule, [5])


def test_spectra_in_any_order_and_precision():
    """Complex64 and transposed input is converted once, not taken for something else."""
    start, rule = nets.gaussian(5, 3, 0.3, seed=0), TrainingRule(p=5, steps=50)
    single = start.astype(np.complex64).assign(theta_mean=start.theta_mean, xi_mean=start.xi_mean)
    double = single.astype(complex).assign(theta_mean=start.theta_mean, xi_mean=start.xi_mean)
    for predictor in predictors.PREDICTORS.values():
        expected = predictor.scores(double, rule)
        np.testing.assert_array_equal(predictor.scores(single, rule), expected)
        turned = predictor.scores(double.transpose("frequency", "neuron"), rule)
        np.testing.assert_array_equal(turned.transpose(*expected.dims), expected)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"optimizer": "adam"}, ValueError, "optimizer must be one of sgd, adamw, got 'adam'"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a real number, got 'fast'"),
        ({"momentum": 1.0}, ValueError, "momentum must be non-negative and below 1, got 1.0"),
        ({"betas": (0.9, 1.5)}, ValueError, "betas must be non-negative and below 1, got 1.5"),
        ({"eps": -1e-8}, ValueError, "eps must be non-negative"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be non-negative"),
        ({"steps": 2.5}, TypeError, "steps must be an integer"),
        ({"train_pairs": [[0, 5]]}, ValueError, "residues in 0..4, got 0 to 5"),
        ({"train_pairs": [0, 1]}, ValueError, r"integers \(n, 2\)"),
        ({"train_pairs": np.zeros((0, 2), int)}, ValueError, "n >= 1"),
        ({"train_pairs": [[0.5, 1.0]]}, ValueError, "dtype float64"),
    ],
)
def test_bad_rules_are_named(options, error, match):
    with pytest.raises(error, match=match):
        TrainingRule(p=5, **options)


def test_no_score_names_no_winner():
    """A network that never grows: alpha = 0 is a fixed point, and saturation never comes."""
    start = nets.gaussian(5, 3, 0.3, seed=0)
    still = start.assign(theta_hat=0 * start.theta_hat)
    winners = predictors.get_predictor("ticket_flow").winners(still, TrainingRule(p=5))
    assert winners.values.tolist() == [0, 0, 0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="predictor must be one of misalignment"):
        predictors.get_predictor("astrology")
    start = nets.gaussian(5, 3, 0.5, seed=0)
    with pytest.raises(ValueError, match="optimizer must be 'sgd'"):
        predictors.ticket_flow(start, TrainingRule(p=5, optimizer="adamw"), [1])
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        TrainingRule(p=5, learning_rate=0)


def test_flow_time_is_the_sum_of_the_rates():
    rule = TrainingRule(p=7, learning_rate=0.3, warmup=10, first_step=4)
    steps = np.arange(30)
    rates = 0.3 * rule.risen(steps[:-1])
    assert (rates[0], rates[6]) == (pytest.approx(0.12), 0.3)
    np.testing.assert_allclose(rule.time(steps), np.append(0, rates.cumsum()) / 49, rtol=1e-12)
    start = nets.gaussian(7, 4, 0.1, seed=0)
    late = predictors.ticket_flow(start, rule, [20]).isel(step=0, drop=True)
    same = TrainingRule(p=7, learning_rate=49 * rule.time(20))
    np.testing.assert_allclose(
        late.xi_hat, predictors.ticket_flow(start, same, [1]).xi_hat[0], rtol=1e-7
    )
