"""Trainings written by grokode 0.1, before networks were records of named parameters, made again.

On the kind of processor, and with the torch, that made them every weight and metric has the same
bytes; elsewhere matrix products may sum in another order, and float32 rounding is what is allowed.
"""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from grokode import nets

MADE_BY = ("2.13.0+cpu", "AVX512", "AMD EPYC")


def this_machine():
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return torch.__version__, torch.backends.cpu.get_cpu_capability(), *models[:1]


def same(new, old):
    """The same bytes where they can be had, else as near as 40 steps of float32 leave it."""
    if Path("/proc/cpuinfo").exists() and this_machine() == MADE_BY:
        assert new.dtype == old.dtype
        assert new.tobytes() == old.tobytes()
    np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format2")
    with zipfile.ZipFile(Path(__file__).parent / "stores" / "format2.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name", ["one_seed", "separate"])
def test_weights_and_metrics_are_those_of_the_first_storey(old, tmp_path, name):
    stored = nets.open_run(old / name)
    new = nets.train(stored.config, tmp_path / "run", seeds=stored.seeds)
    assert set(new.weights) == set(stored.weights)
    for layer in stored.weights:
        same(new.weights[layer].values, stored.weights[layer].values)
    for metric in stored.metrics:
        if metric.endswith("norm") and len(stored.seeds) > 1:
            # Since then the norm of one of several seeds is summed as it is for that seed alone.
            np.testing.assert_allclose(new.metrics[metric], stored.metrics[metric], rtol=1e-6)
        else:
            same(new.metrics[metric].values, stored.metrics[metric].values)
    np.testing.assert_array_equal(new.train_pairs, stored.train_pairs)


def test_seeds_end_where_they_ended(old, tmp_path):
    """Ten of twelve networks diverge, each at its step; the others go on with the same weights."""
    stored = nets.open_run(old / "diverged")
    with pytest.raises(nets.DivergedError, match="seed 0 at step 29, seed 2 at step 26"):
        nets.train(stored.config, tmp_path / "run", seeds=stored.seeds)
    new = nets.open_run(tmp_path / "run")
    assert new.ended == stored.ended
    for seed in (1, 7):
        same(new.select(seed).weights.theta.values, stored.select(seed).weights.theta.values)
