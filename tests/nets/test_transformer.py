"""Transformers against the published formulas written out plainly, and their fast gradient."""

import math
import random

import numpy as np
import pytest
import torch
import xarray as xr

from grokode.nets.networks import (
    SummedEmbeddings,
    Transformer,
    token_attention,
    token_tables,
    transformer_model,
)
from grokode.nets.networks.own_pairs import OwnPairs, kept_factors
from grokode.nets.networks.token_tables import TableGradient
from grokode.nets.tasks import Modular, split_pairs
from grokode.nets.tasks.examples import Examples

SMALL = {"width": 12, "heads": 3, "neurons": 10}
VARIANTS = [
    {},
    {"equals": False},
    {"neurons": 0},
    {"neurons": 0, "equals": False, "dropout": 0.2},
    {"attention_rate": 0.3},
    {"attention_rate": 0.0, "equals": False},
    {"tied": True},
    {"tied": True, "equals": False, "attention_rate": 0.5},
    {"dropout": 0.3},
    {"heads": 1, "width": 5, "neurons": 7},
]


def parameters_of(network, p, seeds=(0,)):
    """Starts, moved off their zeros so that every parameter has an effect."""
    rng = np.random.default_rng(5)
    drawn = [network.draw(Modular(p=p), seed) for seed in seeds]
    return {
        name: torch.tensor(
            np.stack([d[name] + 0.3 * rng.normal(size=d[name].shape) for d in drawn])
        )
        for name in drawn[0]
    }


def plainly(network, parameters, x, y, p):
    """One pair's logits by the paper's formulas, position by position and head by head."""
    tokens = [x, y, p] if network.equals else [x, y]
    W = {name: value[0].numpy() for name, value in parameters.items()}
    stream = [W["W_E"][:, token] + W["W_pos"][i] for i, token in enumerate(tokens)]
    for layer in range(network.layers):
        after = []
        for i, query in enumerate(stream):
            outputs = []
            for head in range(network.heads):
                K, Q, V = (W[n][layer, head] for n in ("W_K", "W_Q", "W_V"))
                scores = [(Q @ query) @ (K @ key) / math.sqrt(len(K)) for key in stream[: i + 1]]
                softmax = np.exp(scores) / np.exp(scores).sum()
                taken = network.attention_rate * softmax + 1 - network.attention_rate
                outputs.append(sum(a * (V @ v) for a, v in zip(taken, stream, strict=False)))
            after.append(query + W["W_O"][layer] @ np.concatenate(outputs))
        stream = after
        if network.neurons:
            W_in, b_in, W_out, b_out = (W[n][layer] for n in ("W_in", "b_in", "W_out", "b_out"))
            stream = [r + W_out @ np.maximum(W_in @ r + b_in, 0) + b_out for r in stream]
    return stream[-1] @ W["W_E" if network.tied else "W_U"]


@pytest.mark.parametrize(
    "settings", [*VARIANTS, {"layers": 2}, {"layers": 2, "neurons": 0, "attention_rate": 0.4}]
)
def test_outputs_are_the_published_formulas(settings):
    network, p = Transformer(**SMALL | settings), 7
    parameters = parameters_of(network, p)
    pairs = torch.tensor([[0, 0], [3, 6], [6, 3], [5, 1]])
    values = network.outputs(parameters, pairs)[0].numpy()
    expected = [plainly(network, parameters, int(x), int(y), p) for x, y in pairs]
    # Sums of some hundred terms of order 1: rounding is far below.
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def examples_of(task, seeds):
    return Examples.of(task, seeds, [task.split(seed)[0] for seed in seeds])


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("settings", [*VARIANTS, {"layers": 2, "dropout": 0.2}])
def test_objective_is_the_loss_and_autograds_gradient(settings, loss):
    network, seeds = Transformer(**SMALL | settings), (3, 8)
    task = Modular(p=11, train_fraction=0.4, loss=loss)
    parameters = parameters_of(network, task.p, seeds)
    gradients = {name: torch.full_like(value, torch.nan) for name, value in parameters.items()}
    examples = examples_of(task, seeds)
    losses = network.objective(task, examples, parameters, gradients, seeds)(7)
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    inputs = torch.tensor(np.stack([task.inputs[task.split(seed)[0]] for seed in seeds]))
    kept = None
    if network.dropout:
        shape = (inputs.shape[1], network.layers, network.neurons or network.width)
        # One layer's factors are drawn without that dimension: the same numbers.
        kept = kept_factors(seeds, 7, shape, network.dropout, parameters["W_E"])
    values = transformer_model.activations(network, leaves, inputs, kept).logits
    answers = inputs.sum(-1) % task.p
    expected = torch.nn.functional.cross_entropy(values.mT, answers, reduction="none")
    (expected.sum() if loss == "sum" else expected.mean(1).sum()).backward()
    # Promised to 1e-10; measured at 1e-14.
    torch.testing.assert_close(losses, expected.detach().mean(1), rtol=1e-12, atol=0)
    for name, leaf in leaves.items():
        torch.testing.assert_close(gradients[name], leaf.grad, rtol=1e-12, atol=1e-12, msg=name)


