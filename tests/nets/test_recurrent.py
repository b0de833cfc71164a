"""Recurrent networks and the tasks they read: outputs, gradients, batches, answers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.networks import Recurrent, TwoLayer
from grokode.nets.networks.recurrent_model import Batches, _ByAutograd, objective
from grokode.nets.tasks import Modular, Parity, RandomAutomaton
from grokode.nets.tasks.examples import Examples
from grokode.nets.tasks.machines import PARITY, Machine, random_machine
from grokode.nets.tasks.sequences import all_sequences, codes_of, random_sequences
from grokode.nets.training.ensemble import Ensemble

SMALL = Parity(length=6, test_sequences=20, test_length=30)


def drawn(network, task, seeds=(0,), dtype=torch.float64):
    starts = [network.draw(task, seed) for seed in seeds]
    return {
        name: torch.tensor(np.stack([start[name] for start in starts]), dtype=dtype)
        for name in starts[0]
    }


def examples_of(task, seeds=(0,), part=0):
    return Examples.of(task, seeds, [task.split(seed)[part] for seed in seeds])


def plain_outputs(network, parameters, sequence):
    """One symbol after the other, as torch's own cell has it."""
    options = {"nonlinearity": network.activation, "batch_first": True, "dtype": torch.float64}
    cell = torch.nn.RNN(2, network.neurons, **options)
    with torch.no_grad():
        cell.weight_ih_l0.copy_(parameters["input"][0])
        cell.weight_hh_l0.copy_(parameters["recurrent"][0])
        cell.bias_ih_l0.copy_(parameters["input_bias"][0])
        cell.bias_hh_l0.copy_(parameters["recurrent_bias"][0])
        one_hot = torch.eye(2, dtype=torch.float64)[torch.tensor(sequence)]
        _, last = cell(one_hot[None], torch.ones(1, 1, network.neurons, dtype=torch.float64))
        return network.read(parameters, last)[0, 0]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_outputs_are_those_of_torch(activation):
    network = Recurrent(neurons=12, activation=activation, gain=1.0)
    parameters = drawn(network, SMALL)
    parameters["input_bias"] += 0.1
    parameters["recurrent_bias"] -= 0.3
    sequences = [[0], [1], [1, 0, 1], [1, 0, 0], [0] * 9]
    padded = np.full((5, 9), -1, dtype=np.int8)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    values = network.outputs(parameters, padded)
    for row, sequence in enumerate(sequences):
        expected = plain_outputs(network, parameters, sequence)
        torch.testing.assert_close(values[0, row], expected, rtol=0, atol=1e-13)


def test_the_empty_sequence_leaves_the_state_of_ones():
    network = Recurrent(neurons=5)
    states = network.states(drawn(network, SMALL), np.full((1, 3), -1))
    torch.testing.assert_close(states, torch.ones(1, 1, 5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("activation", "readout", "loss"),
    list(product(["relu", "tanh"], ["linear", "mlp"], ["mse", "cross_entropy"])),
)
def test_gradient_is_that_of_autograd(activation, readout, loss):
    network = Recurrent(neurons=16, activation=activation, readout=readout, units=7, gain=1.0)
    task = replace(SMALL, loss=loss, batch=10, train_fraction=0.7)
    seeds = (3, 8)
    parameters = drawn(network, task, seeds)
    parameters["input_bias"] += 0.1  # away from the kink, where autograd may choose either side
    fast, slow = ({k: torch.zeros_like(v) for k, v in parameters.items()} for _ in range(2))
    step = objective(network, task, examples_of(task, seeds), parameters, fast, seeds)
    reference = by_autograd(network, task, examples_of(task, seeds), parameters, slow, seeds)
    for number in (0, 3, 7, 11, 30):
        torch.testing.assert_close(step(number), reference(number), rtol=0, atol=1e-12)
        for name, value in fast.items():
            torch.testing.assert_close(value, slow[name], rtol=0, atol=1e-10)
            assert value.any(), name


def by_autograd(network, task, examples, parameters, gradients, seeds):
    """The objective of other devices, whose gradient is not written out, on the CPU."""
    parts = codes_of(examples.inputs)[: task.length]
    batches, right = [], []
    for row, seed in enumerate(seeds):
        chosen = [np.sort(codes[examples.counts[row, rows].numpy() > 0]) for rows, codes in parts]
        batches.append(Batches(chosen, task.batch, seed))
        odd = [np.array([bin(c).count("1") % 2 for c in range(2**n)]) for n in range(1, 7)]
        right.append(odd)
    return _ByAutograd(network, task, parameters, gradients, batches, right)


def test_an_epoch_visits_every_sequence_once_short_ones_first():
    codes = [np.arange(2**n) for n in range(1, 9)]
    batches = Batches(codes, 50, seed=4)
    per_epoch = 5 + 2 + 3 + 6
    for epoch in range(2):
        drawn = [batches(epoch * per_epoch + step) for step in range(per_epoch)]
        lengths = [length for _, length in drawn]
        assert lengths == sorted(lengths)
        for n in range(1, 9):
            seen = np.concatenate([part for part, length in drawn if length == n])
            assert sorted(seen.tolist()) == list(range(2**n))
    first, again = batches(10)[0], Batches(codes, 50, seed=4)(10)[0]
    assert (first == again).all()
    assert not np.array_equal(first, batches(10 + per_epoch)[0])


def test_batch_of_the_official_setup_has_twenty_one_steps_an_epoch():
    batches = Batches([np.arange(2**n) for n in range(1, 11)], 128, seed=0)
    assert [batches(step)[1] for step in range(22)] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        8,
        *[9] * 4,
        *[10] * 8,
        1,
    ]


