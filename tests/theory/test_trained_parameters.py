"""Flows in the parameters that are trained: an embedding, or input weights of y of their own."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.compare.common.observe import start_of
from grokode.theory import fourier
from grokode.theory._trained import layers_of
from grokode.theory.harmonic_flow import KeptLoss, harmonic_flow, harmonic_seconds
from grokode.theory.kept import parse_kept
from grokode.theory.neuron_flow import PlateauLoss, neuron_flow, neuron_seconds
from grokode.theory.rule import TrainingRule
from tests.theory.test_harmonic_flow import KEPT, SIGMA, wanted_modes

P, NEURONS, FEATURES = 7, 16, 5


def rule_of(activation="relu", fraction=0.7, p=P, **settings):
    train, _ = nets.split_pairs(p, fraction, seed=0)
    return TrainingRule(p=p, activation=activation, train_pairs=train, **settings)


def embedded_start(size=0.5, neurons=NEURONS, seed=0):
    """A spectrum with its factors."""
    rng = np.random.default_rng(seed)
    embedding, projection = rng.normal(size=(P, FEATURES)), rng.normal(size=(neurons, FEATURES))
    xi = size * rng.normal(size=(neurons, P))
    spectrum = fourier.spectrum(size * projection @ embedding.T, xi)
    return spectrum.assign(
        embedding=(("residue", "feature"), embedding),
        projection=(("neuron", "feature"), size * projection),
    )


def separate_start(size=1.0, neurons=NEURONS, seed=0):
    theta, theta_y, xi = size * np.random.default_rng(seed).normal(size=(3, neurons, P))
    return fourier.spectrum(theta, xi).assign(theta_y=(("neuron", "y"), theta_y))


def both_start(size=0.5, neurons=NEURONS, seed=0):
    """A spectrum with an embedding, and a projection for each input."""
    start, rng = embedded_start(size, neurons, seed), np.random.default_rng(seed + 1)
    projection_y = size * rng.normal(size=(neurons, FEATURES))
    return start.assign(
        projection_y=(("neuron", "feature"), projection_y),
        theta_y=(("neuron", "y"), projection_y @ start.embedding.values.T),
    )


def kept_loss(theta, theta_y, xi, rule, keep):
    """The loss of the kept logits by their definition, as of `truncated_loss`, x and y apart."""
    p = rule.p
    hidden = SIGMA[rule.activation](theta[:, :, None] + theta_y[:, None, :])
    logits = torch.einsum("mxy,mj->xyj", hidden, xi)
    logits = logits - logits.mean(-1, keepdim=True)
    residues = torch.arange(p)
    answers = (residues[:, None] + residues) % p
    right = torch.nn.functional.one_hot(answers, p).double() - 1 / p
    x, y = torch.tensor(rule.train_pairs).T
    if keep == "plateau":
        return np.log(p) - (logits * right).sum(-1)[x, y].mean()
    right = right / right.norm(dim=-1, keepdim=True)
    kept = torch.fft.ifftn(torch.fft.fftn(logits) * torch.tensor(wanted_modes(keep, p))).real
    if parse_kept(keep).margins:
        kept = kept + ((logits - kept) * right).sum(-1, keepdim=True) * right
    return torch.nn.functional.cross_entropy(kept[x, y], answers[x, y])


def ours(start, rule, keep):
    layers = layers_of(start, P)
    state = layers.state(start, "float64")
    separate = layers.rows > P
    loss_of = (
        PlateauLoss(rule, separate)
        if keep == "plateau"
        else KeptLoss(rule, parse_kept(keep), separate=separate)
    )
    loss, by_both = loss_of(*layers.weights(state))
    return loss, layers.gradient(state, by_both)


def assert_same(got, loss, gradients):
    expected = np.concatenate([g.numpy().T.ravel() for g in gradients])
    assert got[0] == pytest.approx(loss.item(), rel=1e-12)
    # Sums of p^2 M terms of either sign lose some digits of sixteen.
    np.testing.assert_allclose(got[1], expected, rtol=0, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("keep", ["plateau", "rows+3", "rows+1", "symmetric-margins", "slants+1"])
def test_gradient_by_embedding_and_projection(keep):
    rule, start = rule_of(), embedded_start()
    E, W, xi = (
        torch.tensor(values, requires_grad=True)
        for values in (
            start.embedding.values.T.copy(),
            start.projection.values,
            fourier.weights(start).xi.values,
        )
    )
    theta = W @ E
    loss = kept_loss(theta, theta, xi, rule, keep)
    loss.backward()
    assert_same(ours(start, rule, keep), loss, (E.grad, W.grad, xi.grad))


@pytest.mark.parametrize("keep", ["plateau", "rows+3", "slants+1"])
def test_gradient_by_embedding_and_two_projections(keep):
    rule, start = rule_of(), both_start()
    E, W, W_y, xi = (
        torch.tensor(values, requires_grad=True)
        for values in (
            start.embedding.values.T.copy(),
            start.projection.values,
            start.projection_y.values,
            fourier.weights(start).xi.values,
        )
    )
    loss = kept_loss(W @ E, W_y @ E, xi, rule, keep)
    loss.backward()
    assert_same(ours(start, rule, keep), loss, (E.grad, W.grad, W_y.grad, xi.grad))


@pytest.mark.parametrize("keep", ["plateau", *KEPT])
def test_gradient_with_separate_inputs(keep):
    rule, start = rule_of("gelu"), separate_start()
    weights = fourier.weights(start)
    layers = (weights.theta.values, start.theta_y.values, weights.xi.values)
    theta, theta_y, xi = (torch.tensor(layer, requires_grad=True) for layer in layers)
    loss = kept_loss(theta, theta_y, xi, rule, keep)
    loss.backward()
    assert_same(ours(start, rule, keep), loss, (theta.grad, theta_y.grad, xi.grad))


@pytest.mark.parametrize(
    "network",
    [{"embedding": 6}, {"separate_inputs": True}, {"embedding": 6, "separate_inputs": True}],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_all_modes_are_a_training_step_by_step(network, optimizer, tmp_path):
    """Order K keeps every mode of p = 5; six neurons do not fill a block."""
    settings = {"optimizer": optimizer, "learning_rate": 0.02, "weight_decay": 0.3, "warmup": 10}
    config = nets.TrainingConfig(
        p=5,
        neurons=6,
        activation="softplus",
        scale=1.0,
        train_fraction=0.7,
        steps=60,
        checkpoint_every=20,
        dtype="float64",
        **network,
        **settings,
    )
    run = nets.train(config, tmp_path / "run")
    rule = TrainingRule(p=5, activation="softplus", train_pairs=run.train_pairs, **settings)
    weights = run.weights.load()
    spectra = fourier.spectrum(weights.theta, weights.xi)
    start = start_of(run.parameters.isel(step=0, drop=True).load())
    path = harmonic_flow(start, rule, weights.step.values, keep="2")
    # Rounding over sixty steps; AdamW divides by gradients near zero.
    for name in ("theta_hat", "xi_hat"):
        np.testing.assert_allclose(path[name], spectra[name], rtol=0, atol=1e-8)
    if "theta_y" in path:
        np.testing.assert_allclose(path.theta_y, weights.theta_y, rtol=0, atol=1e-8)


def test_neurons_that_fill_a_block_up_stay_out_of_it():
    """Softplus of 0 is not 0: a flow of 6 neurons is that of the same 6 among the fill."""
    rule = rule_of("softplus", learning_rate=0.1)
    start = separate_start(neurons=6)
    alone = harmonic_flow(start, rule, [30], keep="3")
    theta = fourier.weights(start)
    # As many again that do nothing but are real: xi is zero, and theta far below.
    idle = fourier.spectrum(
        np.concatenate([theta.theta.values, np.full((10, P), -50.0)]),
        np.concatenate([theta.xi.values, np.zeros((10, P))]),
    )
    theta_y = np.concatenate([start.theta_y.values, np.full((10, P), -50.0)])
    among = harmonic_flow(idle.assign(theta_y=(("neuron", "y"), theta_y)), rule, [30], keep="3")
    np.testing.assert_allclose(alone.xi_hat, among.xi_hat.isel(neuron=slice(6)), atol=1e-12)


def test_the_same_weights_twice_are_one_set_of_weights():
    """With theta_y = theta the flow is theirs, at twice theta's rate: each takes half the pull."""
    train = nets.tasks.all_pairs(P)
    rule = TrainingRule(p=P, activation="relu", train_pairs=train, learning_rate=1e-3)
    start = separate_start()
    same = start.assign(theta_y=(("neuron", "y"), fourier.weights(start).theta.values))
    apart = harmonic_flow(same, rule, [1]).isel(step=0)
    together = harmonic_flow(start.drop_vars("theta_y"), rule, [1]).isel(step=0)
    moved, expected = ((flow.theta_hat - start.theta_hat).values for flow in (apart, together))
    np.testing.assert_allclose(2 * moved, expected, atol=1e-10 * abs(expected).max())
    np.testing.assert_allclose(apart.xi_hat, together.xi_hat, atol=1e-12)


