"""The first rungs of the ladder: what they must agree on, and where they must differ."""

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


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="predictor must be one of misalignment"):
        predictors.get_predictor("astrology")
    start = nets.gaussian(5, 3, 0.5, seed=0)
    with pytest.raises(ValueError, match="optimizer must be 'sgd'"):
        predictors.ticket_flow(start, TrainingRule(p=5, optimizer="adamw"), [1])
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        TrainingRule(p=5, learning_rate=0)
