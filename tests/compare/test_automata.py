"""Pairs of states against brute force; a small training that generalises, measured."""

import base64
import json
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import xarray as xr

from grokode import nets, theory
from grokode.compare.automata import clusters, machines, measure, mergers, pair_paths, pairs
from grokode.compare.automata.animation import animation
from grokode.compare.automata.machines import Extracted, Sequences
from grokode.nets.networks import Recurrent, TwoLayer
from grokode.nets.tasks import Modular
from grokode.nets.tasks.machines import PARITY, random_machine
from grokode.theory.mergers import PairFlow
from tests.compare.made import table
from tests.compare.recorded import Recorded, small, trained

EPOCHS, EVERY = 600, 20


@pytest.fixture(scope="module")
def run():
    return trained(replace(small(seed=1), learning_rate=0.1), EPOCHS, EVERY)


@pytest.fixture(scope="module")
def states(run):
    return measure.states_over_training(run, (0.01, 0.1, 0.3))


# Pairs.


def test_continuations_are_the_sequences_that_begin_so():
    every = Sequences.up_to(6)
    for number in (1, 5, 12):
        begin = every.inputs[number][: every.lengths[number]]
        long = every.lengths >= len(begin)
        expected = np.flatnonzero(long & (every.inputs[:, : len(begin)] == begin).all(1))
        depth = 6 - len(begin)
        assert sorted(pairs.continuations(number, depth)) == expected.tolist()
        first = every.inputs[pairs.continuations(number, depth)]
        assert (np.diff((first >= 0).sum(1)) >= 0).all()


@pytest.mark.parametrize(
    ("activation", "readout"), list(product(["relu", "tanh"], ["linear", "mlp"]))
)
def test_gram_matrices_are_those_of_autograd(activation, readout):
    network = Recurrent(neurons=6, activation=activation, readout=readout, units=5, gain=1.0)
    task = small().data
    parameters = {k: torch.tensor(v[None]) for k, v in network.draw(task, 3).items()}
    parameters["input_bias"] += 0.2
    every = Sequences.up_to(task.length)
    hidden = network.states(parameters, every.inputs)[0].numpy()
    some = pairs.Pairs(np.array([3, 9]), np.array([4, 20]), np.array([False, True]))
    trained_on = np.ones(len(every.inputs), bool)
    trained_on[[pairs.continuations(3, 4)[1]]] = False
    gram = pairs.grams(network, parameters, some, hidden, trained_on, every)
    p = {name: value[0] for name, value in parameters.items()}
    sigma = torch.relu if activation == "relu" else torch.tanh
    columns = p["input"].T + p["input_bias"] + p["recurrent_bias"]

    def outputs(state, depth):
        level, values = [state], []
        for _ in range(depth + 1):
            values += [network.read(parameters, one[None, None])[0, 0] for one in level]
            level = [sigma(p["recurrent"] @ one + columns[s]) for one in level for s in (0, 1)]
        return torch.stack(values)

    for row, depth in ((0, 4), (1, 2)):
        ends = some.first[row], some.second[row]
        middle = torch.tensor(0.5 * (hidden[ends[0]] + hidden[ends[1]]))
        jacobian = torch.autograd.functional.jacobian(lambda h, n=depth: outputs(h, n), middle)
        both = np.logical_and(*(trained_on[pairs.continuations(n, depth)] for n in ends))
        used = jacobian.numpy()[both]
        np.testing.assert_allclose(
            gram[row], np.einsum("soh,sok->hk", used, used) / both.sum(), atol=1e-12
        )


def test_responses_are_differences_of_outputs(run):
    every = Sequences.up_to(6)
    network, parameters = run.config.network, measure.parameters_at(run, 5)
    hidden = network.states(parameters, every.inputs)
    out = network.read(parameters, hidden)[0].double().numpy()
    right = np.eye(2)[PARITY.run(every.inputs)]
    some = pairs.sample_pairs(PARITY.states(every.inputs), every, 2, seed=0)
    everything = np.ones(len(every.inputs), bool)
    result = pairs.responses(some, hidden[0].numpy(), out, right, everything, every)
    # For parity, one-hot answers differ by (1, -1) on every continuation, or on none.
    np.testing.assert_allclose(result["Y"], np.where(some.agreeing, 0, 2))
    np.testing.assert_allclose(result["N"], 2.0 ** (7 - every.lengths[some.second]) - 1)
    for n in (0, 7, 20):
        one, two = every.inputs[some.first[n]], every.inputs[some.second[n]]
        depth = 6 - (two >= 0).sum()
        total = 0.0
        words = [w for k in range(depth + 1) for w in product([0, 1], repeat=k)]
        for word in words:
            both = [[*s[s >= 0], *word] for s in (one, two)]
            values = [
                network.outputs(parameters, np.array([sequence]))[0, 0].double()
                for sequence in both
            ]
            total += float((values[1] - values[0]).square().sum())
        # Outputs in single precision, of order one.
        assert result["P"][n] == pytest.approx(total / len(words), rel=1e-3, abs=1e-9)


