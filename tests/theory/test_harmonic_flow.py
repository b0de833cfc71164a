"""Harmonic flow against autograd of its own loss, and against the flows that are its limits."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.theory import fourier
from grokode.theory._projections import block_width
from grokode.theory._updates import ACTIVATIONS
from grokode.theory.harmonic_flow import KeptLoss, harmonic_flow
from grokode.theory.kept import MOMENTS, parse_kept
from grokode.theory.moment_flow import moment_flow
from grokode.theory.neuron_flow import neuron_flow
from grokode.theory.rule import TrainingRule
from tests.theory.made import SIGMA

KEPT = (
    *("0", "1", "2", "rows", "rows+3", "rows+3-margins", "moments+rows", "diagonals+1"),
    *("symmetric-margins", "symmetric+rows", "slants+1", "rows+diagonals+antidiagonals+slants"),
)


def wanted_modes(keep, p):
    """Which (a, b, c) a name keeps, mode by mode from the definitions."""
    kept, modes = parse_kept(keep), np.zeros((p, p, p), dtype=bool)
    order = -1 if kept.order is None else kept.order
    lines = set(itertools.product(range(-order, order + 1), repeat=2))
    lines |= set(MOMENTS) if "moments" in kept.sets else set()
    for a, b, c in itertools.product(range(p), range(p), range(1, p)):
        modes[a, b, c] = (
            any((a - i * c) % p == 0 == (b - k * c) % p for i, k in lines)
            or ("rows" in kept.sets and 0 in (a, b))
            or ("diagonals" in kept.sets and a == b)
            or ("antidiagonals" in kept.sets and (a + b) % p == 0)
            or ("slants" in kept.sets and {a, b} & {c, -c % p})
            or ("symmetric" in kept.sets and (a + b + 2 * c) % p == 0)
        )
    return modes


def truncated_loss(theta, xi, rule, keep):
    """The loss of the kept logits by the definition: a mask on their three-dimensional spectrum."""
    p = rule.p
    hidden = SIGMA[rule.activation](theta[:, :, None] + theta[:, None, :])
    logits = torch.einsum("mxy,mj->xyj", hidden, xi)
    logits = logits - logits.mean(-1, keepdim=True)
    kept = torch.fft.ifftn(torch.fft.fftn(logits) * torch.tensor(wanted_modes(keep, p))).real
    residues = torch.arange(p)
    answers = (residues[:, None] + residues) % p
    right = torch.nn.functional.one_hot(answers, p).double() - 1 / p
    right = right / right.norm(dim=-1, keepdim=True)
    if parse_kept(keep).margins:
        kept = kept + ((logits - kept) * right).sum(-1, keepdim=True) * right
    x, y = torch.tensor(rule.train_pairs).T
    return torch.nn.functional.cross_entropy(kept[x, y], answers[x, y])


def some_network(p, neurons, size, seed=0):
    """Weights (p, neuron) of both layers, as many neurons as the compiled loops take at once."""
    assert neurons % block_width(neurons) == 0
    return np.random.default_rng(seed).normal(size=(2, p, neurons)) * size


def both_gradients(rule, keep, size=1.5):
    layers = some_network(rule.p, 16, size)
    theta, xi = (torch.tensor(layer.T.copy(), requires_grad=True) for layer in layers)
    loss = truncated_loss(theta, xi, rule, keep)
    loss.backward()
    theirs = np.stack([theta.grad.numpy().T, xi.grad.numpy().T])
    ours_loss, ours = KeptLoss(rule, parse_kept(keep))(*layers)
    return (ours_loss, ours), (loss.item(), theirs)


def assert_same(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-12)
    # Sums of p^2 M terms of either sign lose some digits of sixteen.
    np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=1e-10 * abs(theirs[1]).max())


@pytest.mark.parametrize("keep", KEPT)
@pytest.mark.parametrize("p", [7, 9])
def test_gradient_is_that_of_the_truncated_loss(p, keep):
    """p = 9 has lines that share modes, which are counted once."""
    train, _ = nets.split_pairs(p, 0.7, seed=0)
    assert_same(*both_gradients(TrainingRule(p=p, activation="relu", train_pairs=train), keep))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_for_every_activation(activation):
    train, _ = nets.split_pairs(7, 0.7, seed=1)
    rule = TrainingRule(p=7, activation=activation, train_pairs=train)
    assert_same(*both_gradients(rule, "rows+2", size=0.7))


def test_rows_are_right_as_often_as_wrong():
    """So what they add to answers of training pairs, they take from those of the missing ones."""
    p = 7
    logits = np.random.default_rng(0).normal(size=(p, p, p))
    kept = np.fft.rfftn(logits) * parse_kept("rows").mask(p)
    rows = np.fft.irfftn(kept, s=logits.shape, axes=(0, 1, 2))
    # As they are: a sum of functions of x and j, and of y and j.
    of_x, of_y = rows.mean(1), rows.mean(0)
    np.testing.assert_allclose(rows, of_x[:, None] + of_y - rows.mean((0, 1)), atol=1e-14)
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    own = np.take_along_axis(rows, answers[..., None], -1)
    assert own.sum() == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("keep", [*KEPT, "3", "12", "antidiagonals"])
def test_number_of_modes(keep):
    for p in (7, 9):
        expected = int(wanted_modes(keep, p)[:, :, 1 : (p + 1) // 2].sum())
        assert parse_kept(keep).mask(p).sum() == expected


@pytest.mark.parametrize("keep", ["3", "3-margins", "rows+3"])
def test_all_modes_are_the_network(keep):
    """Order K keeps every mode of a prime p: every residue is a multiple of every c."""
    train, _ = nets.split_pairs(7, 0.7, seed=0)
    rule = TrainingRule(p=7, activation="gelu", train_pairs=train)
    layers = some_network(7, 16, 1.0)
    theta, xi = (torch.tensor(layer.T.copy(), requires_grad=True) for layer in layers)
    x, y = torch.tensor(train).T
    logits = SIGMA["gelu"](theta[:, x] + theta[:, y]).T @ xi
    loss = torch.nn.functional.cross_entropy(logits, (x + y) % 7)
    loss.backward()
    theirs = loss.item(), np.stack([theta.grad.numpy().T, xi.grad.numpy().T])
    assert_same(KeptLoss(rule, parse_kept(keep))(*layers), theirs)


@pytest.mark.parametrize("fraction", [1.0, 0.7])
@pytest.mark.parametrize("keep", ["3", "rows+1", "symmetric"])
def test_plateau_is_the_neuron_flow(fraction, keep):
    """With margins, whatever the training set: the residual of uniform softmax is all margin."""
    p = 7
    train, _ = nets.split_pairs(p, fraction, seed=0)
    rule = TrainingRule(p=p, activation="relu", train_pairs=train, learning_rate=1e-3)
    theta, xi = some_network(p, 16, 1.0)
    # Output weights so small that softmax is uniform to 1e-12, while their gradient is not small.
    start = fourier.spectrum(theta.T, 1e-12 * xi.T)
    ours = harmonic_flow(start, rule, [1], keep=keep)
    theirs = neuron_flow(start, rule, [1])
    for name in ("theta_hat", "xi_hat"):
        moved, expected = (
            (flow[name].isel(step=0) - start[name]).values for flow in (ours, theirs)
        )
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("keep", ["2-margins", "moments-margins"])
def test_quadratic_neurons_of_one_frequency_follow_the_moments(keep):
    """No cross-frequency terms: moment flow is the network's, and order 2 holds its modes."""
    p = 13
    start = nets.single_frequency(p, 48, 0.6, seed=0)
    # Its gradient moves other frequencies, too, which moment flow does without; one step is enough.
    rule = TrainingRule(p=p, learning_rate=1e-2)
    ours = harmonic_flow(start, rule, [0, 1], keep=keep)
    theirs = moment_flow(start, rule, [0, 1])
    np.testing.assert_allclose(ours.loss[0], theirs.loss[0], rtol=1e-10)
    own = fourier.alpha(start).values > 0.1
    for name in ("theta_hat", "xi_hat"):
        one, other = ((flow[name][1] - flow[name][0]).values[own] for flow in (ours, theirs))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * abs(other).max())


