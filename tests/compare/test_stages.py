"""Stages of grokking on splits, boundaries and networks whose answers are known."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.compare.common.events import boundary
from grokode.compare.grokking.forces import Decay, cosine, loss_gradient, push
from grokode.compare.grokking.perturbed import decay_fit, non_feature_decay, perturbed_lottery
from grokode.compare.grokking.progress import SERIES, spread_steps
from grokode.compare.grokking.split import broken_orthogonality, free_accuracy, pair_kinds
from grokode.compare.grokking.stages import heatmaps, milestones, per_stage, stages
from grokode.nets.networks.activations import ACTIVATIONS
from grokode.nets.tasks import all_pairs, complement, split_pairs
from tests.compare.made import SMALL_P, decaying_run, grokking_run, knowing_network, made_run, waves

P, K = SMALL_P, 3


# Splits


def test_kinds_and_groups_of_a_split_made_by_hand():
    kinds = pair_kinds(3, [(0, 0), (0, 1), (1, 0), (1, 2)])
    assert kinds.kind.values.tolist() == [
        ["training", "training", "unseen"],
        ["training", "unseen", "training"],
        ["unseen", "mirrored", "unseen"],
    ]
    assert kinds.group.values.tolist() == [
        ["diagonal", "common", ""],
        ["common", "", "rare"],
        ["", "", ""],
    ]


def test_a_mirrored_pair_is_the_mirror_image_of_a_rare_one():
    kinds = pair_kinds(P, split_pairs(P, 0.6, 3)[0])
    assert ((kinds.kind == "mirrored").values == (kinds.group == "rare").values.T).all()


def test_free_accuracy_of_a_split_made_by_hand():
    train = [(0, 0), (0, 1), (1, 0), (1, 2)]
    # Of the five others (2, 1) alone is mirrored.
    free = free_accuracy(3, train, complement(train, 3)[1])
    assert free["mirrored"] == 1 / 5
    assert free["with_guesses"] == pytest.approx(1 / 5 + 4 / 5 / 3)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_free_accuracy_of_a_random_split_is_its_mean_over_all_splits(n):
    splits = [
        free_accuracy(3, train, complement(train, 3)[1])
        for train in itertools.combinations(all_pairs(3).tolist(), n)
    ]
    assert np.mean([free["mirrored"] for free in splits]) == pytest.approx(n / 12)
    assert splits[0]["random_split"] == n / 12


def test_free_accuracy_needs_test_pairs():
    assert np.isnan(list(free_accuracy(3, all_pairs(3), []).values())).all()


# Orthogonality


def test_all_pairs_are_exactly_orthogonal():
    mixing = broken_orthogonality(P, all_pairs(P))
    assert (mixing.coupling.values == np.eye(K)).all()
    assert float(mixing.mass.max()) == float(mixing.character_mass) == 0


def test_coupling_is_that_of_the_forces_themselves():
    train = split_pairs(P, 0.6, 1)[0]
    x, y = train.T
    sizes = np.zeros((K, K))
    # S turns with 2 phi, its squares with 4 phi: five phases already average it exactly.
    for phi in 2 * np.pi * np.arange(8) / 8:
        for k in range(1, K + 1):
            theta = np.cos(2 * np.pi * k * np.arange(P) / P + phi)
            S = np.bincount((x + y) % P, (theta[x] + theta[y]) ** 2, minlength=P)
            sizes[k - 1] += abs(np.fft.rfft(S)[1:]) ** 2
    expected = np.sqrt(sizes / np.diag(sizes)[:, None])
    mixing = broken_orthogonality(P, train)
    assert mixing.coupling.values == pytest.approx(expected, rel=1e-12)
    off_diagonal = (expected**2).sum(1) - 1
    assert mixing.mass.values == pytest.approx(off_diagonal, rel=1e-11)


def test_character_mass_is_that_of_the_gram_matrix():
    train = split_pairs(5, 0.5, 0)[0]
    frequency = all_pairs(5)
    characters = np.exp(2j * np.pi / 5 * train @ frequency.T)
    gram = abs(characters.conj().T @ characters) ** 2
    diagonal = np.trace(gram)
    expected = (gram.sum() - diagonal) / diagonal
    assert float(broken_orthogonality(5, train).character_mass) == pytest.approx(expected)


def test_orthogonality_needs_a_pair():
    with pytest.raises(ValueError, match="train_pairs must hold a pair"):
        broken_orthogonality(5, [])


# Forces


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_autograd(activation):
    rng = np.random.default_rng(0)
    theta, xi = rng.normal(size=(2, 6, P))
    pairs = np.array([(0, 1), (3, 3), (2, 6), (5, 4), (1, 1)])
    weights = np.array([0.1, 0.3, 0.0, 0.4, 0.2])
    layers = [torch.tensor(layer, requires_grad=True) for layer in (theta, xi)]
    x, y = torch.tensor(pairs.T)
    logits = ACTIVATIONS[activation].value(layers[0][:, x] + layers[0][:, y]).T @ layers[1]
    losses = torch.nn.functional.cross_entropy(logits, (x + y) % P, reduction="none")
    (losses * torch.tensor(weights)).sum().backward()
    gradient = loss_gradient(theta, xi, activation, pairs, weights)
    # Two orders of summation in float64, in units of each result's largest entry; cubes and
    # exponentials make logits of a hundred.
    for mine, other in (
        (gradient.theta_gradient, layers[0].grad),
        (gradient.xi_gradient, layers[1].grad),
        (gradient.losses, losses.detach()),
    ):
        assert mine == pytest.approx(other.numpy(), abs=1e-12 * float(other.abs().max()))
    expected = nets.logits(theta, xi, activation, pairs)
    assert gradient.logits == pytest.approx(expected, abs=1e-12 * abs(expected).max())


@pytest.mark.parametrize(("strength", "until"), [(0.0, None), (2.0, None), (2.0, 40)])
def test_push_undoes_the_optimiser(strength, until):
    rng = np.random.default_rng(0)
    before, force = rng.normal(size=(2, 2, 4, 5))
    decay = Decay(rate=0.01, strength=strength, until=until)
    after = before.copy()
    for step in range(50, 80):
        after = (1 - decay.rate * decay.at(step)) * after + decay.rate * force
    # Differences of weights over rate times steps: 1e-16 / 0.3.
    assert push(before, after, 30, decay, 50) == pytest.approx(force, abs=1e-13)


def test_cosine_of_nothing_is_not_a_number():
    assert np.isnan(cosine(np.zeros(3), np.ones(3)))


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_push_of_sgd_is_its_gradient(tmp_path, loss):
    config = nets.TrainingConfig(
        p=5,
        neurons=6,
        activation="relu",
        weight_decay=0.3,
        learning_rate=0.01,
        loss=loss,
        dtype="float64",
        train_fraction=0.7,
        scale=0.5,
        steps=5,
        checkpoint_every=1,
        log_every=1,
    )
    run = nets.train(config, tmp_path / "run")
    series = stages(run).series
    # The difference of two weights over the learning rate: 1e-16 / 0.01 in units of a weight.
    assert series.push_norm.values[1:] == pytest.approx(series.gradient_norm.values[:-1], rel=1e-11)
    assert np.isnan(series.push_norm.values[0])
    weights = run.weights.isel(step=[0, 1])
    before, after = np.concatenate([weights.theta.values, weights.xi.values], axis=1)
    force = (after - before) / 0.01 + 0.3 * before
    # Weights over the learning rate again.
    assert float(series.force_cosine[0]) == pytest.approx(cosine(force, -before), abs=1e-11)
    expected = cosine(force, -before - after)
    assert float(series.push_cosine[1]) == pytest.approx(expected, abs=1e-11)
    assert series.decay_norm.values == pytest.approx(0.3 * series.weight_norm.values)
    # What the run logged of itself, in float64 as well.
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm"):
        assert series[name].values == pytest.approx(run.metrics[name].values, rel=1e-12), name


def test_momentum_and_the_end_of_decay_are_known():
    config = nets.TrainingConfig(
        p=5, neurons=2, learning_rate=0.1, momentum=0.9, weight_decay=0.5, decay_until=30
    )
    decay = Decay.of(config)
    assert decay.rate == pytest.approx(1.0)
    assert (decay.at(29), decay.at(30)) == (0.5, 0.0)
    # AdamW has no momentum in this sense, whatever the field holds.
    assert Decay.of(replace(config, optimizer="adamw")).rate == 0.1


# Progress


def test_waves_of_one_frequency():
    angle = 0.4
    own = np.eye(K)[[0, 1, 1, 2]]
    A = 0.3 * own * np.exp(1j * np.array([0.1, 2.0, -1.0, 3.0]))[:, None]
    theta, xi = waves(A, own * np.exp(1j * (2 * np.angle(A) - angle)))
    series = stages(made_run(theta[None], xi[None])).series.isel(step=0)
    assert float(series.mean_abs_sin) == pytest.approx(np.sin(angle), abs=1e-13)
    assert [float(series.participation_theta), float(series.participation_xi)] == pytest.approx(
        [1, 1]
    )
    assert series.leader.values.tolist() == [1, 2, 2, 3]
    # Rounding of the transforms.
    assert float(series.rest_theta) < 1e-15 > float(series.rest_xi)
    assert float(series.theta_norm) == pytest.approx(np.sqrt(4 * P / 2 * 0.09))


def test_waves_of_equal_size_have_the_least_participation_ratio():
    phi = np.random.default_rng(0).uniform(-3, 3, (2, 5, K))
    A, B = np.exp(1j * phi)
    theta, xi = waves(A, 3 * B)
    series = stages(made_run(theta[None], xi[None])).series.isel(step=0)
    assert [float(series.participation_theta), float(series.participation_xi)] == pytest.approx(
        [1 / K] * 2
    )
    assert [float(series.rest_theta), float(series.rest_xi)] == pytest.approx([1, 3])
    norm = np.sqrt(5 * K * P / 2)
    assert [float(series.theta_norm), float(series.xi_norm)] == pytest.approx([norm, 3 * norm])


def test_the_symmetry_gives_mirrored_pairs_what_rare_ones_have():
    theta, xi = np.random.default_rng(0).normal(size=(2, 6, 20, P))
    run = made_run(theta, xi, train=split_pairs(P, 0.6, 0)[0], activation="relu")
    series = stages(run).series
    mirrored = series.accuracy.sel(kind="mirrored")
    assert (mirrored.values == series.group_accuracy.sel(group="rare").values).all()
    assert mirrored.values.std() > 0
    # The grid is that of the logits, pair by pair.
    x, y = all_pairs(P).T
    right = nets.logits(theta[2], xi[2], "relu").argmax(-1) == (x + y) % P
    assert (series.correct.values[2].ravel() == right).all()


def test_a_network_of_the_mechanism_knows_all_pairs():
    theta, xi = knowing_network(P, size=2.0)
    measured = stages(made_run(theta[None], xi[None], train=split_pairs(P, 0.5, 0)[0]))
    assert (measured.series.accuracy.values == 1).all()
    assert measured.series.test_accuracy.values.tolist() == [1]


# Boundaries and stages


def test_boundaries_are_sustained():
    steps = np.arange(8) * 10
    accuracy = [0.1, 1, 0.9, 1, np.nan, 1, 1, 0.9]
    edge = boundary(steps, accuracy, 1.0, 3, "training accuracy")
    # A value that was not logged breaks no row; the last step is a lapse after the row.
    assert (edge.step, edge.reason, edge.lapses) == (30, "", 1)
    assert boundary(steps, accuracy, 1.0, 1, "training accuracy").step == 10
    assert boundary(steps, accuracy, 0.9, 3, "training accuracy").step == 10


@pytest.mark.parametrize(
    ("accuracy", "reason"),
    [
        ([0.1, 0.2, 0.7], "test accuracy never reached 0.95 (highest 0.7)"),
        ([0.1, 0.5, 1.0], "test accuracy 0.95 was reached at step 20 but not held for 2 logged"),
        ([np.nan] * 3, "no test accuracy was logged"),
    ],
)
def test_boundaries_that_are_not_there_have_a_reason(accuracy, reason):
    edge = boundary([0, 10, 20], accuracy, 0.95, 2, "test accuracy")
    assert edge.step is None
    assert edge.reason.startswith(reason)


def test_stages_of_a_run_made_by_hand():
    measured = stages(grokking_run())
    assert (measured.memorised.step, measured.generalised.step) == (400, 800)
    names = ["memorising"] * 4 + ["memorised"] * 4 + ["generalised"] * 4
    assert measured.series.stage.values.tolist() == names
    assert milestones(measured) == {"start": 0, "memorised": 400, "generalised": 800}
    summary = per_stage(measured)
    assert summary.start.values.tolist() == [0, 400, 800]
    assert summary.end.values.tolist() == [300, 700, 1100]
    for name in ("test_loss", "weight_norm", "mean_abs_sin"):
        values = measured.series[name].values.reshape(3, 4)
        assert summary[name].sel(summary="mean").values == pytest.approx(values.mean(1))
        assert summary[name].sel(summary="end").values == pytest.approx(values[:, -1])
    # A threshold between the two values moves the boundary.
    assert stages(grokking_run(), threshold=0.85).generalised.step == 700


def test_heatmaps_are_the_weights_in_the_order_of_winners():
    run = grokking_run()
    measured = stages(run)
    maps = heatmaps(run, measured)
    assert maps.step.values.tolist() == [0, 400, 800]
    assert (np.diff(maps.winner.values) >= 0).all()
    # The basis is orthonormal.
    norms = np.sqrt((maps.theta**2).sum(("neuron", "component")))
    assert norms.values == pytest.approx(measured.series.theta_norm.sel(step=maps.step).values)
    # At the end every neuron has its winner's two components alone.
    K_of = (np.arange(1, P) + 1) // 2
    last = maps.xi.isel(step=-1).values
    assert abs(last[:, 1:][K_of != maps.winner.values[:, None]]).max() < 1e-12


def test_stages_refuse_what_they_cannot_do(tmp_path):
    run = grokking_run()
    with pytest.raises(ValueError, match="threshold must be in"):
        stages(run, threshold=1.5)
    with pytest.raises(ValueError, match="sustained must be at least 1"):
        stages(run, sustained=0)
    run.seed, run.seeds = None, (0, 1)
    with pytest.raises(ValueError, match="choose one with"):
        stages(run)
    with pytest.raises(ValueError, match="addition"):
        stages(grokking_run(task="multiplication"))


# Theory


def test_decay_fit_finds_a_rate_and_its_interval():
    steps = np.arange(0, 20_000, 100)
    noise = np.random.default_rng(0).normal(size=len(steps))
    rate, low, high, r2 = decay_fit(steps, 3 * np.exp(-2e-4 * steps + 0.1 * noise))
    assert low < 2e-4 < high
    assert low < rate < high
    assert r2 > 0.98
    # Of independent errors the slope's standard error is known: 0.1 / (spread * sqrt(n)). Newey-
    # West estimates it from 200 points, to a fifth or so.
    known = 2 * 1.96 * 0.1 / (steps.std() * np.sqrt(len(steps)))
    assert high - low == pytest.approx(known, rel=0.3)
    assert np.isnan(decay_fit([0, 10], [1.0, 0.5])).all()


@pytest.mark.parametrize("ratio", [1.0, 0.25, -0.5])
def test_non_feature_decay_is_measured_in_units_of_theory(ratio):
    fits = non_feature_decay(stages(decaying_run(ratio)))
    assert fits.attrs["predicted"] == 2e-3
    assert (fits.reason == "").all()
    assert fits.checkpoints.values.tolist() == [30, 15, 15]
    # Exponentials made and fitted in float64.
    assert fits.ratio.values == pytest.approx(np.full((2, 3), ratio), rel=1e-9)


def test_non_feature_decay_ends_with_decay():
    fits = non_feature_decay(stages(decaying_run(1.0, decay_until=1000)))
    assert fits.checkpoints.values.tolist() == [11, 11, 0]
    assert fits.ratio.sel(window="memorised").values == pytest.approx([1, 1], rel=1e-9)
    assert fits.reason.sel(window="generalised") == "0 checkpoint(s) there; a rate takes 8"


def test_non_feature_decay_without_decay_has_no_ratio():
    measured = stages(decaying_run(0.0, weight_decay=0.0))
    fits = non_feature_decay(measured)
    assert fits.rate.values == pytest.approx(np.zeros((2, 3)), abs=1e-12)
    assert fits.ratio.isnull().all()


def test_the_perturbed_lottery_is_exact_while_softmax_is_uniform(tmp_path):
    """Tiny weights under the run's own optimiser: every neuron is alone, mask or no mask."""
    config = nets.TrainingConfig(
        p=P,
        neurons=32,
        activation="relu",
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=2.0,
        train_fraction=0.6,
        scale=0.01,
        dtype="float64",
        steps=120,
        checkpoint_every=20,
        log_every=20,
    )
    run = nets.train(config, tmp_path / "run")
    measured = stages(run)
    lottery = perturbed_lottery(run, measured)
    assert lottery.attrs["reason"] == ""
    trained, everything = lottery.agreement.values
    assert (trained == 1).all()
    # The missing pairs pick other frequencies: a flow that does not know of them goes wrong.
    assert everything[-1] < 0.9
    low, high = lottery.interval.sel(variant="all pairs").values
    assert low < everything[-1] < high


def test_long_runs_are_looked_at_in_time(tmp_path):
    """As many checkpoints as the time allows, with both ends and the boundaries among them."""
    config = nets.TrainingConfig(
        p=5, neurons=8, steps=60, checkpoint_every=3, log_every=3, train_fraction=0.8
    )
    run = nets.train(config, tmp_path / "run")
    every = stages(run)
    assert every.series.sizes["step"] == every.series.attrs["checkpoints"] == 21
    assert spread_steps(run, 0.0, []).tolist() == [0, 60]
    assert spread_steps(run, 0.0, [10, 12, 70]).tolist() == [0, 12, 60]
    some = stages(run, affordable=0.0).series
    shared = [name for name in SERIES if not name.startswith("push")]
    np.testing.assert_array_equal(
        some[shared].to_array(), every.series[shared].sel(step=some.step).to_array()
    )
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match="affordable must be"):
            stages(run, affordable=wrong)
