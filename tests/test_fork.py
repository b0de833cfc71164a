"""Forked children, as of a data loader or a pool, can call whatever their parent has called."""

import os
import subprocess
import sys

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system does not fork", allow_module_level=True)

SCRIPT = """
import multiprocessing, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from grokode import nets, theory
from grokode.theory.exact import output_magnitude
from grokode.theory.predictors import get_predictor

rng = np.random.default_rng(0)
spectrum = theory.spectrum(*rng.normal(size=(2, 3000, 5)) / 10)
A, B = spectrum.theta_hat.values, spectrum.xi_hat.values

def blowup(i):
    return theory.blowup_time(A * (1 + i), B, 5).sum()

def evolve(i):
    return abs(theory.evolve(A * (1 + i), B, 5, 1e-3)[0]).sum()

def magnitude(i):
    return output_magnitude(A * (1 + i), B, 5, 1e-3).sum()

def simulate(i):
    flow = theory.systems.TicketFlow(5)
    return abs(theory.simulate(flow, (A * (1 + i), B), [0, 1e-3]).theta_hat.values).sum()

def neurons(i):
    rule = theory.TrainingRule(p=5, learning_rate=0.1 * (1 + i))
    return abs(get_predictor("neuron_flow").predict(spectrum, rule, [0, 60]).xi_hat.values).sum()

def train(i):
    with tempfile.TemporaryDirectory() as folder:
        config = nets.TrainingConfig(p=5, neurons=400, steps=20, seed=i)
        return float(nets.train(config, folder + "/run").metrics.train_loss[-1])

for name in sys.argv[1:]:
    call = globals()[name]
    here = [float(call(i)) for i in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        there = pool.map_async(call, range(4)).get(900)
    np.testing.assert_allclose(there, here, rtol=1e-6, err_msg=name)
    if call is not train:
        with ThreadPoolExecutor(4) as pool:
            np.testing.assert_array_equal(list(pool.map(call, range(4))), here, err_msg=name)
"""


@pytest.mark.parametrize(
    "calls", [("blowup", "evolve", "magnitude", "simulate", "neurons"), ("train",)]
)
def test_a_forked_pool_and_threads_get_the_same_numbers(calls):
    # Threads on purpose: with one alone nothing can go wrong.
    threads = {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT, *calls],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
