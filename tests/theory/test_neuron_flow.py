"""The decoupled neuron flow against autograd on a network whose softmax is held uniform."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.theory import fourier, neuron_flow
from grokode.theory.exact import blowup_time
from grokode.theory.predictors import ticket_flow
from grokode.theory.rule import TrainingRule
from tests.theory.made import SIGMA

P, NEURONS, STEPS = 7, 5, 40


def train_with_uniform_softmax(start, rule):
    """The real optimiser on the plateau's loss: mean over pairs of mean logit minus right logit."""
    weights = fourier.weights(start)
    theta, xi = (torch.tensor(w.values, requires_grad=True) for w in (weights.theta, weights.xi))
    pairs = nets.all_pairs(rule.p) if rule.train_pairs is None else rule.train_pairs
    x, y = torch.tensor(pairs).T
    if rule.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            [theta, xi],
            lr=rule.learning_rate,
            momentum=rule.momentum,
            weight_decay=rule.weight_decay,
        )
    else:
        optimizer = torch.optim.AdamW(
            [theta, xi],
            lr=rule.learning_rate,
            betas=rule.betas,
            eps=rule.eps,
            weight_decay=rule.weight_decay,
        )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rule.risen)
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = SIGMA[rule.activation](theta[:, x] + theta[:, y]).T @ xi
        rows = torch.arange(len(x))
        (logits.mean(-1) - logits[rows, (x + y) % rule.p]).mean().backward()
        optimizer.step()
        scheduler.step()
    return theta.detach().numpy(), xi.detach().numpy()


@pytest.mark.parametrize("activation", neuron_flow.ACTIVATIONS)
@pytest.mark.parametrize(
    "optimiser",
    [
        {"optimizer": "sgd", "learning_rate": 0.2},
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.8, "weight_decay": 0.05},
        {"optimizer": "adamw", "learning_rate": 0.01, "betas": (0.9, 0.98), "weight_decay": 2.0},
        {"optimizer": "sgd", "learning_rate": 0.2, "warmup": 10, "first_step": 3},
    ],
    ids=["sgd", "momentum", "adamw", "warmup"],
)
@pytest.mark.parametrize("fraction", [1.0, 0.7])
def test_agrees_with_autograd(activation, optimiser, fraction):
    train, _ = nets.split_pairs(P, fraction, seed=0)
    rule = TrainingRule(p=P, activation=activation, train_pairs=train, **optimiser)
    # Small enough that no activation diverges within the forty steps.
    start = nets.gaussian(P, NEURONS, 0.4, seed=1)
    flow = neuron_flow.neuron_flow(start, rule, [STEPS], past_plateau=True)
    assert flow.attrs["stopped"] == -1
    ours = fourier.weights(flow.isel(step=0))
    theta, xi = train_with_uniform_softmax(start, rule)
    # Rounding over forty steps, of the largest weight: AdamW divides by gradients near zero.
    np.testing.assert_allclose(ours.theta, theta, rtol=0, atol=1e-10 * abs(theta).max())
    np.testing.assert_allclose(ours.xi, xi, rtol=0, atol=1e-10 * abs(xi).max())


def test_many_askings_are_one_training():
    rule = TrainingRule(p=P, optimizer="adamw", learning_rate=0.01)
    start = nets.gaussian(P, NEURONS, 0.3, seed=1)
    often = neuron_flow.neuron_flow(start, rule, [0, 7, 60, 61, 130])
    once = neuron_flow.neuron_flow(start, rule, [130])
    np.testing.assert_array_equal(often.xi_hat.isel(step=-1), once.xi_hat.isel(step=0))
    np.testing.assert_allclose(often.xi_hat.isel(step=0), start.xi_hat, atol=1e-15)


def test_quadratic_neurons_follow_the_ticket_flow():
    """On all pairs tickets decouple exactly at first order, so the two agree as lr -> 0."""
    start = nets.gaussian(P, NEURONS, 0.3, seed=1)
    weights = fourier.weights(start)
    centred = fourier.spectrum(
        weights.theta - weights.theta.mean("x"), weights.xi - weights.xi.mean("output")
    )
    errors = []
    time = 0.6 * float(blowup_time(centred.theta_hat, centred.xi_hat, P).min())
    for rate in (0.2, 0.1):
        rule = TrainingRule(p=P, learning_rate=rate)
        steps = [round(time / rule.time_per_step)]
        one = neuron_flow.neuron_flow(centred, rule, steps)
        two = ticket_flow(centred, rule, steps)
        errors.append(float(abs(one.xi_hat - two.xi_hat).max() / abs(two.xi_hat).max()))
    assert errors[1] < 0.05
    # SGD is Euler's method, of first order in the learning rate.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.15)


def test_stops_at_the_end_of_the_plateau():
    rule = TrainingRule(p=P, learning_rate=0.5)
    start = nets.gaussian(P, 40, 0.3, seed=1)
    steps = np.arange(0, 2001, 50)
    flow = neuron_flow.neuron_flow(start, rule, steps)
    stopped = flow.attrs["stopped"]
    assert 0 < stopped < 2000
    held = flow.xi_hat.sel(step=slice(stopped, None))
    np.testing.assert_array_equal(held, np.broadcast_to(held[0], held.shape))
    assert np.isfinite(flow.xi_hat).all()


def test_bad_input_is_named():
    start = nets.gaussian(P, 2, 0.3, seed=1)
    with pytest.raises(ValueError, match="activation must be one of quadratic"):
        neuron_flow.neuron_flow(start, TrainingRule(p=P, activation="tanh"), [1])
    with pytest.raises(ValueError, match="increasing"):
        neuron_flow.neuron_flow(start, TrainingRule(p=P), [5, 1])
    with pytest.raises(TypeError, match="steps must be integers"):
        neuron_flow.neuron_flow(start, TrainingRule(p=P), [0.5])
