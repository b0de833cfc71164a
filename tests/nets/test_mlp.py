"""Gradients of the network against autograd, for every activation, task and way to compute them."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets import tasks
from grokode.nets.activations import ACTIVATIONS
from grokode.nets.fused import FUSED, FusedGradient
from grokode.nets.mlp import Examples, Gradient, evaluate

P, NEURONS = 11, 9

# As written in the papers, and independent of how the package computes them.
PLAIN = {
    "quadratic": lambda z: z**2,
    "relu": lambda z: torch.clamp(z, min=0),
    "abs": lambda z: torch.sqrt(z**2),
    "quartic": lambda z: z**4,
    "gelu": torch.nn.functional.gelu,
    "softplus": lambda z: torch.log(1 + torch.exp(z)),
    "softplus2": lambda z: torch.log(1 + torch.exp(2 * z)),
    "exp": torch.exp,
    "identity": lambda z: z,
    "cubic": lambda z: z**3,
}


def ensemble(task="addition", separate=False, seeds=2, fraction=0.6):
    """Random weights (layer, seed, p, neuron), and each seed's pairs and table."""
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.normal(size=(3 if separate else 2, seeds, P, NEURONS)))
    pairs = [nets.split_pairs(P, fraction, seed)[0] for seed in range(seeds)]
    return weights, pairs, [tasks.table(task, P, seed) for seed in range(seeds)]


def plain_losses(weights, pairs, tables, activation):
    """Mean cross-entropy of each seed over ordered pairs, for autograd."""
    losses = []
    for seed, (of_seed, table) in enumerate(zip(pairs, tables, strict=True)):
        x, y = torch.tensor(of_seed).T
        z = weights[0, seed][x] + weights[-2, seed][y]
        values = PLAIN[activation](z) @ weights[-1, seed].T
        losses.append(torch.nn.functional.cross_entropy(values, torch.tensor(table)[x, y]))
    return torch.stack(losses)


def check(gradient, weights, pairs, tables, activation, factor=1.0):
    leaf = weights.clone().requires_grad_()
    losses = plain_losses(leaf, pairs, tables, activation)
    losses.sum().backward()
    # Sums of a hundred terms in float64; 1e-12 of the largest entry is the accuracy claimed.
    torch.testing.assert_close(gradient(), losses.detach(), rtol=1e-12, atol=1e-12)
    expected = factor * leaf.grad
    atol = 1e-12 * float(expected.abs().max())
    torch.testing.assert_close(gradient.value, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_agrees_with_autograd(activation, separate):
    weights, pairs, tables = ensemble(separate=separate)
    examples = Examples.of(pairs, tables, symmetric=not separate)
    check(Gradient(examples, activation, weights), weights, pairs, tables, activation)
    if activation in FUSED:
        check(FusedGradient(examples, activation, weights), weights, pairs, tables, activation)


@pytest.mark.parametrize("task", tasks.TASKS)
@pytest.mark.parametrize("kind", [Gradient, FusedGradient])
def test_every_task_has_its_gradient(task, kind):
    weights, pairs, tables = ensemble(task)
    examples = Examples.of(pairs, tables, symmetric=tasks.TASKS[task].symmetric)
    check(kind(examples, "relu", weights), weights, pairs, tables, "relu")


@pytest.mark.parametrize("kind", [Gradient, FusedGradient])
def test_the_summed_loss_has_the_gradient_of_the_mean_times_the_pairs(kind):
    weights, pairs, tables = ensemble()
    examples = Examples.of(pairs, tables, symmetric=True)
    gradient = kind(examples, "quadratic", weights, summed=True)
    check(gradient, weights, pairs, tables, "quadratic", factor=len(pairs[0]))


def test_blocks_of_pairs_add_up(monkeypatch):
    """The fused gradient works through the pairs in blocks; here in many small ones."""
    monkeypatch.setattr("grokode.nets.fused._BLOCK_BYTES", 5 * NEURONS * 8)
    weights, pairs, tables = ensemble()
    examples = Examples.of(pairs, tables, symmetric=True)
    check(FusedGradient(examples, "relu", weights), weights, pairs, tables, "relu")


def test_dropout_leaves_out_neurons_of_the_mean_size():
    """Averaged over draws, logits and so the gradient for xi at small weights stay the same."""
    weights, pairs, tables = ensemble(seeds=1)
    weights = weights * 0.01
    examples = Examples.of(pairs, tables, symmetric=True)
    whole = Gradient(examples, "quadratic", weights)
    whole()
    dropped = Gradient(examples, "quadratic", weights, dropout=0.5)
    generator, draws = torch.Generator().manual_seed(0), 400
    values = torch.zeros_like(whole.value)
    for _ in range(draws):
        dropped([generator])
        values += dropped.value / draws
    # One draw's gradient for xi varies by about its own size; 400 draws bring that to 5%.
    error = (values - whole.value)[1].norm() / whole.value[1].norm()
    assert 0 < error < 0.1


def test_tables_are_what_they_say():
    x, y = tasks.all_pairs(P).T
    for task, answers in {
        "addition": x + y,
        "subtraction": x - y,
        "multiplication": x * y,
        "quadratic_form": x**2 + x * y + y**2,
    }.items():
        np.testing.assert_array_equal(tasks.table(task, P).ravel(), answers % P)
    table = tasks.table("random", P, 3)
    assert table.min() == 0
    assert table.max() == P - 1
    assert (tasks.table("random", P, 4) != table).any()
    for task, kind in tasks.TASKS.items():
        table = tasks.table(task, P)
        assert kind.symmetric == (table == table.T).all()
    with pytest.raises(ValueError, match="task must be one of"):
        tasks.table("division", P)


def test_logits_are_the_sum_over_neurons():
    rng = np.random.default_rng(0)
    theta, theta_y, xi = rng.normal(size=(3, 3, 5))
    out = nets.logits(theta, xi, "relu").reshape(5, 5, 5)
    by_hand = sum(max(theta[m, 2] + theta[m, 4], 0) * xi[m, 1] for m in range(3))
    assert out[2, 4, 1] == pytest.approx(by_hand, rel=1e-14)
    out = nets.logits(theta, xi, "exp", theta_y=theta_y).reshape(5, 5, 5)
    by_hand = sum(np.exp(theta[m, 2] + theta_y[m, 4]) * xi[m, 1] for m in range(3))
    assert out[2, 4, 1] == pytest.approx(by_hand, rel=1e-14)


def test_evaluation_counts_ordered_pairs():
    weights, pairs, tables = ensemble()
    examples = Examples.of(pairs, tables, symmetric=True)
    loss, accuracy = evaluate(weights, examples, "relu")
    torch.testing.assert_close(loss, plain_losses(weights, pairs, tables, "relu"))
    for seed, of_seed in enumerate(pairs):
        theta, xi = weights[0, seed].T, weights[1, seed].T
        values = nets.logits(theta, xi, "relu", of_seed)
        right = values.argmax(-1) == of_seed.sum(1) % P
        assert float(accuracy[seed]) == pytest.approx(right.mean(), abs=1e-14)
    empty = Examples.of([np.empty((0, 2), dtype=int)] * 2, tables, symmetric=True)
    assert all(value.isnan().all() for value in evaluate(weights, empty, "relu"))