@pytest.mark.parametrize("start", [embedded_start, separate_start])
def test_plateau_is_the_neuron_flow(start):
    """With output weights so small that softmax is uniform to 1e-12."""
    rule, begin = rule_of(learning_rate=1e-3), start()
    begin = begin.assign(xi_hat=1e-12 * begin.xi_hat, xi_mean=1e-12 * begin.xi_mean)
    ours, theirs = (flow(begin, rule, [1]) for flow in (harmonic_flow, neuron_flow))
    moved, expected = ((flow.xi_hat[0] - begin.xi_hat).values for flow in (ours, theirs))
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-10 * abs(expected).max())


def test_coupled_neurons_stop_at_the_plateaus_end():
    rule = rule_of("quadratic", learning_rate=0.1)
    held = neuron_flow(embedded_start(), rule, [0, 500, 600])
    assert 0 < held.attrs["stopped"] < 500
    assert held.attrs.keys() == {"p", "stopped"}  # as of neurons that move alone
    np.testing.assert_array_equal(held.xi_hat[1], held.xi_hat[2])


@pytest.mark.parametrize("start", [embedded_start, separate_start])
def test_float32_is_the_same_flow(start):
    flows = [neuron_flow(start(), rule_of("relu"), [20], dtype=d) for d in ("float32", "float64")]
    # Rounding of float32 in sums of p^2 terms, over twenty steps of size 1e-2 and less.
    np.testing.assert_allclose(flows[0].xi_hat, flows[1].xi_hat, rtol=0, atol=1e-5)


