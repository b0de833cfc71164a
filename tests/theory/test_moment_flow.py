"""Moments and clocks: exact where their assumption holds, and each the limit of the next."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.theory import flow, fourier, moment_flow
from grokode.theory.rule import TrainingRule


def one_frequency_network(p, neurons, size, seed):
    """Neurons of one frequency each: there is no second one to mix with."""
    return nets.single_frequency(p, neurons, size, seed)


def autograd_step(start, rule):
    """dA/dt and dB/dt of the real network, softmax and all, in time of the mean loss."""
    weights = fourier.weights(start)
    theta, xi = (torch.tensor(w.values, requires_grad=True) for w in (weights.theta, weights.xi))
    pairs = nets.all_pairs(rule.p) if rule.train_pairs is None else rule.train_pairs
    x, y = torch.tensor(pairs).T
    logits = ((theta[:, x] + theta[:, y]) ** 2).T @ xi
    loss = torch.nn.functional.cross_entropy(logits, (x + y) % rule.p)
    loss.backward()
    _, dA = fourier.to_waves(-theta.grad.numpy())
    _, dB = fourier.to_waves(-xi.grad.numpy())
    return float(loss.detach()), dA, dB


@pytest.mark.parametrize("fraction", [1.0, 0.7])
def test_right_hand_side_is_the_networks_gradient(fraction):
    """Within its own frequency, a single-frequency neuron moves exactly as the moments say."""
    p = 11
    train, _ = nets.split_pairs(p, fraction, seed=0)
    rule = TrainingRule(p=p, train_pairs=train, learning_rate=1e-3)
    start = one_frequency_network(p, 30, 0.9, seed=2)
    loss, dA, dB = autograd_step(start, rule)
    path = moment_flow.moment_flow(start, rule, [0, 1])
    assert float(path.loss[0]) == pytest.approx(loss, rel=1e-12)
    own = fourier.alpha(start).values > 0.1
    ours = [
        (path[name][1] - path[name][0]).values / rule.learning_rate
        for name in ("theta_hat", "xi_hat")
    ]
    # The difference of two states over 1e-3 loses three digits.
    np.testing.assert_allclose(ours[0][own], dA[own], atol=1e-11)
    np.testing.assert_allclose(ours[1][own], dB[own], atol=1e-11)


def test_a_warm_up_is_a_training_with_that_many_rates():
    """Step by step, each with the rate that the ramp has reached."""
    p = 7
    start = nets.gaussian(p, 20, 0.2, seed=0)
    rule = TrainingRule(p=p, learning_rate=0.4, weight_decay=0.1, warmup=4, first_step=1)
    for follow in (moment_flow.moment_flow, moment_flow.clock_flow):
        state = start
        for rate in (0.1, 0.2, 0.3, 0.4, 0.4):
            one = TrainingRule(p=p, learning_rate=rate, weight_decay=0.1)
            state = follow(state, one, [1]).isel(step=0, drop=True).drop_vars("loss")
        path = follow(start, rule, [5])
        np.testing.assert_allclose(path.xi_hat[0], state.xi_hat, rtol=1e-13)
        np.testing.assert_allclose(path.theta_hat[0], state.theta_hat, rtol=1e-13)


def test_on_the_plateau_both_are_the_four_variable_flow():
    p = 7
    start = nets.gaussian(p, 20, 1e-3, seed=0)
    rule = TrainingRule(p=p, learning_rate=1.0)
    dA, dB = flow.velocity(start.theta_hat, start.xi_hat, p)
    for follow in (moment_flow.moment_flow, moment_flow.clock_flow):
        path = follow(start, rule, [0, 1])
        # Softmax leaves 1/p by the size of the logits, 20 neurons of 1e-9.
        scale = rule.time_per_step
        np.testing.assert_allclose(
            path.theta_hat[1] - path.theta_hat[0], scale * dA, atol=1e-6 * scale * abs(dA).max()
        )
        np.testing.assert_allclose(
            path.xi_hat[1] - path.xi_hat[0], scale * dB, atol=1e-6 * scale * abs(dB).max()
        )


def test_clocks_are_the_diversified_limit_of_the_moments():
    """With evenly spread phases mu0 and mu+ vanish and the two flows are the same."""
    p, N = 7, 6
    phases = np.exp(2j * np.pi * np.arange(N) / N)
    waves = np.kron(np.eye(3), phases[:, None])
    zero = np.zeros(len(waves))
    start = fourier.spectrum(
        fourier.from_waves(zero, 0.1 * waves), fourier.from_waves(zero, 0.05 * waves**2)
    )
    rule = TrainingRule(p=p, learning_rate=1.0)
    steps = [0, 100, 1000]
    moments = moment_flow.moment_flow(start, rule, steps)
    clocks = moment_flow.clock_flow(start, rule, steps)
    assert float(moments.loss[-1]) < 0.7 * np.log(p)
    np.testing.assert_allclose(moments.theta_hat, clocks.theta_hat, atol=1e-10)
    np.testing.assert_allclose(moments.loss, clocks.loss, rtol=1e-10)


def test_logits_of_moments_are_those_of_a_network():
    p = 9
    start = one_frequency_network(p, 12, 0.8, seed=4)
    weights = fourier.weights(start)
    A, B = start.theta_hat.values, start.xi_hat.values
    rule = TrainingRule(p=p)
    waves = moment_flow.Waves.of(rule)
    ours = waves.logits((abs(A) ** 2 * B).sum(0), (A**2 * B).sum(0), (A**2 * B.conj()).sum(0))
    pairs, _ = rule.unordered_pairs()
    network = nets.logits(weights.theta, weights.xi, "quadratic", pairs)
    # A neuron's mean output is the same for every pair up to j, which the moments leave out.
    network -= network.mean(-1, keepdims=True)
    np.testing.assert_allclose(ours, network, atol=1e-12)


def test_a_flow_that_diverges_is_held():
    """Steps far too long for the weights: the last finite state is kept, and said to be."""
    rule = TrainingRule(p=5, learning_rate=1.0)
    path = moment_flow.moment_flow(nets.gaussian(5, 4, 30.0, seed=0), rule, [0, 1, 200, 300])
    assert 0 <= path.attrs["stopped"] < 200
    assert np.isfinite(path.loss).all()
    assert np.isfinite(path.xi_hat).all()
    np.testing.assert_array_equal(path.xi_hat[2], path.xi_hat[3])
    quiet = moment_flow.moment_flow(nets.gaussian(5, 4, 0.1, seed=0), rule, [300])
    assert quiet.attrs["stopped"] == -1


def test_bad_input_is_named():
    start = nets.gaussian(5, 2, 0.3, seed=1)
    with pytest.raises(ValueError, match="activation must be 'quadratic'"):
        moment_flow.moment_flow(start, TrainingRule(p=5, activation="relu"), [1])
    with pytest.raises(ValueError, match="momentum must be"):
        moment_flow.clock_flow(start, TrainingRule(p=5, momentum=0.9), [1])


@pytest.mark.parametrize("clocks", [True, False])
def test_a_time_of_its_own_is_the_limit_of_small_steps(clocks):
    """Euler's error halves with its step, so twice the finer less the coarser is of order 2."""
    start = nets.gaussian(11, 30, 0.2, seed=0)
    follow = moment_flow.clock_flow if clocks else moment_flow.moment_flow
    coarse, fine = (
        follow(start, TrainingRule(p=11, learning_rate=100 / steps), [steps]).isel(step=0)
        for steps in (1000, 2000)
    )
    limit = 2 * fine.xi_hat - coarse.xi_hat
    own = moment_flow.flow_for(start, TrainingRule(p=11), 100.0, clocks=clocks).xi_hat
    # Past the plateau, where errors of a step no longer grow: some ten times that of one step.
    assert abs(limit).max() > 2 * abs(start.xi_hat).max()
    assert abs(own - limit).max() < 2e-3 * abs(limit).max()
    assert abs(fine.xi_hat - limit).max() > 1e-5 * abs(limit).max()


def test_a_time_that_is_none_is_refused():
    start = nets.gaussian(5, 4, 0.1, seed=0)
    for time in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="time must be at least 0 and finite"):
            moment_flow.flow_for(start, TrainingRule(p=5), time, clocks=False)