def test_start_has_the_published_scale():
    start = Recurrent(neurons=400, gain=0.1).draw(Parity(), seed=0)
    # A standard deviation from 160,000 draws is known to a quarter of a percent.
    assert start["recurrent"].std() == pytest.approx(0.1 * np.sqrt(2 / 800), rel=0.01)
    assert not start["input_bias"].any()
    assert Recurrent().draw(Parity(), seed=0)["recurrent"].std() == pytest.approx(0.01, rel=0.05)


def test_seeds_side_by_side_are_each_as_alone():
    config = nets.TrainingConfig(
        data=SMALL, network=Recurrent(neurons=10), optimizer="sgd", learning_rate=0.1, steps=20
    )

    def trained(seeds):
        parameters = {k: v.numpy() for k, v in drawn(config.network, SMALL, seeds).items()}
        ensemble = Ensemble(config, seeds, parameters, examples_of(SMALL, seeds), "cpu")
        for step in range(20):
            ensemble.loss(step)
            ensemble.update(step)
        return ensemble.weights()

    both, alone = trained((1, 2)), trained((2,))
    for name, value in both.items():
        np.testing.assert_array_equal(value[1], alone[name][0])


def test_answers_are_parities_and_the_machine_says_so():
    task = Parity(length=8)
    ones = (task.inputs == 1).sum(1)
    np.testing.assert_array_equal(task.answers(0), ones % 2)
    np.testing.assert_array_equal(PARITY.states(task.inputs), ones % 2)
    assert len(task.inputs) == 2**9 - 2 + 100


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.8])
def test_a_fraction_trains_on_a_binomial_number(fraction):
    task = Parity(train_fraction=fraction)
    train, test = task.split(1)
    # Six standard deviations of 2046 trials.
    spread = 6 * np.sqrt(2046 * fraction * (1 - fraction))
    assert len(train) == pytest.approx(2046 * fraction, abs=spread)
    assert not set(train) & set(test)
    assert len(test) == 100
    other, _ = task.split(2)
    assert len(other) == len(train)
    assert set(other) != set(train)


@pytest.mark.parametrize("seed", range(20))
def test_random_machines_are_connected_and_undecided(seed):
    machine = random_machine(7, 0.6, seed)
    assert 2 <= len(machine.outputs) <= 7
    assert set(machine.outputs) == {0, 1}
    reached = set(machine.states(all_sequences(8)).tolist()) | {0}
    assert reached == set(range(len(machine.outputs)))
    assert machine == RandomAutomaton(states=7, new_state=0.6).machine(seed)