def test_pairs_that_count_more_than_once_and_lists_of_different_lengths():
    task = Modular(p=5)
    chosen = [np.array([1, 1, 7]), np.array([2, 3, 4, 24])]
    examples = Examples.of(task, (0, 1), chosen)
    own = OwnPairs.of(task, examples)
    logits = torch.tensor(np.random.default_rng(0).normal(size=(2, own.inputs.shape[1], 6)))
    residual, loss = own.criterion(logits)
    inputs = own.inputs[0, :2]
    assert inputs.tolist() == [[0, 1], [1, 2]]
    losses = torch.nn.functional.cross_entropy(logits[0, :2], inputs.sum(-1) % 5, reduction="none")
    assert loss[0].item() == pytest.approx(((2 * losses[0] + losses[1]) / 3).item(), rel=1e-13)
    assert not residual[0, 2:].any()


def test_objective_reads_parameters_anew():
    network, task = Transformer(**SMALL), Modular(p=7)
    parameters = parameters_of(network, task.p)
    gradients = {name: torch.zeros_like(value) for name, value in parameters.items()}
    objective = network.objective(task, examples_of(task, (0,)), parameters, gradients, (0,))
    before = objective(0)
    parameters["W_U"] *= 0
    # All p + 1 classes alike, "=" among them.
    assert objective(0).item() == pytest.approx(math.log(task.p + 1), rel=1e-12)
    assert before.item() != pytest.approx(math.log(task.p + 1), rel=1e-3)


def test_a_seed_does_not_see_its_neighbours():
    network, p = Transformer(**SMALL), 7
    both, one = parameters_of(network, p, (0, 1)), {}
    for name, value in both.items():
        one[name] = value[1:]
    pairs = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(network.outputs(both, pairs)[1], network.outputs(one, pairs)[0])