def pair_variables(seed, count=12):
    rng = np.random.default_rng(seed)
    agreeing = np.arange(count) % 2 == 0
    x, response = rng.uniform(0.1, 1, (2, count))
    wanted = np.where(agreeing, 0.0, 2.0)
    along = np.where(agreeing, 0.0, rng.uniform(0, 1, count) * np.sqrt(wanted * response / x))
    return {
        "N": 2.0 ** rng.integers(1, 6, count) - 1,
        "x": x,
        "P": response,
        "c": along,
        "Y": wanted,
    }


def test_pairs_of_any_number_of_continuations_are_followed_together():
    variables, rates = pair_variables(0), pair_paths.Rates(5.0, 2.0)
    times = np.array([0.0, 3.0, 30.0, 300.0])
    path = pair_paths.paths(variables, times, rates)
    for n, count in enumerate(variables["N"]):
        x, response, along, wanted = (variables[name][n] for name in ("x", "P", "c", "Y"))
        flow = PairFlow(rates.hidden, count * rates.output)
        alone = theory.simulate(
            flow, ([np.sqrt(x)], [response / x], [along], [wanted]), times, atol=1e-10
        )
        # The ensemble is followed to four digits.
        np.testing.assert_allclose(path[:, n], abs(alone.delta.values[:, 0]), rtol=1e-3, atol=1e-5)


def test_rates_are_found_again():
    variables, rates = pair_variables(1, 30), pair_paths.Rates(70.0, 9.0)
    times = np.linspace(0, 600, 12)
    observed = pair_paths.paths(variables, times, rates)
    fitted = pair_paths.fit_rates(variables, times, observed, 1e-3)
    # The search stops within a hundredth of a decade.
    np.testing.assert_allclose(fitted, rates, rtol=0.05)
    told = pair_paths.paths(variables, times, fitted)
    assert pair_paths.explained(observed, told, 1e-3) > 0.99


def test_loss_of_the_flow_is_that_of_the_outputs():
    variables = pair_variables(2, 2)
    disagreeing = {name: values[1:] for name, values in variables.items()}
    rates = pair_paths.Rates(5.0, 2.0)
    start, end = pair_paths.losses(disagreeing, np.array([0.0, 300.0]), rates)
    x, response, along = (disagreeing[name][0] for name in ("x", "P", "c"))
    # <|dy - ytilde|^2> / 4 per state, over two outputs.
    assert start == pytest.approx((response - 2 * np.sqrt(x) * along + 2) / 8, rel=1e-6)
    assert end == pytest.approx(0, abs=1e-6)


# A training that generalises.


def test_small_training_becomes_the_automaton_of_parity(states):
    last = states.isel(step=-1).sel(within=[0.1, 0.3])
    assert last.finite.all()
    assert (last.minimal_states == 2).all()
    assert last.equivalent.all()


