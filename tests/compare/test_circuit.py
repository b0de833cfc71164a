"""Measures of the circuit against brute force over all pairs, and networks made by hand."""

import numpy as np
import pytest
import torch
import xarray as xr

from grokode.compare.circuit.computation import (
    of_summed_embeddings,
    of_transformer,
    of_two_layer,
)
from grokode.compare.circuit.kernel_fits import circularity, distance_irrelevance, fit_kernels
from grokode.compare.circuit.measures import circuit, gradient_symmetricity, key_frequencies
from grokode.compare.circuit.neurons import (
    NeuronWaves,
    project_on_outputs,
    projection_shares,
    replace_by_waves,
)
from grokode.compare.circuit.progress import phases, progress
from grokode.compare.circuit.waves import (
    SumWaves,
    blocks_only,
    cross_entropy,
    excluded_losses,
    frequency_norms,
    gini,
    restricted_loss,
    weighted,
)
from grokode.compare.common.kernels import all_logits
from grokode.nets.networks import SummedEmbeddings, Transformer
from grokode.nets.tasks import Modular

P = 7
X, Y = np.indices((P, P))
ANSWERS = (X + Y) % P
KEYS = [1, 3]


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(0).normal(size=(P, P, P))


def least_squares(target, columns):
    """Part of a target (n, m) in the span of columns (n, c)."""
    return columns @ np.linalg.lstsq(columns, target, rcond=None)[0]


def directions(keys):
    angle = 2 * np.pi / P * (X + Y).ravel()
    return np.stack([wave(k * angle) for k in keys for wave in (np.cos, np.sin)], 1)


def test_restricted_and_excluded_loss_are_least_squares_projections(logits):
    waves, flat = SumWaves.of(logits), logits.reshape(P * P, P)
    part = least_squares(flat, directions(KEYS))
    mask = np.random.default_rng(1).integers(0, 2, (P, P)).astype(float)
    for weights in (None, mask):
        expected = cross_entropy((part + flat.mean(0)).reshape(P, P, P), ANSWERS, weights)
        assert restricted_loss(waves, KEYS, weights) == pytest.approx(expected, rel=1e-12)
        expected = cross_entropy((flat - part).reshape(P, P, P), ANSWERS, weights)
        loss = weighted(excluded_losses(logits, waves, KEYS), weights)
        assert loss == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        waves.norms()[[0, 2]],
        [np.linalg.norm(least_squares(flat, directions([k]))) for k in KEYS],
        rtol=1e-12,
    )


def test_three_dimensional_exclusion_takes_one_direction_of_pairs_and_outputs(logits):
    angle = 2 * np.pi / P * ((X + Y)[..., None] - np.arange(P))
    columns = np.stack([np.cos(k * angle).ravel() for k in KEYS], 1)
    rest = logits.ravel()[:, None] - least_squares(logits.reshape(-1, 1), columns)
    expected = cross_entropy(rest.reshape(P, P, P), ANSWERS)
    waves = SumWaves.of(logits)
    loss = excluded_losses(logits, waves, KEYS, three_dimensional=True).mean()
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("linear", [False, True])
def test_blocks_are_least_squares_fits_by_products(logits, linear):
    def waves(k, v):
        some = [np.cos(2 * np.pi * k * v / P), np.sin(2 * np.pi * k * v / P)]
        return [*some, np.ones_like(some[0])] if linear else some

    columns = [np.ones(P * P)]
    columns += [(a * b).ravel() for k in KEYS for a in waves(k, X) for b in waves(k, Y)]
    expected = least_squares(logits.reshape(P * P, P), np.stack(columns, 1))
    np.testing.assert_allclose(
        blocks_only(logits, KEYS, linear=linear).reshape(P * P, P), expected, atol=1e-13
    )


def test_cross_entropy_keeps_tiny_losses():
    logits = np.zeros((1, 3))
    logits[0, 1] = 50
    # log(1 + 2 e^-50) = 2 e^-50 to its square, 1e-43.
    assert cross_entropy(logits, np.array([1])) == pytest.approx(2 * np.exp(-50), rel=1e-12)
    values, answers = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 1, 2, 3, 0])
    expected = torch.nn.functional.cross_entropy(torch.tensor(values), torch.tensor(answers))
    assert cross_entropy(values, answers) == pytest.approx(expected.item(), rel=1e-13)