@pytest.mark.parametrize(
    "optimiser",
    [
        {"optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.8, "weight_decay": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
    ],
)
def test_optimisers_step_as_the_networks_do(optimiser, tmp_path):
    """Order K is the network, so its flow is a training, in float64, step by step."""
    config = nets.TrainingConfig(
        p=5,
        neurons=6,
        activation="quadratic",
        scale=1.0,
        train_fraction=0.7,
        warmup=10,
        steps=60,
        checkpoint_every=20,
        dtype="float64",
        **optimiser,
    )
    run = nets.train(config, tmp_path / "run")
    rule = TrainingRule(
        p=5, activation="quadratic", train_pairs=run.train_pairs, warmup=10, **optimiser
    )
    spectra = run.spectra().load()
    flow = harmonic_flow(spectra.isel(step=0), rule, spectra.step.values, keep="2")
    # The first update of a warm-up has no rate: the state after it is the start, with a memory.
    after = harmonic_flow(
        spectra.isel(step=0), replace(rule, first_step=1), spectra.step.values[1:] - 1, keep="2"
    )
    # Rounding over sixty steps; AdamW divides by gradients near zero.
    for name in ("theta_hat", "xi_hat"):
        np.testing.assert_allclose(flow[name], spectra[name], rtol=0, atol=1e-8)
        np.testing.assert_allclose(after[name], spectra[name][1:], rtol=0, atol=1e-8)
    # Neurons that move alone have the same memory.
    alone = [
        neuron_flow(
            spectra.isel(step=0),
            replace(rule, first_step=done),
            [60 - done],
            past_plateau=True,
        )
        for done in (0, 1)
    ]
    np.testing.assert_allclose(alone[1].xi_hat, alone[0].xi_hat, rtol=0, atol=1e-12)


def test_many_askings_are_one_training():
    rule = TrainingRule(p=7, activation="relu", optimizer="adamw", learning_rate=0.01)
    start = nets.gaussian(7, 20, 0.3, seed=1)
    often = harmonic_flow(start, rule, [0, 7, 60])
    once = harmonic_flow(start, rule, [60])
    np.testing.assert_array_equal(often.xi_hat.isel(step=-1), once.xi_hat.isel(step=0))
    np.testing.assert_allclose(often.xi_hat.isel(step=0), start.xi_hat, atol=1e-15)


def test_half_loss_is_when_the_loss_has_halved():
    rule = TrainingRule(p=5, optimizer="adamw", learning_rate=0.02)
    start = nets.gaussian(5, 16, 0.3, seed=1)
    path = harmonic_flow(start, rule, np.arange(200))
    at = path.attrs["half_loss"]
    assert 1 < at < 200
    half = path.loss.values[0] / 2
    assert path.loss.values[at] <= half < path.loss.values[at - 1]


def test_a_diverging_flow_is_held():
    rule = TrainingRule(p=5, activation="quartic", learning_rate=1e6)
    start = nets.gaussian(5, 16, 1.0, seed=1)
    path = harmonic_flow(start, rule, [0, 100])
    assert 0 <= path.attrs["stopped"] < 100
    assert np.isfinite(path.xi_hat).all()


@pytest.mark.parametrize("name", ["", "row", "3+4", "-1", "1.5", "rows+", "margins", "rows-margin"])
def test_unknown_sets_are_named(name):
    with pytest.raises(ValueError, match="what is kept must be one order and some of rows"):
        parse_kept(name)
