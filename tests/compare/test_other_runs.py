"""Runs that a question is not about, or that do not say all: one line, and a page all the same."""

import contextlib

import numpy as np
import pytest

from grokode import compare, nets
from grokode.compare.page.report import report


def parity(folder):
    config = nets.preset(
        "vanrossem2025/parity", length=4, neurons=6, steps=4, checkpoint_every=2, log_every=2
    )
    return nets.train(config, folder)


def transformer(folder):
    changes = {"width": 8, "heads": 2, "neurons": 8, "steps": 4, "log_every": 2}
    return nets.train(nets.preset("nanda2023/small", 7, checkpoint_every=2, **changes), folder)


def unknown_split(folder):
    """Two matrices of a user, who does not say what they were trained on."""
    rng = np.random.default_rng(0)
    file = folder.with_suffix(".npz")
    np.savez(file, W=rng.normal(size=(8, 5)), U=rng.normal(size=(5, 8)))
    return nets.import_checkpoint(file, folder, input_weights="W", activation="relu")


MADE = {"parity": parity, "transformer": transformer, "unknown split": unknown_split}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: make(folder / name.replace(" ", "-")) for name, make in MADE.items()}


@pytest.mark.parametrize("name", MADE)
def test_every_question_answers_or_says_why_not(runs, name):
    """A question that needs another run refuses this one as bad input, never by another error."""
    run = runs[name]
    refused = 0
    for question in compare.QUESTIONS.values():
        reason = question.needs(run)
        if reason is None:
            continue
        refused += 1
        assert "\n" not in reason
        with contextlib.suppress(ValueError):
            question.measure(run)
    assert refused


@pytest.mark.parametrize("name", MADE)
def test_a_page_of_them_is_written(runs, name, tmp_path):
    page = report([runs[name]], tmp_path / "page.html").read_text()
    for question in compare.QUESTIONS.values():
        reason = question.needs(runs[name])
        if reason is not None:
            assert "Not measured" in page
    # The loss of parity is a mean square, not a cross-entropy.
    assert ("nats" in page) == (name != "parity")


def test_info_says_that_a_split_is_not_known(runs):
    about = runs["unknown split"].describe()
    assert (about["training pairs"], about["test pairs"]) == ("unknown", "unknown")
    assert not runs["unknown split"].knows_split
    assert runs["transformer"].knows_split
