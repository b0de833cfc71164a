"""Small runs, trained once a session."""

import pytest

from grokode import nets


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """p = 7, 24 quadratic neurons, SGD on all pairs, far enough to fit; a second or two."""
    config = nets.TrainingConfig(
        p=7,
        neurons=24,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.05,
        initial="gaussian",
        scale=0.1,
        seed=1,
        dtype="float64",
        steps=12_000,
        checkpoint_every=100,
        log_every=100,
        stop_loss=0.5,
    )
    return nets.train(config, tmp_path_factory.mktemp("runs") / "small")
