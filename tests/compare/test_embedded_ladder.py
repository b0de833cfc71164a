"""The ladder where theta alone is not what is trained: flows follow the parameters."""

import numpy as np
import pytest

from grokode import compare, nets
from grokode.compare.common.course import course
from grokode.compare.lottery.ladder import ladder
from grokode.compare.lottery.outcomes import outcomes
from grokode.compare.lottery.winners import winners
from grokode.theory.harmonic_flow import harmonic_flow

CONFIG = nets.TrainingConfig(
    p=5,
    neurons=16,
    activation="relu",
    optimizer="adamw",
    learning_rate=5e-3,
    embedding=8,
    steps=80,
    checkpoint_every=20,
    log_every=10,
)


INPUTS = {
    "embedding": {},
    "separate": {"embedding": None, "separate_inputs": True},
    "both": {"separate_inputs": True},
}


@pytest.fixture(scope="module", params=INPUTS)
def run(request, tmp_path_factory):
    config = CONFIG.replace(**INPUTS[request.param])
    return nets.train(config, tmp_path_factory.mktemp(request.param) / "run")


def test_the_flow_of_all_modes_is_the_network(run):
    climbed = ladder(run, ["blowup_time", "neuron_flow", "harmonic_flow"])
    scored = winners(run, climbed=climbed)
    outside = str(scored.outside.sel(predictor="blowup_time").item())
    assert ("learned embedding" in outside) == (run.config.embedding is not None)
    assert ("weights of its own" in outside) == run.config.separate_inputs
    assert scored.within_assumptions.sel(predictor=["neuron_flow", "harmonic_flow"]).all()
    told = outcomes(run, climbed, scored).sel(who="harmonic_flow")
    # Trained and followed in float32; p = 5 has no modes beyond order 2.
    assert float(told.logit_r2) == pytest.approx(1, abs=1e-4)
    # Theta is no parameter, or not all there is: as one it goes elsewhere.
    start = climbed.initial.drop_vars("theta_y", errors="ignore")
    taken = harmonic_flow(start, climbed.rule, [80]).xi_hat.isel(step=0)
    assert (
        abs(taken - climbed.observed.xi_hat.isel(step=-1)).max()
        > 10
        * abs(
            climbed.predictions["harmonic_flow"].path.xi_hat.isel(step=-1)
            - climbed.observed.xi_hat.isel(step=-1)
        ).max()
    )


def test_what_follows_theta_alone_takes_it_for_both_inputs(tmp_path):
    """Where y's own weights stand still beside a theta that moves, a flow answers nonsense."""
    config = nets.TrainingConfig(
        p=5, neurons=16, learning_rate=0.5, separate_inputs=True, steps=200, checkpoint_every=100
    )
    climbed = ladder(nets.train(config, tmp_path / "run"), ["moment_flow", "neuron_flow"])
    assert "theta_y" not in climbed.predictions["moment_flow"].path
    assert "step" in climbed.predictions["neuron_flow"].path.theta_y.dims


def test_the_question_is_asked(run):
    question = compare.QUESTIONS["lottery"]
    assert question.needs(run) is None
    plain = question.plain(question.measure(run))
    told = plain["outcomes"]
    assert plain["rules"]["harmonic_flow"]["accuracy"] == 1
    assert plain["ceiling"]["reason"] == ""
    assert plain["ceiling"]["float32"]["accuracy"] == 1
    # The very training again, from weights that a spectrum carried.
    assert plain["ceiling"]["float32"]["logit_r2"] == pytest.approx(1, abs=1e-6)
    assert told["the network"]["pairs_right"] == float(run.metrics.train_accuracy[-1])


def test_loss_and_accuracy_along_the_run_are_those_logged(run):
    observed = ladder(run, ["blowup_time"]).observed
    series = course(observed, "relu", run.train_pairs, run.test_pairs)
    logged = run.metrics.sel(step=observed.step)
    # Logged in float32.
    np.testing.assert_allclose(series.train_loss, logged.train_loss, rtol=1e-5)
    np.testing.assert_array_equal(series.train_accuracy, logged.train_accuracy)