def test_blocks_of_pairs_add_up(monkeypatch):
    network, task = Transformer(**SMALL), Modular(p=7, train_fraction=0.9)
    parameters = parameters_of(network, task.p)
    both = []
    for size in (1 << 20, 400):
        monkeypatch.setattr("grokode.nets.networks.token_tables._BLOCK_BYTES", size)
        gradients = {name: torch.zeros_like(value) for name, value in parameters.items()}
        TableGradient(network, task, examples_of(task, (0,)), parameters, gradients, (0,))(0)
        both.append(gradients)
    for name in parameters:
        torch.testing.assert_close(both[0][name], both[1][name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("equals", [True, False])
def test_operations_for_a_gpu_and_loops_for_a_processor_attend_alike(equals):
    network, p = Transformer(**SMALL, equals=equals, attention_rate=0.7), 7
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randint(p, (2, 3, 40), generator=generator)
    back = torch.randn(3, 40, network.width, generator=generator, dtype=torch.float64)
    tables = token_tables._tables(network, parameters_of(network, p, (0, 1, 2)))
    pulled = tables.made(torch.zeros_like)
    options = (p, network.heads, equals, network.attention_rate)
    together = token_attention.ArrayAttention(x, y, *options)
    heads = together.forward(tables)
    together.back(pulled, back)
    for seed in range(3):
        part = slice(seed, seed + 1)
        of_seed = tables.made(lambda t, part=part: t[part])
        to_seed = of_seed.made(torch.zeros_like)
        alone = token_attention.LoopAttention(x[part], y[part], *options)
        # Forty sums of a few terms in another order.
        torch.testing.assert_close(alone.forward(of_seed), heads[part], rtol=1e-13, atol=1e-14)
        alone.back(to_seed, back[part])
        expected = pulled.made(lambda t, part=part: t[part])
        for one, other in zip(to_seed.given(), expected.given(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_start_has_the_published_scales():
    network, task = Transformer(), Modular(p=113)
    start = network.draw(task, 3)
    # 1/sqrt(d) for all but W_U; the spread of n numbers is known to 1/sqrt(2 n), 4 of it.
    for name, values in start.items():
        if name.startswith("b"):
            assert not values.any()
            continue
        scale = 1 / math.sqrt(task.p + 1 if name == "W_U" else network.width)
        assert values.std() == pytest.approx(scale, rel=4 / math.sqrt(2 * values.size)), name
    assert (start["W_E"] == network.draw(task, 3)["W_E"]).all()
    assert (start["W_E"] != network.draw(task, 4)["W_E"]).any()
    two = Transformer(layers=2).draw(task, 3)
    assert (two["W_K"][0] == start["W_K"][0]).all()
    assert (two["W_K"][1] != start["W_K"][0]).all()


def test_given_start_and_what_does_not_fit():
    network, task = Transformer(**SMALL), Modular(p=9)
    layouts = network.layout(task)
    start = network.draw(task, 0)
    given = xr.Dataset({name: (layouts[name].dims, values) for name, values in start.items()})
    again = Transformer(**SMALL, initial="given").draw(task, 0, given)
    assert all((again[name] == values).all() for name, values in start.items())
    with pytest.raises(ValueError, match="initial lacks W_U"):
        network.draw(task, 0, given.drop_vars("W_U"))
    with pytest.raises(ValueError, match="W_E that is NaN"):
        network.draw(task, 0, given.assign(W_E=given.W_E * np.nan))
    with pytest.raises(ValueError, match=r"W_in of shape \(1, 9, 12\), not \(1, 10, 12\)"):
        network.draw(task, 0, given.isel(neuron=slice(9)))
    with pytest.raises(ValueError, match="names no recipe"):
        Transformer(**SMALL, initial="given").draw(task, 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"width": 10, "heads": 4}, "heads must divide the width 10, got 4"),
        ({"layers": 3}, "layers must be 1 or 2, got 3"),
        ({"attention_rate": 1.5}, "attention_rate must be in"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"initial": "gaussian"}, "initial must be one of"),
    ],
)
def test_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Transformer(**settings)


def test_two_layers_have_no_tables():
    network, task = Transformer(**SMALL, layers=2), Modular(p=5)
    with pytest.raises(ValueError, match="tables are of one layer"):
        TableGradient(network, task, examples_of(task, (0,)), {}, {}, (0,))


def test_pythons_shuffle_splits_as_published():
    pairs = [(x, y) for x in range(5) for y in range(5)]
    random.Random(7).shuffle(pairs)
    train, test = split_pairs(5, 0.5, 7, "python")
    assert set(map(tuple, train.tolist())) == set(pairs[:12])
    assert set(map(tuple, test.tolist())) == set(pairs[12:])
    assert Modular(p=5, train_fraction=0.5, shuffle="python").split(7)[0].shape == (12,)


def test_summed_embeddings_do_not_see_the_order():
    network, task = SummedEmbeddings(6, 2), Modular(p=5)
    start = network.draw(task, 0)
    parameters = {name: torch.tensor(values)[None] for name, values in start.items()}
    one, other = network.outputs(parameters, np.array([[1, 4], [4, 1]]))[0]
    torch.testing.assert_close(one, other)
    hidden = start["embed"][1] + start["embed"][4]
    for layer in range(2):
        hidden = np.maximum(start["W"][layer] @ hidden + start["b"][layer], 0)
    np.testing.assert_allclose(one.numpy(), start["unembed"] @ hidden, rtol=1e-12)
