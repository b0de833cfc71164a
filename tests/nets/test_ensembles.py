"""Several seeds in one training, early ends, schedules, and what else a configuration can ask."""

import dataclasses

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.training.config import TrainingConfig, is_due

SMALL = TrainingConfig(
    p=7, neurons=6, dtype="float64", steps=60, checkpoint_every=20, log_every=10, scale=0.5
)


@pytest.mark.parametrize("activation", ["quadratic", "relu", "gelu"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_each_seed_is_trained_as_if_alone(tmp_path, activation, optimizer):
    config = dataclasses.replace(
        SMALL,
        activation=activation,
        optimizer=optimizer,
        learning_rate=0.01,
        train_fraction=0.8,
        steps=1000,
        checkpoint_every=500,
        log_every=500,
    )
    together = nets.train(config, tmp_path / "together", seeds=[3, 0, 7])
    assert together.weights.theta.dims == ("seed", "step", "neuron", "x")
    for seed in (0, 7):
        alone = nets.train(dataclasses.replace(config, seed=seed), tmp_path / f"{seed}")
        chosen = together.select(seed)
        np.testing.assert_array_equal(chosen.train_pairs, alone.train_pairs)
        for name in ("theta", "xi"):
            size = float(abs(alone.weights[name]).max())
            # The products may be summed in another order, and a thousand steps carry that on.
            np.testing.assert_allclose(
                chosen.weights[name], alone.weights[name], rtol=0, atol=1e-10 * size
            )
        np.testing.assert_allclose(chosen.metrics.test_loss, alone.metrics.test_loss, rtol=1e-9)
        assert chosen.config == alone.config


def test_a_seed_ends_alone_when_it_is_fitted(tmp_path):
    config = dataclasses.replace(
        SMALL,
        activation="relu",
        neurons=24,
        optimizer="adamw",
        learning_rate=0.001,
        steps=3000,
        stop_loss=1.0,
    )
    run = nets.train(config, tmp_path / "run", seeds=range(4))
    ends = {seed: end["step"] for seed, end in run.ended.items()}
    assert len(set(ends.values())) > 1, "seeds that end together would not test this"
    for seed in run.seeds:
        alone = nets.train(dataclasses.replace(config, seed=seed), tmp_path / f"{seed}")
        chosen = run.select(seed)
        assert int(chosen.weights.step[-1]) == int(alone.weights.step[-1])
        last, expected = chosen.weights.isel(step=-1), alone.weights.isel(step=-1)
        np.testing.assert_allclose(last.theta, expected.theta, rtol=1e-9)
        assert float(chosen.metrics.train_loss[-1]) < 1.0 <= float(chosen.metrics.train_loss[-2])
    first = min(ends, key=ends.get)
    after = run.weights.theta.sel(seed=first, step=slice(ends[first] + 1, None))
    assert np.isnan(after).all()
    again = nets.train(config, tmp_path / "run", seeds=range(4), resume=True)
    np.testing.assert_array_equal(again.weights.step, run.weights.step)


def test_a_lower_stop_loss_takes_a_fitted_run_up_again(tmp_path):
    config = dataclasses.replace(SMALL, steps=5000, learning_rate=0.5, stop_loss=1.0)
    nets.train(config, tmp_path / "run")
    lower = dataclasses.replace(config, stop_loss=0.7)
    run = nets.train(lower, tmp_path / "run", resume=True)
    whole = nets.train(lower, tmp_path / "whole")
    np.testing.assert_array_equal(
        run.weights.theta.isel(step=-1), whole.weights.theta.isel(step=-1)
    )


def test_a_diverging_seed_leaves_the_others_alone(tmp_path):
    """At this learning rate some seeds diverge within forty steps and some do not."""
    config = dataclasses.replace(SMALL, learning_rate=1.6, scale=0.9, steps=40)
    with pytest.raises(nets.DivergedError, match="seed") as caught:
        nets.train(config, tmp_path / "run", seeds=range(12))
    run = nets.open_run(tmp_path / "run")
    diverged = [seed for seed, end in run.ended.items() if end["why"] == "diverged"]
    assert 0 < len(diverged) < 12, caught.value
    for seed in run.seeds:
        chosen = run.select(seed)
        assert np.isfinite(chosen.weights.theta).all()
        assert np.isfinite(chosen.metrics.train_loss).all()
        assert (seed in diverged) == (int(chosen.weights.step[-1]) < 40)
    # Trained on, it is as diverged as before.
    with pytest.raises(nets.DivergedError):
        nets.train(config, tmp_path / "run", seeds=range(12), resume=True)


def test_dropout_of_a_seed_does_not_depend_on_the_others(tmp_path):
    """Seeds with other training pairs must not move a seed's draws to other pairs."""
    config = dataclasses.replace(SMALL, dropout=0.2, train_fraction=0.7, learning_rate=0.3)
    together = nets.train(config, tmp_path / "together", seeds=[3, 0])
    alone = nets.train(config, tmp_path / "alone")
    # The products may be summed in another order.
    np.testing.assert_allclose(together.select(0).weights.theta, alone.weights.theta, rtol=1e-10)


def test_a_kill_after_a_divergence_leaves_no_step_logged_twice(tmp_path):
    """Seed 4 diverges at step 31, which is published with the steps logged since step 20."""
    config = dataclasses.replace(
        SMALL, learning_rate=1.6, scale=0.9, steps=40, log_every=1, log_grid=True
    )

    def stop(step, loss, accuracy):
        if step == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nets.train(config, tmp_path / "part", seeds=range(6), on_step=stop)
    assert nets.open_run(tmp_path / "part").ended == {4: {"step": 31, "why": "diverged"}}
    for path, resume in (("part", True), ("whole", False)):
        with pytest.raises(nets.DivergedError):
            nets.train(config, tmp_path / path, seeds=range(6), resume=resume)
    part, whole = (nets.open_run(tmp_path / path) for path in ("part", "whole"))
    assert part.metrics.equals(whole.metrics)
    assert part.correct.equals(whole.correct)


def test_resuming_several_seeds_gives_the_same_bits(tmp_path):
    config = dataclasses.replace(
        SMALL, optimizer="adamw", learning_rate=0.01, train_fraction=0.8, dropout=0.2
    )
    whole = nets.train(config, tmp_path / "whole", seeds=[1, 2])
    nets.train(dataclasses.replace(config, steps=40), tmp_path / "part", seeds=[1, 2])
    part = nets.train(config, tmp_path / "part", seeds=[1, 2], resume=True)
    np.testing.assert_array_equal(part.weights.theta, whole.weights.theta)
    np.testing.assert_array_equal(part.metrics.train_loss, whole.metrics.train_loss)
    with pytest.raises(ValueError, match=r"seeds is \[1, 2\]"):
        nets.train(config, tmp_path / "part", seeds=[1], resume=True)


def test_a_learned_embedding_is_the_product_that_autograd_trains(tmp_path):
    config = dataclasses.replace(SMALL, embedding=4, learning_rate=0.2, steps=30)
    run = nets.train(config, tmp_path / "run", seeds=[2, 5])
    rng = np.random.default_rng((2, 3))
    embedding = torch.tensor(rng.normal(size=(7, 4)) / 2, requires_grad=True)
    maps = torch.tensor(rng.normal(size=(1, 4, 6))[0] * 0.5 / 2, requires_grad=True)
    first = run.select(2).weights.isel(step=0)
    np.testing.assert_allclose(first.theta, (embedding @ maps).detach().T, atol=1e-15)
    xi = torch.tensor(first.xi.values, requires_grad=True)
    loop = torch.optim.SGD([embedding, maps, xi], lr=0.2)
    x, y = torch.tensor(nets.all_pairs(7)).T
    for _ in range(30):
        loop.zero_grad()
        theta = (embedding @ maps).T
        values = ((theta[:, x] + theta[:, y]) ** 2).T @ xi
        torch.nn.functional.cross_entropy(values, (x + y) % 7).backward()
        loop.step()
    last = run.select(2).weights.isel(step=-1)
    # Rounding, amplified over thirty steps.
    np.testing.assert_allclose(last.theta, (embedding @ maps).detach().T, rtol=1e-8, atol=1e-11)
    part = tmp_path / "part"
    nets.train(dataclasses.replace(config, steps=20), part, seeds=[2, 5])
    resumed = nets.train(config, part, seeds=[2, 5], resume=True)
    np.testing.assert_array_equal(resumed.weights.theta, run.weights.theta)


def test_separate_inputs_learn_what_shared_ones_cannot(tmp_path):
    """x - y is not symmetric: shared input weights answer x - y and y - x alike."""
    config = dataclasses.replace(
        SMALL, task="subtraction", neurons=48, optimizer="adamw", learning_rate=0.02, steps=600
    )
    shared = nets.train(config, tmp_path / "shared")
    apart = nets.train(dataclasses.replace(config, separate_inputs=True), tmp_path / "apart")
    assert float(shared.metrics.train_accuracy[-1]) <= (1 + 6 / 2) / 7 + 1e-12
    assert float(apart.metrics.train_accuracy[-1]) == 1
    weights = apart.weights.isel(step=-1)
    values = nets.logits(weights.theta, weights.xi, "quadratic", theta_y=weights.theta_y)
    x, y = nets.all_pairs(7).T
    assert (values.argmax(-1) == (x - y) % 7).all()


def test_schedules(tmp_path):
    assert [step for step in range(200) if is_due(step, 50)] == [0, 50, 100, 150]
    logarithmic = [step for step in range(1, 1001) if is_due(step, "log")]
    assert logarithmic[:4] == [1, 2, 3, 4]
    # Twenty to a decade, once they are further apart than one step.
    assert sum(100 < step <= 1000 for step in logarithmic) == 20
    run = nets.train(dataclasses.replace(SMALL, log_every="log"), tmp_path / "run")
    assert run.metrics.step.values[-1] == 60
    assert set(logarithmic) & set(range(60)) <= set(run.metrics.step.values)


def test_the_grid_of_right_answers_is_that_of_the_weights(tmp_path):
    config = dataclasses.replace(SMALL, log_grid=True, train_fraction=0.7)
    run = nets.train(config, tmp_path / "run")
    last = run.weights.isel(step=-1)
    values = nets.logits(last.theta, last.xi, "quadratic")
    right = values.argmax(-1) == nets.all_pairs(7).sum(1) % 7
    assert run.correct.dims == ("step", "x", "y")
    np.testing.assert_array_equal(run.correct.isel(step=-1), right.reshape(7, 7))
    grid = run.correct.isel(step=-1).values[tuple(run.test_pairs.T)]
    assert grid.mean() == pytest.approx(float(run.metrics.test_accuracy[-1]))
    with pytest.raises(ValueError, match="without log_grid"):
        _ = nets.train(SMALL, tmp_path / "without").correct


def test_norms_are_logged(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    first = run.weights.isel(step=0)
    expected = np.sqrt(float((first.theta**2).sum() + (first.xi**2).sum()))
    assert float(run.metrics.weight_norm[0]) == pytest.approx(expected, rel=1e-13)
    # One small step of SGD moves the weights by rate times the gradient.
    small = dataclasses.replace(SMALL, steps=1, learning_rate=0.001, checkpoint_every=1)
    run = nets.train(small, tmp_path / "small")
    moved = run.weights.diff("step").isel(step=0)
    length = np.sqrt(float((moved.theta**2).sum() + (moved.xi**2).sum()))
    assert length / 0.001 == pytest.approx(float(run.metrics.gradient_norm[0]), rel=1e-9)


def test_an_intervention_acts_between_updates(tmp_path):
    """Held at its start, theta stays there, and xi trains as it would against that theta."""
    start = {}

    def hold_theta(step, weights):
        weights.theta.copy_(start["theta"])

    config = dataclasses.replace(SMALL, dtype="float64")
    plain = nets.train(config, tmp_path / "plain")
    start["theta"] = torch.tensor(plain.weights.theta.isel(step=0).values)[None]
    run = nets.train(config, tmp_path / "held", intervention=hold_theta)
    assert (run.weights.theta == run.weights.theta.isel(step=0)).all()
    assert (run.weights.xi.isel(step=-1) != run.weights.xi.isel(step=0)).any()
    assert run.attrs["intervention"] == "hold_theta"
    with pytest.raises(ValueError, match="intervention is hold_theta"):
        nets.train(config, tmp_path / "held", resume=True)
    # Any network's parameters have their names; one made for theta and xi refuses others.
    apart = dataclasses.replace(config, separate_inputs=True)
    run = nets.train(apart, tmp_path / "apart", intervention=hold_theta)
    assert (run.weights.theta == start["theta"][0].numpy()).isel(step=slice(1, None)).all()
    assert (run.weights.theta_y.isel(step=-1) != run.weights.theta_y.isel(step=0)).any()
    with pytest.raises(ValueError, match="theta_y"):
        nets.train(apart, tmp_path / "refused", intervention=nets.align_phases(1))


def test_a_time_limit_stops_where_it_can_be_resumed(tmp_path):
    config = dataclasses.replace(SMALL, steps=300)
    with pytest.raises(ValueError, match="time_limit must be a number of seconds"):
        nets.train(config, tmp_path / "run", time_limit=-1)
    run = nets.train(config, tmp_path / "run", time_limit=0.0)
    assert int(run.weights.step[-1]) == 10
    resumed = nets.train(config, tmp_path / "run", resume=True)
    whole = nets.train(config, tmp_path / "whole")
    np.testing.assert_array_equal(
        resumed.weights.theta.isel(step=-1), whole.weights.theta.isel(step=-1)
    )


def test_presets_are_the_published_configurations():
    grokking = nets.preset("he2026/grokking")
    assert (grokking.optimizer, grokking.learning_rate) == ("adamw", 1e-4)
    assert (grokking.weight_decay, grokking.train_fraction, grokking.steps) == (2.0, 0.75, 50_000)
    assert (grokking.activation, grokking.scale, grokking.betas) == ("relu", 0.1, (0.9, 0.98))
    assert nets.preset("he2026/standard", p=97).neurons == 9107  # ceil(512 * 97^2 / 529)
    assert nets.preset("he2026/standard", p=11).neurons == 512
    with pytest.raises(ValueError, match="preset must be one of"):
        nets.preset("standard")


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [1.5], ["3"], [True], [2**32], 5])
def test_seeds_are_checked(tmp_path, seeds):
    with pytest.raises(ValueError, match=r"seeds? must be"):
        nets.train(SMALL, tmp_path / "run", seeds=seeds)
    assert not (tmp_path / "run").exists()
