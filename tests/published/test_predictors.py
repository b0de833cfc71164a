"""Winners of the published runs from their first checkpoint alone, rung by rung."""

import pytest

from grokode import compare, nets

QUAD = "p_23_dmlp_512_Quad_random_scale_0.1_decay_0_08151413"
RELU = "p_23_dmlp_512_ReLU_random_scale_0.1_decay_2.0_08180102"


def accuracies(published, tmp_path, name, rules):
    run = nets.import_published(published / name, tmp_path / "run")
    found = compare.winners(run, rules)
    return {str(rule): float(found.accuracy.sel(rule=rule)) for rule in rules}


def test_quadratic_run(published, tmp_path):
    found = accuracies(
        published,
        tmp_path,
        QUAD,
        ("misalignment", "blowup_time", "neuron_flow", "clock_flow", "moment_flow"),
    )
    # Measured before this code, by other code, and given to three digits.
    assert found["misalignment"] == pytest.approx(0.186, abs=5e-4)
    assert found["blowup_time"] == pytest.approx(0.828, abs=5e-4)
    assert found["clock_flow"] >= 0.9355
    assert found["moment_flow"] >= 0.9665
    assert list(found.values()) == sorted(found.values())


def test_relu_grokking_run(published, tmp_path):
    found = accuracies(published, tmp_path, RELU, ("misalignment", "blowup_time", "neuron_flow"))
    assert found["misalignment"] == pytest.approx(0.156, abs=5e-4)
    assert found["blowup_time"] == pytest.approx(0.533, abs=5e-4)
    assert found["neuron_flow"] >= 0.70
