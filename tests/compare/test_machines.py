"""Clusters and automata against brute force."""

from dataclasses import replace

import numpy as np
import pytest

from grokode.compare.automata import clusters, machines
from grokode.compare.automata.machines import Extracted, Sequences
from grokode.nets.tasks.machines import PARITY, random_machine
from tests.compare.made import table

# Clusters.


@pytest.mark.parametrize("tolerance", [0.05, 0.4, 1.5])
def test_clusters_are_those_of_plain_loops(tolerance):
    points = np.random.default_rng(0).normal(size=(60, 3)) + 40
    distances = clusters.squared_distances(points)
    plain = ((points[:, None] - points) ** 2).sum(-1)
    # Squares of numbers of order one, by a product instead.
    np.testing.assert_allclose(distances, plain, atol=1e-12)
    first, of_state = [], []
    for point in points:
        near = [c for c, at in enumerate(first) if np.linalg.norm(point - points[at]) <= tolerance]
        of_state.append(near[0] if near else len(first))
        first += [] if near else [len(of_state) - 1]
    grouped = clusters.leaders(distances, tolerance)
    assert grouped.of_state.tolist() == of_state
    assert grouped.first.tolist() == first
    linked = clusters.linked(distances, tolerance)
    group = np.arange(60)
    for _ in range(60):  # every state takes the least number within reach, until nothing changes
        group = np.array([group[plain[n] <= tolerance**2].min() for n in range(60)])
    assert linked.of_state.tolist() == np.unique(group, return_inverse=True)[1].tolist()


def test_chains_do_not_hang_on_the_order_and_leaders_do():
    points = np.array([[0.0], [0.6], [1.2]])
    counts = {"leaders": set(), "linked": set()}
    for order in ([0, 1, 2], [1, 0, 2]):
        distances = clusters.squared_distances(points[order])
        for name, seen in counts.items():
            seen.add(getattr(clusters, name)(distances, 0.7).count)
    assert counts == {"leaders": {1, 2}, "linked": {1}}


def test_near_pairs_are_counted_once():
    points = np.random.default_rng(1).normal(size=(40, 2))
    labels = np.arange(40) % 3
    near = np.linalg.norm(points[:, None] - points, axis=-1) <= 0.8
    upper = np.triu(near, 1)
    same = labels[:, None] == labels
    result = clusters.near_pairs(clusters.squared_distances(points), 0.8, labels)
    assert result == ((upper & same).sum(), (upper & ~same).sum())


# Automata.


@pytest.mark.parametrize("seed", range(12))
def test_automaton_of_a_machine_is_the_machine(seed):
    machine = random_machine(7, 0.6, seed)
    every = Sequences.up_to(9)
    at = machine.states(every.inputs)
    _, first, of_state = np.unique(at, return_index=True, return_inverse=True)
    result = machines.extract(
        clusters.Clusters(of_state, first), every.children, machine.run(every.inputs)
    )
    assert result.finite
    assert machines.equivalent(result, *table(machine))
    # The classes of states by what all words of up to eight symbols answer (Myhill and Nerode).
    words = Sequences.up_to(8).inputs
    answers = {
        tuple(machine.outputs[s] for s in after(machine, state, words))
        for state in range(len(machine.outputs))
    }
    assert machines.minimal_states(replace(result, outputs=np.array(machine.outputs))) == len(
        answers
    )


def after(machine, state, words):
    at = np.full(len(words), state)
    for symbols in words.T:
        at = np.where(symbols < 0, at, np.array(machine.transitions)[at, symbols])
    return at


@pytest.mark.parametrize("seed", range(8))
def test_equivalence_is_that_of_all_words(seed):
    rng = np.random.default_rng(seed)
    one, two = random_machine(4, 0.6, seed), random_machine(4, 0.6, seed + 100)
    extracted = Extracted(*table(one), 0, 0)
    words = Sequences.up_to(10).inputs[1:]  # 4 times 4 states: a difference shows within 16 symbols
    assert machines.equivalent(extracted, *table(one))
    differ = (one.run(words) != two.run(words)).any()
    assert machines.equivalent(extracted, *table(two)) == (not differ)
    # Twice the machine, its transitions at random into either copy: the same answers.
    count = len(one.outputs)
    copies = np.concatenate([table(one)[0]] * 2)
    copies = copies + count * rng.integers(2, size=copies.shape)
    doubled = Extracted(copies, np.tile(one.outputs, 2), 0, 0)
    assert machines.equivalent(doubled, *table(one))
    assert machines.minimal_states(doubled) == machines.minimal_states(extracted)


def test_a_complete_tree_is_not_finite():
    every = Sequences.up_to(4)
    alone = clusters.Clusters(np.arange(31), np.arange(31))
    tree = machines.extract(alone, every.children, PARITY.run(every.inputs))
    assert not tree.finite
    assert not machines.equivalent(tree, *table(PARITY))
    with pytest.raises(ValueError, match="must be finite"):
        machines.minimal_states(tree)


def test_the_output_of_an_untrained_start_is_free():
    transitions = np.array([[1, 2], [1, 2], [2, 1]])
    machine = Extracted(transitions, np.array([-1, 0, 1]), 0, 0)
    assert machines.minimal_states(machine) == 2
    assert machines.equivalent(machine, *table(PARITY))


def test_two_thousand_states_are_handled():
    rng = np.random.default_rng(0)
    machine = Extracted(rng.integers(2000, size=(2000, 2)), rng.integers(2, size=2000), 0, 0)
    assert 1000 < machines.minimal_states(machine) <= 2000


def test_contradictions_are_counted():
    every = Sequences.up_to(1)
    both = clusters.Clusters(np.array([0, 0, 1]), np.array([0, 2]))
    children = np.array([[1, 2], [2, 2], [-1, -1]])
    assert clusters.count_conflicts(both, children) == 1
    assert clusters.count_conflicts(both, every.children) == 0
