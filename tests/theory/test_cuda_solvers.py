"""The CUDA twin: under numba's simulator everywhere, on a device where there is one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from grokode.theory import cuda_solvers, exact
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

# The simulator replaces numba.cuda on import, so it needs a process of its own.
SIMULATED = """
import warnings
import numpy as np
from grokode.theory.solvers import Status, simulate
from grokode.theory.systems import ReLUFlow, TicketFlow

rng = np.random.default_rng(0)
waves = tuple(rng.normal(size=(2, 3, 2)) @ [1, 1j])
cases = [
    (TicketFlow(5), [0.0, 0.01, 0.03], {}),
    (TicketFlow(5), [0.01, 0.03], {"method": "dopri853"}),
    (TicketFlow(5, decay=0.5), [0.011, 0.03], {"method": "rk4", "step_size": 0.005}),
    (ReLUFlow(5), [0.02, 0.1], {"rtol": 1e-6}),
    (TicketFlow(5), [0.01, 9.0], {"rtol": 1e-4, "check": False}),
    (TicketFlow(5), [0.01, 9.0], {"rtol": 1e-4, "stop_norm": 4.0}),
    (TicketFlow(5), [9.0], {"max_steps": 3, "check": False}),
    (TicketFlow(5), [0.0], {}),
    (TicketFlow(5), [0.01, 0.03], {"rtol": 1e-5, "dtype": "float32"}),
    (ReLUFlow(5), [0.011, 0.03], {"method": "rk4", "step_size": 0.005, "dtype": "float32"}),
]
for system, times, options in cases:
    two = simulate(system, waves, times, device="cuda", **options)
    dtype = options.pop("dtype", "float64")
    one = simulate(system, waves, times, **options)
    np.testing.assert_array_equal(one.status, two.status)
    # The simulator takes the control's roots in double precision, so steps differ in the seventh
    # digit and results by a tenth of the tolerance.
    tolerance = 10 * options.get("rtol", 1e-8)
    if dtype == "float32":  # a few hundred roundings of 6e-8
        tolerance = max(tolerance, 1e-5)
        # The same to float64's digits would mean that it was computed there.
        assert abs(two.theta_hat / one.theta_hat - 1).max() > 1e-9
    np.testing.assert_allclose(one.theta_hat, two.theta_hat, rtol=tolerance)
    np.testing.assert_allclose(one.xi_hat, two.xi_hat, rtol=tolerance)
    np.testing.assert_allclose(one.stop_time, two.stop_time, rtol=tolerance)
    np.testing.assert_allclose(one.accepted, two.accepted, atol=2)
    assert (one.status == one.status[0]).all()
    print(Status(int(one.status[0])).name)
# A start whose square overflows in float32, of which numpy warns; a device does not.
warnings.simplefilter("ignore")
huge, single = (np.array([1e20 + 0j]), np.array([0.1 + 0j])), {"device": "cuda", "dtype": "float32"}
for options in ({}, {"stop_norm": 4.0}):
    path = simulate(TicketFlow(5), huge, [0.01], rtol=1e-4, check=False, **single, **options)
    print(Status(int(path.status[0])).name)
"""


def test_simulated_device_agrees_with_the_cpu():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SIMULATED],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        *["REACHED"] * 4,
        "BLEW_UP",
        "STOPPED",
        "TOO_MANY_STEPS",
        *["REACHED"] * 3,
        "BLEW_UP",
        "STOPPED",
    ]


def has_device():
    return cuda_solvers.available()


@pytest.mark.gpu
@pytest.mark.skipif(not has_device(), reason="no CUDA device")
@pytest.mark.parametrize("method", ["tsit5", "dopri853"])
def test_device_agrees_with_the_closed_form(method):
    A, B = np.random.default_rng(0).normal(size=(2, 1000, 2)) @ [1, 1j]
    times = np.array([0.3, 0.7]) * exact.blowup_time(A, B, 23).min()
    path = simulate(TicketFlow(23), (A, B), times, method=method, rtol=1e-10, device="cuda")
    for i, time in enumerate(times):
        truth = exact.evolve(A, B, 23, time)
        # Tens of steps of 1e-10.
        np.testing.assert_allclose(path.theta_hat[i], truth[0], rtol=1e-7)
        np.testing.assert_allclose(path.xi_hat[i], truth[1], rtol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(not has_device(), reason="no CUDA device")
@pytest.mark.parametrize("options", [{"rtol": 1e-5}, {"method": "rk4", "step_size": 1e-3}])
def test_single_precision_on_a_device(options):
    A, B = 0.3 * np.random.default_rng(1).normal(size=(2, 1000, 2)) @ [1, 1j]
    time = 0.5 * exact.blowup_time(A, B, 5).min()
    if "step_size" in options:
        options = options | {"step_size": time / 200}
    path = simulate(TicketFlow(5), (A, B), [time], device="cuda", dtype="float32", **options)
    truth = exact.evolve(A, B, 5, time)
    size = np.hypot(*map(abs, truth))
    # Ten times the tolerance of a step, and hundreds of roundings of 6e-8.
    assert (abs(path.theta_hat[0] - truth[0]) < 1e-4 * size).all()
    assert (abs(path.xi_hat[0] - truth[1]) < 1e-4 * size).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dtype": "float32"}, 'for device="cuda"'),
        ({"dtype": "float32", "device": "cuda"}, "rtol must be at least 1e-6"),
        ({"dtype": "half"}, "dtype must be float64 or float32"),
    ],
)
def test_formats_that_are_not_there_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        simulate(TicketFlow(5), (1.0, 1.0), [0.01], **options)


@pytest.mark.skipif(has_device(), reason="there is a CUDA device")
def test_a_missing_device_is_named():
    with pytest.raises(RuntimeError, match='device="cpu"'):
        simulate(TicketFlow(5), (1.0, 1.0), [0.01], device="cuda")
    simulate(TicketFlow(5), (1.0, 1.0), [0.01], device="auto")