def test_only_agreeing_states_merge(run, states):
    after = states.sel(step=states.step > measure.drop_step(run) + 600)
    assert (after.disagreeing_merged == 0).all()
    assert (after.agreeing_merged.isel(step=-1) > 300).all()
    assert states.attrs["agreeing_pairs"] == 2 * (63 * 62 // 2)


def test_states_grow_before_they_merge(states):
    count = states.states.sel(within=0.1)
    assert count.max() > 2 * count[0]
    assert count.max() > 1.5 * count[-1]
    assert (states.states_linked <= states.states).all()


def test_it_generalises_at_the_drop(run, states):
    drop = measure.drop_step(run)
    assert 0 < drop < run.metrics.step[-1]
    assert (run.metrics.test_loss.sel(step=slice(drop, None)) < 0.1).all()
    end = mergers.plateau_end(run)
    assert 0 < run.parameters.step[end] < drop
    assert (measure.accuracy(run, (30, 2000), count=50) == 1).all()
    # The mean over lengths, each as often as it has sequences, is the logged training loss.
    weights = 2.0 ** np.arange(1, 7)
    logged = run.metrics.train_loss.sel(step=states.step)
    np.testing.assert_allclose(states.loss.values @ weights / weights.sum(), logged, rtol=1e-4)


@pytest.fixture(scope="module")
def theory_of_pairs(run, states):
    return mergers.pair_theory(run, float(states.sigma), per_cell=2)


def test_pairs_beside_the_flow(run, theory_of_pairs):
    both = theory_of_pairs
    assert both.begin.values.tolist() == ["start", "plateau"]
    for begin in both.begin:
        one = both.sel(begin=begin)
        at = one.observed.sel(step=int(one.begin_step))
        told = one.predicted.sel(step=int(one.begin_step))
        known = told.notnull()
        # The flow sets out from where the network is.
        np.testing.assert_allclose(told[known], at[known], rtol=1e-6)
        assert one.hidden_time > 0
        assert (one.explained <= 1).all()


def test_score_counts_pairs_that_were_not_fitted(theory_of_pairs):
    scored = mergers.score(theory_of_pairs)
    used = (~theory_of_pairs.fitted & theory_of_pairs.exact_final.notnull()).sum("pair")
    assert (scored.total.sum("longer").isel(criterion=0, within=0) == used).all()
    assert (scored.low <= scored.accuracy).all()
    assert (scored.accuracy <= scored.high).all()
    wrong = scored.false_mergers + scored.missed_mergers
    np.testing.assert_allclose(wrong, scored.total.sum("longer") * (1 - scored.accuracy), atol=1e-9)
    assert (scored.accuracy.sel(criterion="chance") >= 0.5).all()


@pytest.mark.parametrize("reading", mergers.READINGS)
def test_length_law_is_found_where_it_holds(reading):
    rng = np.random.default_rng(0)
    shorter, apart = rng.integers(1, 6, 400), rng.integers(0, 4, 400)
    longer = shorter + apart
    exponent = 9 - longer - shorter if reading == mergers.READINGS[0] else apart
    count = rng.uniform(2, 60, 400)
    level = np.log(count) + np.log(0.4) * exponent
    made = xr.Dataset(
        {
            "shorter": ("pair", shorter),
            "longer": ("pair", longer),
            "agreeing": ("pair", np.ones(400, bool)),
            "fitted": ("pair", np.arange(400) % 2 == 0),
            "continuations": (("begin", "pair"), count[None]),
            "merged": (("within", "pair"), (level > np.median(level))[None]),
        },
        coords={"begin": ["start"], "within": [0.1]},
        attrs={"length": 9},
    )
    law = mergers.length_law(made).sel(within=0.1)
    mine, other = law.sel(reading=reading), law.drop_sel(reading=reading).isel(reading=0)
    # Of 200 pairs a few lie between the cuts that were tried.
    assert mine.accuracy > 0.97 > other.accuracy
    assert mine.gain == pytest.approx(0.4, rel=0.3)
    made["merged"] = made.merged & False
    assert (mergers.length_law(made).accuracy == 1).all()


def test_the_moving_page_holds_every_place(run):
    count, frames = 12, 400
    places = np.random.default_rng(0).normal(size=(frames, count, 2))
    made = xr.Dataset(
        {
            "position": (("step", "sequence", "axis"), places),
            "answer": ("sequence", np.arange(count) % 2),
            "length": ("sequence", np.arange(count) + 1),
        },
        coords={"step": 21 * np.arange(frames)},
        attrs={"epoch": 21},
    )
    page = animation(made, "<b>states</b>")
    assert "<b>" not in page
    assert "://" not in page
    data = json.loads(re.search(r"told = (.*);", page).group(1))
    sent = np.frombuffer(base64.b64decode(data["places"]), "<i2").reshape(-1, count, 2)
    assert len(sent) == len(data["epochs"]) == 150
    first = np.ptp(places[0], axis=0) / np.ptp(sent[0].astype(float), axis=0)
    # Both axes have one scale; a place is told to one part in 32767 of the largest.
    assert first[0] == pytest.approx(first[1], rel=1e-3)


def test_a_random_automaton_is_learned_and_recognised(tmp_path):
    config = nets.preset(
        "vanrossem2025/automaton",
        states=3,
        length=5,
        neurons=30,
        gain=0.1,
        learning_rate=0.1,
        test_sequences=30,
        test_length=20,
        steps=4000,
        checkpoint_every=2000,
        log_every=500,
    )
    run = nets.train(config, tmp_path / "run")
    last = measure.states_over_training(run, (0.1, 0.3)).isel(step=-1)
    assert (last.minimal_states == 3).all()
    assert last.equivalent.all()
    other = random_machine(3, 0.6, seed=1)
    assert other != config.data.machine(0)
    end = measure.last_automaton(run, 0.1 * float(last.sigma))
    read = Extracted(end.transitions.values, end.outputs.values, end.attrs["start"], 0)
    assert not machines.equivalent(read, *table(other))


# Bad input.


def test_a_diverged_seed_is_named(run):
    broken = run.parameters.copy(deep=True)
    broken["recurrent"][{"step": 3}] = np.nan
    with pytest.raises(measure.DivergedStatesError, match="it diverged"):
        measure.states_over_training(Recorded(run.config, broken, run.metrics))


def test_other_networks_are_refused_with_a_reason(run):
    config = replace(run.config, data=Modular(p=5), network=TwoLayer(neurons=4))
    reason = measure.reason_not(Recorded(config, run.parameters, run.metrics))
    assert "recurrent networks" in reason
    assert measure.reason_not(run) is None


def test_impossible_requests(run):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        clusters.leaders(np.zeros((2, 2)), 0.0)
    with pytest.raises(ValueError, match="lengths must have at most"):
        measure.accuracy(run, (10**8,))


@pytest.mark.parametrize("tolerance", [1e-12, 1e3])
def test_tolerances_that_merge_nothing_or_everything_are_measured(run, tolerance):
    short = Recorded(run.config, run.parameters.isel(step=[0, -1]), run.metrics)
    last = measure.states_over_training(short, (tolerance,)).isel(step=-1, within=0)
    if tolerance > 1:
        assert (last.states, last.minimal_states) == (1, 1)
    else:
        assert last.states > 100
        assert np.isnan(last.minimal_states)
    assert not last.equivalent
