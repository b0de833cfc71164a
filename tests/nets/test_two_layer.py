"""Gradients of the network against autograd, for every activation, task and way to compute them."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets import tasks
from grokode.nets.networks.activations import ACTIVATIONS
from grokode.nets.networks.autograd import Autograd
from grokode.nets.networks.fused import FUSED, FusedGradient
from grokode.nets.networks.two_layer import TwoLayer
from grokode.nets.networks.two_layer_model import Gradient, Layers, outputs
from grokode.nets.tasks.examples import CrossEntropy, Examples, evaluate_classes

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
    """Random weights (layer, seed, p, neuron), the task, and each seed's training pairs."""
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.normal(size=(3 if separate else 2, seeds, P, NEURONS)))
    data = tasks.Modular(P, task, train_fraction=fraction)
    return weights, data, [data.split(seed)[0] for seed in range(seeds)]


def examples_of(data, rows, symmetric=True):
    return Examples.of(data, range(len(rows)), rows, symmetric=symmetric)


class Computed:
    """A gradient of the weights (layer, seed, p, neuron), in the same shape."""

    def __init__(self, kind, examples, activation, weights, summed=False, **options):
        self.value = torch.empty_like(weights)
        layers, to_layers = (
            Layers(tuple(values[:-1]), values[-1]) for values in (weights, self.value)
        )
        criterion = CrossEntropy(examples, torch.float64, summed)
        self._gradient = kind(examples, activation, criterion, layers, to_layers, **options)

    def __call__(self, step=0):
        return self._gradient(step)


def plain_losses(weights, data, rows, activation):
    """Mean cross-entropy of each seed over ordered pairs, for autograd."""
    losses = []
    for seed, of_seed in enumerate(rows):
        x, y = torch.tensor(data.inputs[of_seed]).T
        z = weights[0, seed][x] + weights[-2, seed][y]
        values = PLAIN[activation](z) @ weights[-1, seed].T
        answers = torch.tensor(data.answers(seed)[of_seed])
        losses.append(torch.nn.functional.cross_entropy(values, answers))
    return torch.stack(losses)


def check(gradient, weights, data, rows, activation, factor=1.0):
    leaf = weights.clone().requires_grad_()
    losses = plain_losses(leaf, data, rows, activation)
    losses.sum().backward()
    # Sums of a hundred terms in float64; 1e-12 of the largest entry is the accuracy claimed.
    torch.testing.assert_close(gradient(), losses.detach(), rtol=1e-12, atol=1e-12)
    expected = factor * leaf.grad
    atol = 1e-12 * float(expected.abs().max())
    torch.testing.assert_close(gradient.value, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_agrees_with_autograd(activation, separate):
    weights, data, rows = ensemble(separate=separate)
    examples = examples_of(data, rows, symmetric=not separate)
    for kind in (Gradient, FusedGradient) if activation in FUSED else (Gradient,):
        gradient = Computed(kind, examples, activation, weights)
        check(gradient, weights, data, rows, activation)


@pytest.mark.parametrize("task", tasks.OPERATIONS)
@pytest.mark.parametrize("kind", [Gradient, FusedGradient])
def test_every_task_has_its_gradient(task, kind):
    weights, data, rows = ensemble(task)
    gradient = Computed(kind, examples_of(data, rows), "relu", weights)
    check(gradient, weights, data, rows, "relu")


@pytest.mark.parametrize("kind", [Gradient, FusedGradient])
def test_the_summed_loss_has_the_gradient_of_the_mean_times_the_pairs(kind):
    weights, data, rows = ensemble()
    gradient = Computed(kind, examples_of(data, rows), "quadratic", weights, summed=True)
    check(gradient, weights, data, rows, "quadratic", factor=len(rows[0]))


def test_blocks_of_pairs_add_up(monkeypatch):
    """The fused gradient works through the pairs in blocks; here in many small ones."""
    monkeypatch.setattr("grokode.nets.networks.fused._BLOCK_BYTES", 5 * NEURONS * 8)
    weights, data, rows = ensemble()
    gradient = Computed(FusedGradient, examples_of(data, rows), "relu", weights)
    check(gradient, weights, data, rows, "relu")


def test_dropout_leaves_out_neurons_of_the_mean_size():
    """Averaged over draws, logits and so the gradient for xi at small weights stay the same."""
    weights, data, rows = ensemble(seeds=1)
    weights = weights * 0.01
    examples = examples_of(data, rows)
    whole = Computed(Gradient, examples, "quadratic", weights)
    whole()
    dropped = Computed(Gradient, examples, "quadratic", weights, dropout=0.5, seeds=[0])
    draws = 400
    values = torch.zeros_like(whole.value)
    for step in range(draws):
        dropped(step)
        values += dropped.value / draws
    # One draw's gradient for xi varies by about its own size; 400 draws bring that to 5%.
    error = (values - whole.value)[1].norm() / whole.value[1].norm()
    assert 0 < error < 0.1


@pytest.mark.parametrize(
    "settings",
    [{}, {"separate_inputs": True}, {"embedding": 4}, {"embedding": 4, "separate_inputs": True}],
)
@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_the_written_gradient_is_that_of_the_outputs(settings, activation):
    """In the network's own parameters, through the same call that training makes."""
    network = TwoLayer(neurons=NEURONS, activation=activation, scale=1.0, **settings)
    data = tasks.Modular(P, train_fraction=0.6)
    rows = [data.split(seed)[0] for seed in (0, 1)]
    examples = examples_of(data, rows, symmetric=network.symmetric)
    drawn = [network.draw(data, seed) for seed in (0, 1)]
    parameters = {name: torch.tensor(np.stack([d[name] for d in drawn])) for name in drawn[0]}
    assert {name: tuple(value.shape[1:]) for name, value in parameters.items()} == {
        name: layout.shape for name, layout in network.layout(data).items()
    }
    losses, gradients = [], []
    for make in (network.objective, Autograd):
        of_each = {name: torch.zeros_like(value) for name, value in parameters.items()}
        if make is Autograd:
            objective = Autograd(network, data, examples, parameters, of_each)
        else:
            objective = make(data, examples, parameters, of_each, [0, 1])
        losses.append(objective(0))
        gradients.append(of_each)
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)
    for name, value in gradients[0].items():
        # Sums of a hundred terms in float64, as above.
        atol = 1e-12 * float(value.abs().max())
        torch.testing.assert_close(value, gradients[1][name], rtol=0, atol=atol)


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
    for task, kind in tasks.OPERATIONS.items():
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
    weights, data, rows = ensemble()
    layers = Layers(tuple(weights[:-1]), weights[-1])
    examples = examples_of(data, rows)
    loss, accuracy = evaluate_classes(outputs(layers, examples.inputs, "relu"), examples)
    torch.testing.assert_close(loss, plain_losses(weights, data, rows, "relu"))
    for seed, of_seed in enumerate(rows):
        theta, xi = weights[0, seed].T, weights[1, seed].T
        pairs = data.inputs[of_seed]
        right = nets.logits(theta, xi, "relu", pairs).argmax(-1) == pairs.sum(1) % P
        assert float(accuracy[seed]) == pytest.approx(right.mean(), abs=1e-14)
    empty = examples_of(data, [np.empty(0, dtype=int)] * 2)
    values = outputs(layers, empty.inputs, "relu")
    assert all(value.isnan().all() for value in evaluate_classes(values, empty))