def test_kernel_fits_are_regressions(logits):
    centred = logits - logits.mean(-1, keepdims=True)
    angle = 2 * np.pi / P * ((X + Y)[..., None] - np.arange(P))
    for form, (r2, scales) in fit_kernels(logits, KEYS).items():
        columns = []
        for k in KEYS:
            kernel = np.abs(np.cos(np.pi * k * (X - Y) / P)) if form == "pizza" else 1 + 0 * X
            columns.append((kernel[..., None] * np.cos(k * angle)).ravel())
        columns = np.stack(columns, 1)
        expected, *_ = np.linalg.lstsq(columns, centred.ravel(), rcond=None)
        np.testing.assert_allclose(scales, expected, rtol=1e-10)
        rest = centred.ravel() - columns @ expected
        assert r2 == pytest.approx(1 - rest @ rest / np.square(centred).sum(), rel=1e-10)


def test_neuron_shares_and_polynomials_are_regressions():
    rng = np.random.default_rng(3)
    neurons = np.maximum(rng.normal(size=(P, P, 3)), 0)
    neurons[..., 1] = 2 + np.cos(2 * np.pi * 2 * X / P) * np.sin(2 * np.pi * 2 * Y / P)
    neurons[..., 2] = 0.7
    waves_of = NeuronWaves.of(neurons)
    for k in range(1, 4):
        a, b = 2 * np.pi * k * X / P, 2 * np.pi * k * Y / P
        columns = np.stack(
            [
                (f * g).ravel()
                for f in (np.cos(a), np.sin(a), np.ones((P, P)))
                for g in (np.cos(b), np.sin(b), np.ones((P, P)))
            ],
            1,
        )
        flat = neurons[..., 0].reshape(-1, 1)
        fitted = least_squares(flat, columns)
        expected = fitted.var() / flat.var()
        assert waves_of.share[k - 1, 0] == pytest.approx(expected, rel=1e-10)
        if waves_of.best()[0][0] == k:
            np.testing.assert_allclose(
                replace_by_waves(neurons, 0.0)[..., 0].reshape(-1, 1), fitted, atol=1e-13
            )
    frequency, share = waves_of.best()
    assert frequency[1:].tolist() == [2, 0]
    assert share[1:].tolist() == [pytest.approx(1, rel=1e-12), 0]
    assert waves_of.clusters() == {2: 1}
    kept = replace_by_waves(neurons)
    assert (kept[..., 0] == neurons[..., 0]).all()


def test_projection_shares_are_squared_correlations():
    rng = np.random.default_rng(4)
    neurons, to_logits = rng.normal(size=(P, P, 9)), rng.normal(size=(P, 9))
    shares, residual = projection_shares(neurons, to_logits, KEYS)
    j = np.arange(P)
    for row, k in enumerate(KEYS):
        for column, wave in enumerate((np.cos, np.sin)):
            u = wave(2 * np.pi * k * j / P) @ to_logits
            target = wave(2 * np.pi * k * (X + Y) / P)
            expected = np.corrcoef((neurons @ u).ravel(), target.ravel())[0, 1] ** 2
            assert shares[row, column] == pytest.approx(expected, rel=1e-10)
    angle = 2 * np.pi * np.outer(KEYS, j) / P
    inside = least_squares(to_logits, np.concatenate([np.cos(angle), np.sin(angle)]).T)
    expected = np.square(to_logits - inside).sum() / np.square(to_logits).sum()
    assert residual == pytest.approx(expected, rel=1e-10)
    span = project_on_outputs(neurons, to_logits, KEYS)
    # The rest of the neurons gives nothing to the waves of the keys over outputs.
    rest = (neurons - span) @ to_logits.T
    assert np.abs(rest @ np.exp(1j * angle).T).max() < 1e-12


def test_gini_is_half_the_mean_difference_over_the_mean():
    sizes = np.random.default_rng(0).random(11)
    expected = np.abs(np.subtract.outer(sizes, sizes)).mean() / (2 * sizes.mean())
    assert gini(sizes) == pytest.approx(expected, rel=1e-12)


