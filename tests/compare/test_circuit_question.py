"""The circuit as a question: of runs that add, that do not, and that never learned."""

import json

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.compare.circuit.measures import circuit
from grokode.compare.circuit.observe import computations, embeddings, last_computation
from grokode.compare.circuit.question import QUESTION
from grokode.compare.circuit.tables import keys_table
from grokode.compare.common.claims import NOT_MEASURED
from grokode.compare.common.missing import NotMeasured

KEYS = [
    "p",
    "accuracy",
    "key_frequencies",
    "loss",
    "restricted_loss",
    "excluded_loss",
    "clock_r2",
    "pizza_r2",
    "distance_irrelevance",
    "gradient_symmetricity",
    "phases",
    "reasons",
]
SETTINGS = {"steps": 60, "checkpoint_every": 20, "log_every": 20, "train_fraction": 0.6}
SMALL = {"network": "transformer", "width": 16, "heads": 2, "neurons": 16, **SETTINGS}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = nets.TrainingConfig(p=7, optimizer="adamw", learning_rate=1e-2, **SMALL)
    return nets.train(config, tmp_path_factory.mktemp("circuit") / "run")


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A two-layer network that answers every pair."""
    config = nets.TrainingConfig(
        p=7,
        neurons=64,
        activation="relu",
        optimizer="adamw",
        learning_rate=1e-2,
        steps=400,
        checkpoint_every=100,
        log_every=100,
    )
    return nets.train(config, tmp_path_factory.mktemp("solved") / "run")


def test_what_json_has(run):
    measured = QUESTION.measure(run)
    told = QUESTION.plain(measured)
    assert list(told) == KEYS
    assert list(told["loss"]) == ["all", "train", "test"]
    assert list(told["excluded_loss"]) == ["two_dimensional", "three_dimensional", "per_frequency"]
    assert list(told["phases"]) == ["memorisation", "circuit_formation", "cleanup"]
    json.dumps(told, allow_nan=False)
    # Metrics are over p + 1 classes, the circuit's losses over the p residues.
    metrics = run.metrics.isel(step=-1)
    assert told["loss"]["train"] == pytest.approx(float(metrics.train_loss), abs=0.2)
    for name, value in told["phases"].items():
        assert value is not None or told["reasons"][f"phases.{name}"]


def test_embeddings_are_those_of_the_computations(run, solved):
    for one in (run, solved):
        steps = one.parameters.step.values.tolist()
        alone = embeddings(one, steps)
        assert list(alone) == steps
        for step, whole in computations(one):
            np.testing.assert_array_equal(alone[step], whole.embedding)


def test_a_network_that_never_learned_has_reasons(run):
    measured = QUESTION.measure(run, step=0)
    told = QUESTION.plain(measured)
    assert told["key_frequencies"] is None
    assert "no solution" in told["reasons"]["key_frequencies"]
    assert {verdict.verdict for verdict in QUESTION.judge(measured)} == {NOT_MEASURED}
    assert keys_table(measured["circuit"])[1][0].endswith("no solution")
    with pytest.raises(ValueError, match="step must be one of"):
        QUESTION.measure(run, step=7)


def test_a_two_layer_network_is_measured_and_judged(solved):
    measured = QUESTION.measure(solved)
    told = QUESTION.plain(measured)
    assert told["accuracy"] == 1
    # Both inputs share their weights.
    assert told["gradient_symmetricity"] == pytest.approx(1)
    assert told["key_frequencies"]
    assert told["loss"]["test"] is None
    assert told["reasons"]["loss.test"] == "every pair was trained on"
    assert "nothing to generalise to" in told["reasons"]["phases.cleanup"]
    verdicts = {v.claim.measure: v for v in QUESTION.judge(measured)}
    assert verdicts["phases found"].value == 0
    # A two-layer network has nothing that goes past its neurons.
    assert verdicts["loss without the rest over the loss"].value == pytest.approx(1)
    tables = QUESTION.tables(measured)
    assert tables[0].title == "the circuit"
    assert all(len({len(row) for row in table.rows}) == 1 for table in tables[:3])


def test_sheets_are_drawn(run, tmp_path):
    import matplotlib.image

    sheets = QUESTION.sheets(QUESTION.measure(run))
    assert [sheet.name for sheet in sheets] == ["circuit", "progress"]
    for sheet in sheets:
        file = tmp_path / f"{sheet.name}.png"
        sheet.draw().savefig(file)
        assert matplotlib.image.imread(file).std() > 0.01


def test_subtraction_is_measured_as_addition(tmp_path):
    config = nets.TrainingConfig(p=7, task="subtraction", **SMALL)
    run = nets.train(config, tmp_path / "run")
    step, last = last_computation(run)
    answers = np.add.outer(np.arange(7), np.arange(7)) % 7
    right = (last.logits.argmax(-1) == answers).mean()
    held = [len(run.train_pairs) / 49, len(run.test_pairs) / 49]
    metrics = run.metrics.isel(step=-1)
    expected = held[0] * metrics.train_accuracy + held[1] * metrics.test_accuracy
    assert right == pytest.approx(float(expected), abs=1 / 49)
    assert step == 60
    assert last.trained.sum() == len(run.train_pairs)


def test_who_cannot_be_asked(run, tmp_path):
    config = nets.TrainingConfig(p=7, task="multiplication", **SMALL)
    other = nets.train(config, tmp_path / "run")
    assert "task multiplication" in QUESTION.needs(other)
    with pytest.raises(NotMeasured, match="task multiplication"):
        QUESTION.measure(other)
    assert QUESTION.needs(run) is None


def test_checkpoints_are_those_of_the_run(run):
    steps = [step for step, _ in computations(run)]
    assert steps == run.parameters.step.values.tolist()
    _, last = last_computation(run)
    inputs = run.config.data.inputs
    parameters = {name: value.values[-1] for name, value in run.parameters.items()}
    named = {name: torch.tensor(value)[None].double() for name, value in parameters.items()}
    logits = run.config.network.outputs(named, inputs)[0, :, :7].numpy()
    np.testing.assert_array_equal(last.logits.reshape(49, 7), logits)
    assert np.isfinite(circuit(last).restricted_loss).all()
