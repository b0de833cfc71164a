"""Trainings on record, followed from their seed: every log at hand."""

import json

import pytest

from grokode.nets.replay import Recorded, read_log, replay, replay_json

NAMES = ("standard", "grokking", "quad_random", "quad_single_freq", "relu_single_freq")
LOGS = [(p, name) for p in (15, 23) for name in NAMES if (p, name) != (15, "grokking")]
"""There is no grokking at p = 15 on record."""


def recorded(published, p, name):
    return read_log(published / "precomputed" / f"p{p:03}_training_log.json")[name]


@pytest.mark.parametrize(("p", "name"), LOGS)
def test_first_rows_of_every_log(published, p, name):
    """To the printed digits, and a few more steps of float32's rounding, while it is small."""
    replayed = replay_json(replay(recorded(published, p, name), steps=240))
    assert replayed["holds"]
    # Losses are printed to six decimals, 2e-7 of them; rounding has grown to 3e-6 in 240 steps.
    assert replayed["start_error"] < 3e-7
    assert replayed["loss_error"] < 1e-5
    # No pair off; accuracies are printed to six decimals.
    assert replayed["accuracy_error"] < 1e-6


@pytest.mark.long
@pytest.mark.parametrize(("p", "name"), LOGS)
def test_whole_logs(published, p, name):
    both = replay(recorded(published, p, name))
    replayed = replay_json(both)
    assert replayed["holds"]
    if name.startswith("quad"):
        # Quadratic networks have no kinks that rounding could put a pair on the other side of.
        assert replayed["loss_error"] < 5e-4
        assert replayed["accuracy_error"] < 1e-6
    if name == "grokking":
        assert replayed["steps"] == 24_000
        ends = both.test_accuracy.isel(step=-1)
        assert ends.values == pytest.approx(0.9624, abs=5e-5)


def test_another_seed_is_told(published):
    one = recorded(published, 15, "standard")
    other = Recorded(one.name, one.config.replace(seed=43), one.table)
    replayed = replay_json(replay(other, steps=50))
    assert not replayed["holds"]
    assert replayed["start_error"] > 1e-6


def test_a_preset_starts_from_the_authors_seed(published, tmp_path):
    """The recipe is a setting of any configuration, and resolves the same from a preset."""
    from grokode import nets

    log = recorded(published, 23, "grokking")
    config = nets.preset("he2026/grokking", seed=42, seed_recipe="he2026", steps=1, log_every=1)
    run = nets.train(config, tmp_path / "run")
    # float64 softmax here: to the printed digits all the same.
    assert float(run.metrics.test_loss[0]) == pytest.approx(float(log.table.test_loss[0]), rel=1e-6)
    again = nets.train(config, tmp_path / "run", resume=True)
    assert again.config.seed_recipe == "he2026"


def test_broken_logs_are_named(tmp_path):
    file = tmp_path / "log.json"
    for text in ("", "{}", "[]", '{"one": 1}', json.dumps({"one": {"config": {}, "table": []}})):
        file.write_text(text)
        with pytest.raises(ValueError, match="is no log of trainings"):
            read_log(file)
    with pytest.raises(ValueError, match="cannot be read"):
        read_log(tmp_path / "none.json")
