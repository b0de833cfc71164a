"""What Proposition 1 needs: networks that break one assumption each, and the budget's own sums."""

import numpy as np
import pytest

from grokode import compare, nets
from grokode.compare.common.kernels import centred_logits
from grokode.compare.logits.budget import logit_budget
from grokode.compare.logits.closing import closing
from tests.compare.made import K, P, diversified, gaussian, single_waves


def first_exact(closed):
    """The first stage from which on nothing is missing, but for rounding."""
    exact = abs(1 - closed.r2.values) < 1e-12
    return str(closed.stage[int(exact.argmax())].item()) if exact.any() else None


def network(sizes=1.0, D=0.0, phi=None, copies=12):
    """Every frequency in as many neurons, phases evenly spread unless given."""
    k = np.repeat(np.arange(1, K + 1), copies)
    spread = np.tile(2 * np.pi * np.arange(copies) / copies, K)
    phi = spread if phi is None else phi
    return single_waves(k, phi, 2 * phi - D, alpha=np.repeat(np.broadcast_to(sizes, K), copies))


@pytest.mark.parametrize(
    ("broken", "needs"),
    [
        ({}, "proposition"),
        ({"sizes": np.linspace(0.5, 1.5, K)}, "sizes"),
        ({"D": 0.7}, "misalignment"),
        ({"phi": np.random.default_rng(0).uniform(0, 6, 12 * K)}, "phases"),
    ],
)
def test_a_network_needs_just_the_assumption_that_it_breaks(broken, needs):
    assert first_exact(closing(*network(**broken))) == needs


def test_other_waves_and_the_mean_are_put_in_last():
    theta, xi = network()
    rng = np.random.default_rng(0)
    assert first_exact(closing(theta + 0.1 * rng.normal(size=(len(theta), 1)), xi)) == "dc"
    whole = closing(*gaussian(20, 0))
    assert first_exact(whole) == "dc"
    assert whole.r2.sel(stage="cross_frequency") > whole.r2.sel(stage="phases")


def test_relu_closes_too_and_evenly_spread_phases_leave_harmonics():
    """|cos u| has harmonics 2u, 4u ...: with 12 phases those up to the sixth cancel."""
    closed = closing(*diversified(P, 12), "relu")
    assert closed.r2.sel(stage="linear") == pytest.approx(1, abs=1e-12)
    # Phases that are spread evenly have no noise to put in.
    assert closed.r2.sel(stage="phases") == pytest.approx(float(closed.r2[0]), abs=1e-9)
    assert (closed.accuracy == 1).all()


@pytest.mark.parametrize("activation", ["quadratic", "relu"])
def test_stages_are_sums_of_the_budgets_parts(activation):
    theta, xi = gaussian(20, 1)
    closed = closing(theta, xi, activation)
    logits, _ = centred_logits(theta, xi, activation)
    parts = logit_budget(theta, xi, activation).parts
    missing = logits - parts.sel(part=["signal", "misalignment"]).sum("part").values
    expected = 1 - (missing**2).sum() / (logits**2).sum()
    assert float(closed.r2.sel(stage="misalignment")) == pytest.approx(expected, rel=1e-10)


def test_what_has_no_parts_says_so(tmp_path):
    config = nets.TrainingConfig(
        p=5, neurons=8, activation="gelu", steps=4, checkpoint_every=2, log_every=2
    )
    run = nets.train(config, tmp_path / "run")
    question = compare.QUESTIONS["logits"]
    measured = question.measure(run, history=False)
    assert "parts are known for quadratic and relu networks" in measured["closing"].attrs["reason"]
    rows = {table.title: table.rows for table in question.tables(measured)}
    assert rows["what Proposition 1 needs to be exact"][1][0] == "nothing to compare"
    assert question.plain(measured)["closing"]["proposition"]["r2"] is None
    for sheet in question.sheets(measured):
        sheet.draw()