def test_frequency_norms_are_those_of_the_transform():
    rows = np.random.default_rng(0).normal(size=(P, 4))
    transform = np.fft.fft(rows, axis=0)[1 : P // 2 + 1]
    expected = np.sqrt(2 / P * np.square(np.abs(transform)).sum(1))
    np.testing.assert_allclose(frequency_norms(rows), expected, rtol=1e-12)


def clock(keys, p, size=10.0):
    """A network made by hand: a logit of exactly the clock's form, by a table of its own."""
    angle = 2 * np.pi / p * (np.add.outer(np.arange(p), np.arange(p))[..., None] - np.arange(p))
    return size * sum(np.cos(k * angle) for k in keys)


def test_clock_and_pizza_made_by_hand_are_told_apart():
    p, k = 11, 3
    logits = clock([k], p)
    fits = fit_kernels(logits, [k])
    assert fits["clock"][0] == pytest.approx(1, rel=1e-12)
    # The overlap of 1 and |cos|, squared, over both norms: near (2/pi)^2 / (1/2).
    kernel = np.abs(np.cos(np.pi * np.arange(p) / p))
    assert fits["pizza"][0] == pytest.approx(kernel.mean() ** 2 / np.square(kernel).mean())
    sloped = np.abs(np.cos(np.pi * k * np.subtract.outer(np.arange(p), np.arange(p)) / p))
    pizza = logits * sloped[..., None]
    assert fit_kernels(pizza, [k])["pizza"][0] == pytest.approx(1, rel=1e-12)
    # The pizza's right logit is a function of x - y alone, to rounding.
    assert distance_irrelevance(pizza) < 1e-12
    with pytest.raises(ValueError, match="all equal"):
        distance_irrelevance(np.zeros((p, p, p)))


def test_circularity_of_a_circle_and_of_noise():
    p = 31
    angle = 2 * np.pi * np.outer(np.arange(p), [2, 2, 5, 5]) / p
    circles = np.cos(angle - [0, np.pi / 2, 0, np.pi / 2]) * [3, 3, 1, 1]
    assert circularity(circles) == pytest.approx(1, rel=1e-9)
    assert circularity(np.random.default_rng(0).normal(size=(p, 40))) < 0.6
    with pytest.raises(ValueError, match="four components"):
        circularity(np.ones((p, 3)))


def test_a_two_layer_network_is_symmetric_and_its_logits_are_its_own():
    theta, xi = np.random.default_rng(0).normal(size=(2, 6, P))
    computation = of_two_layer(theta, xi, "relu")
    np.testing.assert_allclose(computation.logits, all_logits(theta, xi, "relu"), atol=1e-13)
    assert gradient_symmetricity(computation) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(
        computation.neurons @ computation.to_logits.T, computation.logits, atol=1e-13
    )
    separate = of_two_layer(theta, xi, "quadratic", theta_y=2 * theta)
    z = theta[:, X] + 2 * theta[:, Y]
    np.testing.assert_allclose(separate.logits, np.einsum("mxy,mj->xyj", z**2, xi), atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"equals": False, "attention_rate": 0.2}, {"layers": 2}])
def test_a_transformers_gradients_by_embeddings(settings):
    """Against a difference of logits: the embedding of one token is moved, pairs with x != y."""
    network = Transformer(width=8, heads=2, neurons=6, **settings)
    parameters = network.draw(Modular(p=P), 1)
    computation = of_transformer(network, parameters)
    triples = np.array([[0, 1, 2], [3, 6, 6], [5, 2, 0]])
    gradients = computation.embedding_gradients(triples)
    rng, step = np.random.default_rng(0), 1e-6
    for (x, y, j), by_token in zip(triples, gradients, strict=True):
        for token, gradient in zip((x, y), by_token, strict=True):
            move = np.zeros((P, 8))
            move[token] = rng.normal(size=8)
            up, down = (
                computation.from_embedding(computation.embedding + sign * step * move)[x, y, j]
                for sign in (1, -1)
            )
            # Central difference: error step^2 of a third derivative, and rounding 1e-16 / step.
            assert (up - down) / (2 * step) == pytest.approx(gradient @ move[token], abs=1e-7)
    np.testing.assert_array_equal(
        computation.from_embedding(computation.embedding), computation.logits
    )


def test_subtraction_is_addition_with_y_renamed():
    network = Transformer(width=8, heads=2, neurons=6)
    computation = of_transformer(network, network.draw(Modular(p=P), 1)).with_training_pairs(
        [[1, 2], [3, 3]]
    )
    turned = computation.as_sum("subtraction")
    assert (turned.logits[2, 3] == computation.logits[2, 4]).all()
    assert turned.trained[1, 5] == turned.trained[3, 4] == 1
    triples = np.array([[2, 3, 1]])
    np.testing.assert_array_equal(
        turned.embedding_gradients(triples), computation.embedding_gradients([[2, 4, 1]])
    )
    assert computation.as_sum("addition") is computation
    with pytest.raises(ValueError, match="no sum of x and y"):
        computation.as_sum("quadratic_form")


def test_attention_only_has_reasons_for_what_needs_neurons():
    network = Transformer(width=8, heads=2, neurons=0)
    computation = circuit(of_transformer(network, network.draw(Modular(p=P), 0)))
    assert np.isnan(computation.ablated_loss).all()
    assert computation.ablated_loss_reason == "the network has no neurons, attention only"
    assert computation.excluded_loss_reason == "the training pairs are not known"
    assert np.isfinite(computation.excluded_loss_all)
    assert "logits" in computation.attrs["key_rule"]


