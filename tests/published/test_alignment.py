"""The published statistics of the grokking run, from its own 251 checkpoints."""

import pytest

from grokode import nets
from grokode.compare.statistics import score_statistics
from tests.published.test_import import QUAD, RELU

# Pearson with test accuracy; printed to six digits, reached to 1e-5.
WHOLE = {
    "ell_neuron": 0.852752,
    "ell_neuron_norm": 0.415690,
    "ell_global": -0.206572,
    "magnitude": 0.850553,
}
LATE = {"ell_neuron": 0.798541, "ell_neuron_norm": 0.941110, "ell_global": -0.347233}
TRANSITION = {"ell_neuron": 0.4386, "ell_neuron_norm": 0.414, "ell_global": -0.177}


@pytest.fixture(scope="module")
def grokking(published, tmp_path_factory):
    run = nets.import_published(published / RELU, tmp_path_factory.mktemp("relu") / "run")
    return score_statistics(run)


def test_grokking_run(grokking):
    assert (grokking["t_grok"], grokking["checkpoints"]) == (10400, 251)
    assert grokking["peak"]["ell_neuron"] == 9400
    for name, printed in WHOLE.items():
        assert grokking["pearson"][name] == pytest.approx(printed, abs=1e-5)
    assert grokking["pearson"]["weight_norm"] == pytest.approx(0.9388, abs=5e-5)
    late = grokking["post_saturation"]
    assert (late["from_step"], late["checkpoints"]) == (2200, 240)
    for name, printed in LATE.items():
        assert late[name] == pytest.approx(printed, abs=1e-5)
    for name, printed in TRANSITION.items():
        assert grokking["transition"][name] == pytest.approx(printed, abs=5e-4)


def test_decoded_against_raw(grokking):
    assert grokking["decoded_vs_raw"]["pearson"] == pytest.approx(-0.989643, abs=1e-5)
    # The printed ratio is that of the means, not the mean of the ratios (68.04).
    assert grokking["decoded_vs_raw"]["mean_ratio"] == pytest.approx(41.0202, abs=1e-4)


def test_permutation(grokking):
    """Printed: about 0.001, 0.001, 0.007; their blocks are not stated, ours are of 5."""
    permutation = grokking["permutation"]
    assert permutation["ell_neuron"] == permutation["ell_neuron_norm"] == 0.001
    assert permutation["ell_global"] == pytest.approx(0.007, abs=0.01)


def test_quad_run(published, tmp_path):
    found = score_statistics(nets.import_published(published / QUAD, tmp_path / "run"))
    assert found["t_grok"] == 9200
    assert found["pearson"]["ell_neuron_norm"] == pytest.approx(0.755449, abs=1e-5)
    assert found["pearson"]["ell_global"] == pytest.approx(-0.611899, abs=1e-5)
