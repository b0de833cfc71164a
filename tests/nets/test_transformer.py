"""Transformers against the published formulas written out plainly, and their fast gradient."""

import math

import numpy as np
import pytest
import torch

from grokode.nets.networks.summed_embeddings import SummedEmbeddings
from grokode.nets.networks.token_tables import TableGradient
from grokode.nets.networks.transformer import Transformer, published_split

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
    drawn = [network.draw(p, seed) for seed in seeds]
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


@pytest.mark.parametrize("settings", VARIANTS)
def test_table_gradient_is_autograds(settings):
    network, p, seeds = Transformer(**SMALL | settings), 11, (0, 1)
    parameters = parameters_of(network, p, seeds)
    inputs = torch.tensor(np.stack([published_split(p, 0.4, seed)[0] for seed in seeds]))
    answers = inputs.sum(-1) % p
    kept = None
    if network.dropout:
        shape = (len(seeds), inputs.shape[1], network.neurons or network.width)
        kept = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.3).double() / 0.7
    gradients = {name: torch.full_like(value, torch.nan) for name, value in parameters.items()}
    loss = TableGradient(network, parameters, gradients, inputs, answers)(kept)
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    values = network.outputs(leaves, inputs, None if kept is None else kept[:, :, None])
    expected = torch.nn.functional.cross_entropy(values.mT, answers, reduction="none").mean(1)
    expected.sum().backward()
    # Promised to 1e-10; measured at 1e-14.
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for name, leaf in leaves.items():
        torch.testing.assert_close(gradients[name], leaf.grad, rtol=0, atol=1e-12, msg=name)


def test_table_gradient_reads_parameters_anew_and_sums_if_asked():
    network, p = Transformer(**SMALL), 7
    parameters = parameters_of(network, p)
    inputs = torch.tensor([[[0, 1], [2, 3], [5, 5]]])
    answers = inputs.sum(-1) % p
    mean, summed = ({n: torch.zeros_like(v) for n, v in parameters.items()} for _ in range(2))
    of_mean = TableGradient(network, parameters, mean, inputs, answers)
    of_sum = TableGradient(network, parameters, summed, inputs, answers, summed=True)
    before = of_mean()
    parameters["W_U"] *= 0
    assert of_mean().item() == pytest.approx(math.log(p + 1), rel=1e-12)
    assert before.item() != pytest.approx(math.log(p + 1), rel=1e-3)
    of_sum()
    torch.testing.assert_close(summed["W_U"], 3 * mean["W_U"], rtol=1e-12, atol=1e-15)


def test_a_seed_does_not_see_its_neighbours():
    network, p = Transformer(**SMALL), 7
    both, one = parameters_of(network, p, (0, 1)), {}
    for name, value in both.items():
        one[name] = value[1:]
    pairs = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(network.outputs(both, pairs)[1], network.outputs(one, pairs)[0])


def test_blocks_of_pairs_add_up(monkeypatch):
    network, p = Transformer(**SMALL), 7
    parameters = parameters_of(network, p)
    inputs = torch.tensor(published_split(p, 0.9, 0)[0])[None]
    found = []
    for size in (1 << 20, 400):
        monkeypatch.setattr("grokode.nets.networks.token_tables._BLOCK_BYTES", size)
        gradients = {name: torch.zeros_like(value) for name, value in parameters.items()}
        TableGradient(network, parameters, gradients, inputs, inputs.sum(-1) % p)()
        found.append(gradients)
    for name in parameters:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=0, atol=1e-14)


def test_start_has_the_published_scales():
    network, p = Transformer(), 113
    start = network.draw(p, 3)
    # 1/sqrt(d) for all but W_U; the spread of n numbers is known to 1/sqrt(2 n), 4 of it.
    for name, values in start.items():
        if name.startswith("b"):
            assert not values.any()
            continue
        scale = 1 / math.sqrt(p + 1 if name == "W_U" else network.width)
        assert values.std() == pytest.approx(scale, rel=4 / math.sqrt(2 * values.size)), name
    assert (start["W_E"] == network.draw(p, 3)["W_E"]).all()
    assert (start["W_E"] != network.draw(p, 4)["W_E"]).any()
    two = Transformer(layers=2).draw(p, 3)
    assert (two["W_K"][0] == start["W_K"][0]).all()
    assert (two["W_K"][1] != start["W_K"][0]).all()


def test_layout_is_what_is_drawn():
    for settings in VARIANTS:
        network = Transformer(**SMALL | settings)
        shapes = {name: shape for name, (dims, shape) in network.layout(9).items()}
        assert {name: value.shape for name, value in network.draw(9, 0).items()} == shapes
        assert all(len(dims) == len(shape) for dims, shape in network.layout(9).values())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": 10, "heads": 4}, "heads must divide the width 10, got 4"),
        ({"layers": 3}, "layers must be 1 or 2, got 3"),
        ({"attention_rate": 1.5}, "attention_rate must be in"),
        ({"dropout": 1}, "dropout must be in"),
        ({"neurons": 2.5}, "neurons must be an integer"),
    ],
)
def test_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Transformer(**settings)
    with pytest.raises(ValueError, match="p must be odd"):
        Transformer().layout(8)


def test_two_layers_have_no_tables():
    network = Transformer(**SMALL, layers=2)
    with pytest.raises(ValueError, match="one layer"):
        TableGradient(network, {}, {}, torch.zeros(1, 1, 2), torch.zeros(1, 1))


def test_split_is_pythons_shuffle():
    train, test = published_split(5, 0.5, 7)
    assert (len(train), len(test)) == (12, 13)
    both = np.concatenate([train, test])
    assert len(np.unique(both, axis=0)) == 25


def test_summed_embeddings_do_not_see_the_order():
    network, rng = SummedEmbeddings(6, 2), np.random.default_rng(0)
    shapes = {"embed": (5, 6), "unembed": (5, 6), "W": (2, 6, 6), "b": (2, 6)}
    parameters = {n: torch.tensor(rng.normal(size=(1, *shape))) for n, shape in shapes.items()}
    pairs = torch.tensor([[1, 4], [4, 1]])
    one, other = network.outputs(parameters, pairs)[0]
    torch.testing.assert_close(one, other)
    W, b = parameters["W"][0].numpy(), parameters["b"][0].numpy()
    hidden = parameters["embed"][0, 1].numpy() + parameters["embed"][0, 4].numpy()
    for layer in range(2):
        hidden = np.maximum(W[layer] @ hidden + b[layer], 0)
    np.testing.assert_allclose(one.numpy(), parameters["unembed"][0].numpy() @ hidden, rtol=1e-12)
