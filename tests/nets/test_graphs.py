"""Steps replayed as graphs: from a tape on the CPU, on a device where there is one."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.benchmarks.card_training import ensemble_of
from grokode.nets.networks import fused, token_tables
from grokode.nets.training import ensemble, graphs
from grokode.nets.training.graphs import Replayed
from tests.nets import tape

needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

TWO_LAYER = {"p": 7, "neurons": 6, "activation": "gelu", "scale": 0.5, "learning_rate": 0.01}
TRANSFORMER = {"network": "transformer", "p": 7, "width": 8, "heads": 2, "neurons": 12}
TRANSFORMER |= {"optimizer": "adamw", "learning_rate": 1e-3, "warmup": 10}
SCHEDULE = {"steps": 60, "checkpoint_every": 20, "log_every": 10, "dtype": "float64"}
# Compiled loops are no operations of torch, so networks that have them there are left out.
KINDS = {
    "momentum": TWO_LAYER | {"momentum": 0.9},
    "warm-up and decay": TWO_LAYER
    | {"optimizer": "adamw", "warmup": 10, "weight_decay": 1.0, "decay_until": 30},
    "embedding": TWO_LAYER | {"embedding": 3, "separate_inputs": True, "optimizer": "adam"},
    "one layer": TRANSFORMER | {"weight_decay": 1.0, "train_fraction": 0.7},
    "two layers": TRANSFORMER | {"layers": 2},
}


@pytest.fixture
def replays(monkeypatch):
    """How often the CPU replayed a tape: what it does here in place of graphs."""
    count = []

    def capture(call):
        replay, result = tape.record(call)
        return lambda: (count.append(1), replay()), result

    monkeypatch.setitem(graphs._CAPTURES, "cpu", capture)
    # A card has no compiled loops; a tape cannot see what they do.
    monkeypatch.setattr(token_tables, "LoopAttention", token_tables.ArrayAttention)
    return count


@pytest.mark.parametrize("settings", KINDS.values(), ids=list(KINDS))
def test_replayed_steps_are_those_of_plain_calls(tmp_path, replays, monkeypatch, settings):
    config = nets.TrainingConfig(**settings, **SCHEDULE)
    replayed = nets.train(config, tmp_path / "replayed", seeds=[3, 1])
    # Of 60 losses and updates all but the calls before a capture.
    assert 60 < len(replays) <= 120
    monkeypatch.delitem(graphs._CAPTURES, "cpu")
    plain = nets.train(config, tmp_path / "plain", seeds=[3, 1])
    # The same operations in the same order: the same bits.
    for name in plain.parameters:
        np.testing.assert_array_equal(replayed.parameters[name], plain.parameters[name])
    assert replayed.metrics.equals(plain.metrics)


def test_seeds_that_end_leave_a_graph_behind(tmp_path, replays, monkeypatch):
    """What is left lies elsewhere, where a graph of all seeds would not look."""
    config = nets.TrainingConfig(
        **TWO_LAYER | {"optimizer": "adamw", "neurons": 24}, **SCHEDULE, stop_loss=1.7
    ).replace(steps=400, log_every=1, checkpoint_every=400)
    replayed = nets.train(config, tmp_path / "replayed", seeds=range(4))
    assert len({end["step"] for end in replayed.ended.values()}) > 1
    assert replays
    monkeypatch.delitem(graphs._CAPTURES, "cpu")
    plain = nets.train(config, tmp_path / "plain", seeds=range(4))
    assert plain.ended == replayed.ended
    np.testing.assert_array_equal(replayed.weights.theta, plain.weights.theta)


def test_what_is_drawn_anew_at_every_step_is_not_replayed(tmp_path, replays):
    config = nets.TrainingConfig(**TWO_LAYER, **SCHEDULE, dropout=0.2)
    nets.train(config, tmp_path / "run")
    assert len(replays) == 60 - graphs._WARM  # the updates alone


def test_a_number_that_changes_is_captured_anew():
    total = torch.zeros(())
    add = Replayed(lambda step: total.add_(step // 10), lambda step: step // 10, tape.record)
    for step in range(30):
        add(step)
    assert total.item() == sum(step // 10 for step in range(30))


def test_what_cannot_be_captured_is_called_on():
    calls = []

    def waits(step):
        calls.append(step)
        return torch.ones(()).item()

    function = Replayed(waits, lambda step: None, tape.record)
    assert [function(step) for step in range(6)] == [1.0] * 6
    assert function.refused == "aten::_local_scalar_dense waits"
    # Tried once, at step 3, and then left alone.
    assert calls == [0, 1, 2, 3, 3, 4, 5]


@pytest.mark.parametrize("settings", KINDS.values(), ids=list(KINDS))
def test_no_step_waits_for_the_host(tmp_path, settings):
    """As often as something is due, and no more often for twice the steps between."""
    waits = []
    for every in (15, 30):
        config = nets.TrainingConfig(**settings | SCHEDULE).replace(
            steps=2 * every, log_every=every, checkpoint_every=every
        )
        with tape.Names() as seen:
            nets.train(config, tmp_path / f"{every}")
        waits.append(sum(name in tape.WAITS for name in seen.names))
    assert waits[0] == waits[1]


def test_a_wait_in_a_step_would_be_seen():
    with tape.Names() as seen:
        bool(torch.isfinite(torch.ones(())))
    assert sum(name in tape.WAITS for name in seen.names) == 1


# On a device.

PUBLISHED = {
    "he2026/standard": {"p": 23},
    "he2026/grokking": {"p": 23},
    "nanda2023/small": {},
}


def distance(one, other):
    """Largest difference of a weight in units of the largest."""
    return max(
        float(abs(one.parameters[name][:, -1] - other.parameters[name][:, -1]).max())
        / float(abs(other.parameters[name][:, -1]).max())
        for name in other.parameters
    )


def trained(folder, name, dtype, steps, device="cpu"):
    schedule = {"steps": steps, "checkpoint_every": steps, "log_every": 10, "dtype": dtype}
    config = nets.preset(name, **PUBLISHED[name], **schedule, device=device)
    return nets.train(config, folder, seeds=[0, 1])


def assert_same(one, other, dtype):
    """In float64, the last digits of a thousand steps; in float32, few steps to rounding.

    Roundings of 6e-8 grow with AdamW, which divides small gradients by themselves: after 60 steps
    losses in float32 and float64 are 2.4e-5 apart, after 1,000 weights have little in common.
    """
    if dtype == "float64":
        assert distance(one, other) < 1e-10
    else:
        np.testing.assert_allclose(one.metrics.train_loss, other.metrics.train_loss, rtol=1e-4)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("dtype", "steps"), [("float64", 1000), ("float32", 40)])
def test_a_device_trains_as_the_cpu_does(tmp_path, name, dtype, steps):
    there, here = (trained(tmp_path / on, name, dtype, steps, device=on) for on in ("cuda", "cpu"))
    assert_same(there, here, dtype)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_a_device_computes_is_what_the_cpu_does(tmp_path, monkeypatch, name, dtype):
    """All pairs of all seeds at once, and no compiled loops: the operations of a card, here."""
    with monkeypatch.context() as patch:
        patch.setattr(fused, "FUSED", ())
        patch.setattr(ensemble, "_SMALL", 2**60)
        patch.setattr(token_tables, "_BLOCK_BYTES", 2**40)
        patch.setattr(token_tables, "LoopAttention", token_tables.ArrayAttention)
        there = trained(tmp_path / "there", name, dtype, 40)
    assert_same(there, trained(tmp_path / "here", name, dtype, 40), dtype)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("then", ["cuda", "cpu"])
def test_a_training_goes_on_on_either_device(tmp_path, then):
    config = nets.preset("he2026/grokking", dtype="float64", steps=400, device="cuda")
    whole = nets.train(config, tmp_path / "whole")
    nets.train(config.replace(steps=200), tmp_path / "parts")
    parts = nets.train(config.replace(device=then), tmp_path / "parts", resume=True)
    assert distance(parts, whole) < 1e-10


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("name", PUBLISHED)
def test_no_step_on_a_device_waits_and_all_are_replayed(name, monkeypatch):
    config = nets.preset(name, **PUBLISHED[name], device="cuda", warmup=0)
    networks = ensemble_of(config, [0, 1])
    for step in range(2 * graphs._WARM):
        networks.loss(step), networks.update(step)
    assert [part.refused for part in (networks._loss, networks._update)] == ["", ""]
    try:
        torch.cuda.set_sync_debug_mode("error")
        for step in range(2 * graphs._WARM, 100):
            networks.loss(step), networks.update(step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
