"""Observations 1 to 4 on the published runs' last checkpoints."""

import numpy as np
import pytest

from grokode import nets
from grokode.compare.mechanism.measures import mechanism
from grokode.compare.mechanism.tables import measures
from tests.published.test_import import QUAD, RELU


def numbers_of(published, folder, name):
    measured = mechanism(nets.import_published(published / name, folder / "run"))
    return {m.name: m.value for m in measures(measured)}, measured


@pytest.fixture(scope="module")
def relu(published, tmp_path_factory):
    return numbers_of(published, tmp_path_factory.mktemp("relu"), RELU)


def test_relu_run_is_the_published_picture(relu):
    numbers, measured = relu
    assert numbers["r2_theta"] > 0.85
    assert numbers["r2_xi"] > 0.9
    assert numbers["mean_abs_sin"] < 0.05
    assert numbers["balance_p_value"] > 0.05
    assert numbers["uniformity_p_value"] > 0.05
    assert numbers["variation_within_theta"] < 0.1
    assert numbers["variation_within_xi"] < 0.1
    # More even than chance: less of every noise than one random network in a thousand has.
    for order in (1, 2, 3, 4):
        assert numbers[f"noise_{order}_p_value"] < 1e-3
    assert measured["doubling"].attrs["dead"] == 0


def test_relu_harmonics_are_neither_published_nor_the_gradient(relu):
    numbers, measured = relu
    # Published 1/9, gradient 3/5, grown 0.268; all but a quarter of the neurons are above this.
    quantiles = measured["leakage"].ratio_quantile
    lowest = float(quantiles.sel(quantile=0.25, layer="theta", harmonic=3))
    assert lowest > 1 / 9
    assert 0.15 < numbers["leakage_theta_3"] < 0.3


def test_activation_swap_of_the_relu_run(relu):
    """It was trained on 75% of the pairs; the published table is of a network that saw all."""
    numbers, _ = relu
    for name in ("abs", "quadratic", "quartic"):
        assert numbers[f"swap_{name}"] == 1
    for name in ("softplus2", "exp"):
        assert numbers[f"swap_{name}"] > 0.9
    assert numbers["swap_relu"] > 0.99
    # The published 3.6%: 19 of 529 pairs.
    assert numbers["swap_cubic"] == 19 / 529
    assert numbers["swap_identity"] < 0.1


def test_quadratic_run_is_far_from_it(published, tmp_path):
    """At its last step: aligned and balanced, but neither sparse nor alike."""
    numbers, _ = numbers_of(published, tmp_path, QUAD)
    assert numbers["r2_theta"] < 0.5
    assert numbers["mean_abs_sin"] < 0.12
    assert numbers["balance_p_value"] > 0.05
    assert numbers["variation_within_theta"] > 2
    assert numbers["swap_quadratic"] == 1
    assert np.isfinite(numbers["initial_share_theta"])