def test_a_part_of_coupled_neurons_does_not_tell_how_long_all_take():
    """So the time is that of all steps: proportional to them, though the plateau is over early."""
    start = embedded_start()
    seconds = [neuron_seconds(start, rule_of(learning_rate=0.1, steps=n)) for n in (10**5, 10**6)]
    assert seconds[1] == pytest.approx(10 * seconds[0])
    assert neuron_seconds(separate_start(), rule_of(steps=10**6)) > seconds[1]


def test_time_told_beforehand_knows_what_is_trained():
    rule, start = rule_of(steps=1000), embedded_start()
    theta = start.drop_vars(["embedding", "projection"])
    plain, embedded, apart = (
        harmonic_seconds(one, rule, "rows") for one in (theta, start, both_start())
    )
    assert plain < embedded < apart
    # In proportion to neurons, as all parts are.
    assert harmonic_seconds(embedded_start(neurons=32), rule, "rows") == 2 * embedded


def test_factors_of_another_checkpoint_are_refused():
    for name in ("projection", "projection_y"):
        start = both_start()
        with pytest.raises(ValueError, match=f"{name} times embedding must be the spectrum's"):
            harmonic_flow(start.assign({name: 2 * start[name]}), rule_of(), [1])
    with pytest.raises(ValueError, match="must have projection_y"):
        harmonic_flow(both_start().drop_vars("projection_y"), rule_of(), [1])
    start = embedded_start()
    with pytest.raises(ValueError, match="projection times embedding must be the spectrum's theta"):
        harmonic_flow(start.assign(embedding=2 * start.embedding), rule_of(), [1])