def test_ablations_without_neurons_that_matter():
    """If the neurons give nothing, cutting them changes nothing, and leaving out the rest all."""
    network = Transformer(width=8, heads=2, neurons=6)
    parameters = network.draw(Modular(p=P), 0) | {"W_in": np.zeros((1, 6, 8))}
    computation = circuit(of_transformer(network, parameters))
    whole = float(computation.loss.sel(part="all"))
    lost = computation.ablated_loss
    for name in ("key_span", "key_nullspace", "polynomials"):
        assert float(lost.sel(ablation=name)) == pytest.approx(whole, rel=1e-12)
    assert float(lost.sel(ablation="no_skip")) == pytest.approx(np.log(P), rel=1e-9)
    assert computation.clustered == 0


def test_key_frequencies_of_a_map_made_by_hand():
    computation = of_two_layer(np.zeros((2, 11)), np.zeros((2, 11)), "relu")
    j = np.arange(11)
    waves = np.cos(2 * np.pi * np.outer([2, 5, 1], j) / 11) * np.array([[4], [2], [0.5]])
    object.__setattr__(computation, "to_logits", waves.T)
    keys, gap, rule = key_frequencies(computation)
    assert (keys.tolist(), gap) == ([2, 5], pytest.approx(4))
    assert "a quarter" in rule


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"W_in": np.full((1, 6, 8), np.nan)}, "W_in holds NaN"),
        ({"W_U": np.zeros((8, 7))}, r"W_U must have shape \(8, 8\), got \(8, 7\)"),
        ({"b_in": None}, "parameters lack b_in"),
        ({"W_E": None}, "must hold W_E"),
    ],
)
def test_bad_parameters_are_named(change, words):
    network = Transformer(width=8, heads=2, neurons=6)
    parameters = {
        n: v for n, v in (network.draw(Modular(p=P), 0) | change).items() if v is not None
    }
    with pytest.raises(ValueError, match=words):
        of_transformer(network, parameters)


def test_summed_embeddings_are_measured():
    rng = np.random.default_rng(0)
    shapes = {"embed": (P, 6), "unembed": (P, 6), "W": (2, 6, 6), "b": (2, 6)}
    parameters = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    computation = of_summed_embeddings(SummedEmbeddings(6, 2), parameters)
    assert gradient_symmetricity(computation) == pytest.approx(1, rel=1e-12)
    assert np.isfinite(circuit(computation).kernel_r2).all()


def series_of(train, test, loss, excluded):
    columns = {
        "train_accuracy": train,
        "test_accuracy": test,
        "test_loss": loss,
        "excluded_loss": excluded,
    }
    step = 10 * np.arange(len(train))
    return xr.Dataset({n: ("step", np.array(v, float)) for n, v in columns.items()}, {"step": step})


def test_phases_that_are_not_there():
    never = phases(series_of([0.1, 0.5], [0.0, 0.0], [4, 4], [4, 4]))
    assert {phase.steps for phase in never.values()} == {None}
    assert "training pairs" in never["cleanup"].reason
    memorised = phases(series_of([0.1, 1], [0.0, 0.1], [4, 9], [4, 1]))
    assert "test pairs" in memorised["cleanup"].reason
    everything = phases(series_of([0.1, 1], [np.nan] * 2, [np.nan] * 2, [4, 1]))
    assert "nothing to generalise to" in everything["memorisation"].reason
    # Learned at once: the test loss falls with the training loss, excluded loss only rises.
    at_once = phases(series_of([0.1, 0.8, 1, 1], [0.1, 0.7, 1, 1], [4, 1, 0.1, 0], [1, 2, 3, 4]))
    assert {phase.steps for phase in at_once.values()} == {None}


def test_progress_needs_training_pairs():
    network = Transformer(width=8, heads=2, neurons=6)
    computation = of_transformer(network, network.draw(Modular(p=P), 0))
    with pytest.raises(ValueError, match="training pairs of step 5 are not known"):
        progress([(5, computation)], [1])
    with pytest.raises(ValueError, match="at least one checkpoint"):
        progress([], [1])
    known = computation.with_training_pairs([[0, 1], [2, 3]])
    row = progress([(5, known)], [1, 2]).isel(step=0)
    whole = circuit(known, [1, 2])
    for name, expected in (
        ("train_loss", whole.loss.sel(part="train")),
        ("test_loss", whole.loss.sel(part="test")),
        ("restricted_loss", whole.restricted_loss.sel(part="all")),
        ("excluded_loss", whole.excluded_loss),
        ("excluded_loss_3d", whole.excluded_loss_3d),
    ):
        assert float(row[name]) == float(expected), name
    np.testing.assert_array_equal(row.excluded_loss_per_key, whole.excluded_loss_per_key)