def test_random_sequences_are_fair():
    ones = random_sequences(100, 1000, seed=0).mean()
    # Six standard deviations of a mean of 100,000 fair bits.
    assert ones == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(1e5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Parity(length=40), "length must be at most 20"),
        (lambda: Parity(batch=0), "batch must be at least 1"),
        (lambda: Parity(train_fraction=0.0), "train_fraction must be in"),
        (lambda: Parity(length=1, train_fraction=1e-6).split(0), "leaves no sequence"),
        (lambda: Recurrent(gain=-1.0), "gain must be positive"),
        (lambda: Recurrent().layout(Modular(p=5)), "network recurrent reads sequences"),
        (lambda: TwoLayer(neurons=4).layout(Parity()), "two_layer answers pairs"),
        (lambda: Machine(((0, 2), (0, 1)), (0, 1)), "transitions must name states"),
        (lambda: RandomAutomaton(states=1), "states must be at least 2"),
        (
            lambda: nets.TrainingConfig(data="parity", network="recurrent", loss="l1"),
            "loss must be",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "name", [name for name in nets.PRESETS if name.startswith("vanrossem2025/")]
)
def test_presets_are_configurations(name):
    config = nets.preset(name, seed=3)
    assert isinstance(config.network, Recurrent)
    assert nets.TrainingConfig.from_dict(config.to_dict()) == config


# Through the loop and the store.

LOOP = nets.TrainingConfig(
    data=SMALL,
    network=Recurrent(neurons=10),
    optimizer="sgd",
    learning_rate=0.1,
    steps=40,
    checkpoint_every=10,
    log_every=10,
)


def test_a_run_keeps_every_parameter_and_the_split(tmp_path):
    config = replace(LOOP, train_fraction=0.5)
    run = nets.train(config, tmp_path / "run", seeds=[0, 1])
    assert {str(name): value.dims for name, value in run.parameters.items()} == {
        name: ("seed", "step", *layout.dims)
        for name, layout in config.network.layout(config.data).items()
    }
    assert run.parameters.step.values.tolist() == [0, 10, 20, 30, 40]
    again = nets.open_run(tmp_path / "run", 1)
    assert again.config == replace(config, seed=1)
    train, _ = config.data.split(1)
    np.testing.assert_array_equal(again.train_pairs, config.data.inputs[train])
    alone = nets.train(replace(config, seed=1), tmp_path / "alone")
    np.testing.assert_array_equal(alone.parameters.recurrent, again.parameters.recurrent)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resumed_training_is_that_which_never_stopped(tmp_path, optimizer):
    # Sixteen steps to an epoch: the second, whose batches are drawn, is broken off in its middle.
    config = replace(LOOP, optimizer=optimizer, learning_rate=0.01, batch=10)
    whole = nets.train(config, tmp_path / "whole")
    nets.train(replace(config, steps=20), tmp_path / "parts")
    parts = nets.train(config, tmp_path / "parts", resume=True)
    for name, values in whole.parameters.items():
        np.testing.assert_array_equal(values, parts.parameters[name])


def freeze_recurrent(step, weights):
    """Put the recurrent weights to zero after every update."""
    weights.recurrent[:] = 0


def test_an_intervention_changes_parameters_by_name(tmp_path):
    run = nets.train(LOOP, tmp_path / "run", intervention=freeze_recurrent)
    assert not run.parameters.recurrent.isel(step=-1).any()
    assert run.parameters.input.isel(step=-1).any()


def test_squared_error_is_logged_as_torch_has_it(tmp_path):
    run = nets.train(LOOP, tmp_path / "run")
    parameters = {
        str(name): torch.tensor(value.values[None])
        for name, value in run.parameters.isel(step=-1).items()
    }
    train, _ = SMALL.split(0)
    values = LOOP.network.outputs(parameters, SMALL.inputs[train])[0]
    wanted = torch.nn.functional.one_hot(torch.tensor(SMALL.answers(0)[train]), 2).float()
    expected = torch.nn.functional.mse_loss(values, wanted).item()
    # Sums of single precision in another order.
    assert run.metrics.train_loss.isel(step=-1).item() == pytest.approx(expected, rel=1e-5)


def test_a_diverging_seed_ends_alone(tmp_path):
    config = replace(LOOP, learning_rate=300.0, steps=60)
    with pytest.raises(nets.DivergedError, match="seed 0 at step"):
        nets.train(config, tmp_path / "run")
