"""What an ensemble needs is told before it starts, and is what it then takes."""

import json
from functools import partial

import pytest
import torch

from grokode import nets
from grokode.nets.networks import token_tables
from grokode.nets.training import ensemble, memory
from grokode.nets.training.memory import memory_needed, seeds_that_fit

SCHEDULE = {"steps": 2, "log_every": 2, "checkpoint_every": 2, "device": "cpu"}
TWO_LAYER = partial(nets.TrainingConfig, p=23, **SCHEDULE)
CONFIGS = {
    "all at once": TWO_LAYER(neurons=256, activation="gelu", optimizer="adamw"),
    "double": TWO_LAYER(neurons=256, activation="gelu", dtype="float64", train_fraction=0.7),
    "two inputs": TWO_LAYER(neurons=256, activation="gelu", separate_inputs=True),
    "dropout": TWO_LAYER(neurons=256, activation="gelu", dropout=0.1),
    "mostly logits": nets.TrainingConfig(p=59, neurons=32, activation="gelu", **SCHEDULE),
    "in blocks": TWO_LAYER(neurons=256, activation="relu"),
    "one layer": nets.preset("nanda2023/small", p=31, **SCHEDULE),
    "two layers": nets.preset("nanda2023/small", p=31, layers=2, **SCHEDULE),
    "attention only": nets.preset("nanda2023/small", p=31, neurons=0, **SCHEDULE),
}


def allocated(config, seeds, folder):
    """Bytes of tensors at the highest, by torch's own account."""
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profile:
        nets.train(config, folder / f"run-{seeds}", seeds=range(seeds))
    profile.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    return max(event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_estimate_is_what_is_allocated_or_somewhat_more(tmp_path, monkeypatch, name):
    # As a GPU has it: all seeds, and all pairs of a seed, at once, and no compiled loops.
    monkeypatch.setattr(ensemble, "_SMALL", 2**60)
    monkeypatch.setattr(token_tables, "_BLOCK_BYTES", 2**40)
    monkeypatch.setattr(token_tables, "LoopAttention", token_tables.ArrayAttention)
    one, three = (allocated(CONFIGS[name], seeds, tmp_path) for seeds in (1, 3))
    # What a process has taken before is no part of either.
    needed = [memory_needed(CONFIGS[name], seeds, "cpu") for seeds in (1, 3)]
    assert three - one < needed[1] - needed[0] < 3 * (three - one)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_most_seeds_that_fit_fit_and_one_more_does_not(name, device):
    free = 10**9
    most = seeds_that_fit(CONFIGS[name], free, device)
    assert memory_needed(CONFIGS[name], most, device) <= free
    assert memory_needed(CONFIGS[name], most + 1, device) > free


def test_too_much_is_one_line_with_what_would_fit(tmp_path, monkeypatch):
    config = CONFIGS["all at once"]
    monkeypatch.setattr(memory, "memory_free", lambda device: memory_needed(config, 5, device))
    with pytest.raises(ValueError, match=r"^100 seeds need about .* train at most 5 at a time$"):
        nets.train(config, tmp_path / "run", seeds=range(100))
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(memory, "memory_free", lambda device: 10)
    with pytest.raises(ValueError, match=r"train a smaller network$"):
        nets.train(config, tmp_path / "run")
    monkeypatch.setattr(memory, "memory_free", lambda device: None)  # not told: not refused
    nets.train(config, tmp_path / "run")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", CONFIGS)
def test_the_estimate_on_a_device(tmp_path, name):
    config = CONFIGS[name].replace(device="cuda")
    one = torch.ones(2, 2, device="cuda")
    one @ one  # cuBLAS takes memory for itself, once in a process
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    nets.train(config, tmp_path / "run", seeds=range(16))
    taken = torch.cuda.max_memory_allocated() - before
    assert taken < memory_needed(config, 16) < 4 * taken
