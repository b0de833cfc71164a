"""What a group explains of logits: against regressions, and networks made by hand."""

import numpy as np
import pytest

from grokode.compare.circuit.groups import group_shares, nonzero_by_powers
from grokode.compare.circuit.kernel_fits import fit_kernels
from grokode.nets.tasks.dihedral import Dihedral, products

ADDITION = np.add.outer(np.arange(7), np.arange(7)) % 7


def regression(target, columns):
    """Share of a target's variance in the span of columns, both centred already."""
    fitted = columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
    return fitted @ fitted / (target @ target)


@pytest.mark.parametrize("table", [ADDITION, products(3), products(4)])
def test_shares_are_regressions_on_indicators(table):
    n = len(table)
    logits = np.random.default_rng(0).normal(size=(n, n, n))
    centred = logits - logits.mean(-1, keepdims=True)
    centred = (centred - centred.mean((0, 1))).ravel()
    neutral = int(np.flatnonzero((table == np.arange(n)).all(1))[0])
    inverse = np.argmax(table == neutral, axis=1)
    x, y, z = np.indices((n, n, n)).reshape(3, -1)
    product, quotient = table[x, y], table[table[x, y], inverse[z]]
    conjugates = np.array([{table[table[g, h], inverse[g]] for g in range(n)} for h in range(n)])
    of_class = np.array([min(some) for some in conjugates])[quotient]
    shares = group_shares(logits, table)
    for name, labels in (
        ("product", product * n + z),
        ("quotient", quotient),
        ("character", of_class),
    ):
        columns = (labels[:, None] == np.unique(labels)).astype(float)
        assert shares[name] == pytest.approx(regression(centred, columns), rel=1e-9), name
    assert shares["product"] >= shares["quotient"] >= shares["character"]


def test_the_characters_of_addition_are_the_clocks():
    """A sum of cos(w_k (x + y - z)) over all k is any even function of x + y - z."""
    logits = np.random.default_rng(0).normal(size=(7, 7, 7))
    # The clock fit centres over z only, but its waves have mean 0 over pairs too.
    logits = logits - logits.mean((0, 1))
    waves = fit_kernels(logits, [1, 2, 3])["clock"][0]
    shares = group_shares(logits, ADDITION)
    # In a group that commutes every class has one element: odd functions count too.
    assert waves < shares["character"] == shares["quotient"]
    turned = logits[(-np.arange(7)) % 7][:, (-np.arange(7)) % 7][:, :, (-np.arange(7)) % 7]
    even = group_shares(logits + turned, ADDITION)["quotient"]
    assert fit_kernels(logits + turned, [1, 2, 3])["clock"][0] == pytest.approx(even, rel=1e-9)


def test_dihedral_products_are_those_of_matrices():
    corners = 5

    def matrix(element):
        flip, turn = divmod(element, corners)
        angle = 2 * np.pi * turn / corners
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return rotation @ np.diag([1.0, -1.0]) if flip else rotation

    table = products(corners)
    for x in range(2 * corners):
        for y in range(2 * corners):
            np.testing.assert_allclose(matrix(x) @ matrix(y), matrix(table[x, y]), atol=1e-12)
    assert (table != table.T).any()


def test_multiplication_is_addition_of_exponents():
    p = 11
    table = np.multiply.outer(np.arange(p), np.arange(p)) % p
    logits = np.random.default_rng(0).normal(size=(p, p))[table]
    reordered = nonzero_by_powers(logits)
    exponents = np.add.outer(np.arange(p - 1), np.arange(p - 1)) % (p - 1)
    assert group_shares(reordered, exponents)["product"] == pytest.approx(1)
    with pytest.raises(ValueError, match="prime"):
        nonzero_by_powers(np.zeros((9, 9, 9)))


def test_what_is_no_group_is_refused():
    with pytest.raises(ValueError, match="no neutral element"):
        group_shares(np.zeros((3, 3, 3)), np.zeros((3, 3), int))
    broken = products(3).copy()
    broken[4, 5], broken[4, 4] = broken[4, 4], broken[4, 5]
    with pytest.raises(ValueError, match="brackets matter"):
        group_shares(np.zeros((6, 6, 6)), broken)


def test_dihedral_task():
    task = Dihedral(corners=4, train_fraction=0.5)
    train, test = task.split(0)
    assert sorted([*train, *test]) == list(range(64))
    assert task.answers(0).reshape(8, 8).tolist() == products(4).tolist()
    with pytest.raises(ValueError, match="train_fraction must be in"):
        Dihedral(train_fraction=0.0)
    with pytest.raises(ValueError, match="leaves no pair"):
        Dihedral(corners=1, train_fraction=0.1)
    with pytest.raises(ValueError, match="corners must be at least 1"):
        Dihedral(corners=0)
