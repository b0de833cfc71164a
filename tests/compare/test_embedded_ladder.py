"""The ladder on a network with a learned embedding: flows follow what is trained."""

import numpy as np
import pytest

from grokode import compare, nets
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return nets.train(CONFIG, tmp_path_factory.mktemp("embedded") / "run")


def test_the_flow_of_all_modes_is_the_network(run):
    climbed = ladder(run, ["blowup_time", "neuron_flow", "harmonic_flow"])
    scored = winners(run, climbed=climbed)
    assert "learned embedding" in str(scored.outside.sel(predictor="blowup_time").item())
    assert scored.within_assumptions.sel(predictor=["neuron_flow", "harmonic_flow"]).all()
    told = outcomes(run, climbed, scored).sel(who="harmonic_flow")
    # Trained and followed in float32; p = 5 has no modes beyond order 2.
    assert float(told.logit_r2) == pytest.approx(1, abs=1e-4)
    # Theta is no parameter: as one it goes elsewhere.
    start = climbed.initial
    taken = harmonic_flow(start, climbed.rule, [80]).xi_hat.isel(step=0)
    assert (
        abs(taken - climbed.observed.xi_hat.isel(step=-1)).max()
        > 10
        * abs(
            climbed.predictions["harmonic_flow"].path.xi_hat.isel(step=-1)
            - climbed.observed.xi_hat.isel(step=-1)
        ).max()
    )


def test_the_question_is_asked_and_says_what_is_not_there(run):
    question = compare.QUESTIONS["lottery"]
    assert question.needs(run) is None
    plain = question.plain(question.measure(run))
    assert np.isfinite(plain["rules"]["harmonic_flow"]["accuracy"])
    # A start is given as a spectrum, which does not say how theta is to be a product.
    assert "embedding" in plain["ceiling"]["reason"]
