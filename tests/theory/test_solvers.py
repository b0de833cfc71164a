"""The ensemble integrator against closed forms, an independent solver, and its own laws."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import ClassVar

import numba as nb
import numpy as np
import pytest
import xarray as xr

from grokode.theory import exact, flow, fourier
from grokode.theory.solvers import Status, simulate
from grokode.theory.systems import EvenFlow, ReLUFlow, System, TicketFlow
from grokode.theory.tableaus import METHODS, Tableau, get_method
from tests.theory.made import first_blowup, random_spectrum, reference

P = 23
FLOW = TicketFlow(P)
ADAPTIVE = ("tsit5", "dopri853")


def largest_error(path, s, p=P):
    """Largest error of A and B relative to their moduli, against the closed form."""
    A, B = exact.evolve(s.theta_hat, s.xi_hat, p, path.time)
    return max(
        float((abs(path[name] - truth) / abs(truth)).max())
        for name, truth in (("theta_hat", A), ("xi_hat", B))
    )


# Methods: order of the step and of the dense output.


@nb.njit
def mood(angle):
    return math.cos(angle)


def season(t, y, parameters):
    return (y[0] * y[0] * mood(t + parameters[0]),)


@dataclass(frozen=True)
class Season(System):
    """y' = y^2 cos(t + start): real, nonlinear, dependent on time, calls a compiled function."""

    variables: ClassVar = {"y": float}
    rhs: ClassVar = staticmethod(season)

    start: float

    def truth(self, y0, t):
        return 1 / (1 / y0 - np.sin(t + self.start) + np.sin(self.start))


def equal_steps(method, steps, last):
    """Errors between the last two steps and at the end, after steps of equal size."""
    h = last / steps
    asked = np.array([0.4 * h, h])
    options = {"step_size": 2 * h} if method == "rk4" else {"rtol": 0.9}
    y = 0.5
    for i in range(steps):
        # A tolerance that anything meets, and a step that is cut to the last time asked.
        path = simulate(Season(i * h), (y,), asked, method=method, **options)
        assert int(path.accepted) == 1
        y = path.y[1].item()
    return np.abs(path.y - Season(0.0).truth(0.5, last - h + asked))


@pytest.mark.parametrize(
    ("method", "steps", "last"),
    [("rk4", (40, 80, 160), 1.0), ("tsit5", (40, 80, 160), 2.5), ("dopri853", (6, 9, 13), 1.0)],
)
def test_order_of_convergence(method, steps, last):
    """At the ends of steps and between them; Euler's method would have slope 1."""
    errors = [equal_steps(method, n, last) for n in steps]
    slopes = [np.polyfit(-np.log(steps), np.log(column), 1)[0] for column in np.transpose(errors)]
    # The errors lie between 1e-8 and 1e-14, above rounding; `last` is a time at which the leading
    # terms of the steps do not happen to cancel. The next order's share is a few tenths.
    np.testing.assert_allclose(slopes, get_method(method).order, atol=0.3)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_steps_shrink_as_the_order_says(method):
    """Under error control the number of steps grows as rtol^(-1/order)."""
    s = random_spectrum(20)
    times = [0.7 * first_blowup(s)]
    tolerances = np.array([1e-6, 1e-8, 1e-10, 1e-12])
    steps = [
        float(simulate(FLOW, s, times, method=method, rtol=r).accepted.mean()) for r in tolerances
    ]
    slope = np.polyfit(np.log(tolerances), np.log(steps), 1)[0]
    # The first steps, which grow from a cautious guess, flatten the curve a little.
    assert -1.15 / get_method(method).order < slope < -0.6 / get_method(method).order


@pytest.mark.parametrize("method", ADAPTIVE)
def test_error_follows_the_tolerance(method):
    s = random_spectrum(10)
    times = [0.7 * first_blowup(s)]
    tolerances = np.array([1e-5, 1e-7, 1e-9, 1e-11])
    errors = [largest_error(simulate(FLOW, s, times, method=method, rtol=r), s) for r in tolerances]
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    # Error control per step makes the global error about proportional to rtol.
    assert 0.7 < slope < 1.3


@pytest.mark.parametrize("name", METHODS)
def test_tableaus_notice_a_mistyped_constant(name):
    good = get_method(name)
    for what in ("a", "dense", *(["errors"] if good.adaptive else [])):
        bad = {field.name: getattr(good, field.name) for field in fields(Tableau)}
        bad[what] = bad[what].copy()
        bad[what][tuple(np.argwhere(bad[what])[3])] += 1e-6
        with pytest.raises(ValueError, match=f"tableau {name}"):
            Tableau(**bad)


# The four-variable flow.


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_agrees_with_the_closed_form(method, scale):
    s = random_spectrum()
    s = s.assign(theta_hat=scale * s.theta_hat, xi_hat=scale * s.xi_hat)
    times = np.linspace(0, 0.9 * first_blowup(s), 9)
    path = simulate(FLOW, s, times, method=method, rtol=1e-11)
    # At most a hundred steps of 1e-11, and the dense output of tsit5, of one order less. Towards
    # the blow-up an early error grows as (T - t)^-2.
    assert largest_error(path, s) < 1e-8


def test_a_ticket_of_very_unequal_magnitudes_keeps_its_digits():
    """Each variable is held to its own size: alpha grows by e^6 from 1e-12 beside beta = 1."""
    A, B = 1e-12 * np.exp(0.7j), np.exp(0.2j)
    time = 6 / (2 * P)
    path = simulate(FLOW, (A, B), [time], rtol=1e-10)
    truth = exact.evolve(A, B, P, time)[0]
    np.testing.assert_allclose(path.theta_hat[0], truth, rtol=1e-8)  # tens of steps of 1e-10


@pytest.mark.parametrize("method", ADAPTIVE)
def test_agrees_with_an_independent_solver(method):
    """Through phi and psi too, and for real tickets that cross beta = 0."""
    times = np.linspace(0.0, 0.05, 6)
    for y0 in ([0.4, -0.3, 0.2, 0.5], [1.0, 0.0, -0.6, 0.0]):
        path = simulate(
            FLOW, (complex(*y0[:2]), complex(*y0[2:])), times, method=method, rtol=1e-11
        )
        truth = reference(FLOW, y0, times)
        np.testing.assert_allclose(path.theta_hat, truth[0] + 1j * truth[1], atol=1e-9)
        np.testing.assert_allclose(path.xi_hat, truth[2] + 1j * truth[3], atol=1e-9)


def test_invariants_hold_along_the_way():
    s = random_spectrum()
    path = simulate(FLOW, s, np.linspace(0, 0.99 * first_blowup(s), 20), rtol=1e-12)
    C1, C2 = flow.invariants(path.theta_hat, path.xi_hat)
    a, b = abs(path.theta_hat), abs(path.xi_hat)
    # C1 and C2 are differences of terms of this size, each good to a hundred steps of 1e-12 and
    # to the dense output, one order less.
    assert float((abs(C1 - C1[0]) / (a**2 + 2 * b**2)).max()) < 1e-8
    assert float((abs(C2 - C2[0]) / (a**2 * b)).max()) < 1e-8


def test_stop_and_restart_is_one_run():
    s = random_spectrum()
    last = 0.7 * first_blowup(s)
    half = simulate(FLOW, s, [0.3 * last], rtol=1e-11).isel(time=0)
    again = simulate(FLOW, half, [0.7 * last], rtol=1e-11)
    whole = simulate(FLOW, s, [last], rtol=1e-11)
    for name in ("theta_hat", "xi_hat"):
        np.testing.assert_allclose(again[name], whole[name], rtol=1e-8)  # 50 steps of 1e-11


def test_time_reversal():
    """(A, B, t) -> (A, -B, -t) is a symmetry, so running back from the end finds the start."""
    s = random_spectrum()
    last = 0.7 * first_blowup(s)
    end = simulate(FLOW, s, [last], rtol=1e-11).isel(time=0)
    back = simulate(FLOW, end.assign(xi_hat=-end.xi_hat), [last], rtol=1e-11).isel(time=0)
    # 50 steps of 1e-11 each way; small beta are known to the size of the state only.
    np.testing.assert_allclose(back.theta_hat, s.theta_hat, atol=1e-8)
    np.testing.assert_allclose(-back.xi_hat, s.xi_hat, atol=1e-8)


def test_scaling_is_exact():
    """Magnitudes times c, time over c: at a power of two every step is the same in all bits."""
    s = random_spectrum()
    small = s.assign(theta_hat=s.theta_hat / 1024, xi_hat=s.xi_hat / 1024)
    last = 0.7 * first_blowup(s)
    one, two = simulate(FLOW, s, [last]), simulate(FLOW, small, [1024 * last])
    np.testing.assert_array_equal(one.xi_hat, 1024 * two.xi_hat)
    np.testing.assert_array_equal(one.accepted, two.accepted)


def test_a_ticket_does_not_depend_on_its_company():
    s = random_spectrum(neurons=200)
    times = [0.2 * first_blowup(s), 0.7 * first_blowup(s)]
    together = simulate(FLOW, s, times)
    for m in (0, 57, 199):
        alone = simulate(FLOW, s.isel(neuron=[m]), times)
        xr.testing.assert_identical(alone, together.isel(neuron=[m]))


def test_many_asked_times_equal_each_asked_alone():
    s = random_spectrum(2)
    times = np.linspace(0, 0.7 * first_blowup(s), 40)
    together = simulate(FLOW, s, times, rtol=1e-11)
    for i in (1, 7, 39):
        alone = simulate(FLOW, s, times[[i]], rtol=1e-11)
        # Asked alone, the time ends a step; otherwise dense output gives it.
        np.testing.assert_allclose(together.xi_hat[i], alone.xi_hat[0], atol=1e-8)


# How a ticket ends.


@pytest.mark.parametrize("method", ADAPTIVE)
def test_tickets_end_at_their_blowup_time(method):
    s = random_spectrum()
    T = exact.blowup_time(s.theta_hat, s.xi_hat, P)
    times = np.sort(np.concatenate([T.values.ravel() * 0.999, T.values.ravel() * 1.001]))
    path = simulate(FLOW, s, times, method=method, rtol=1e-10, check=False)
    assert (path.status == Status.BLEW_UP).all()
    np.testing.assert_array_equal(path.xi_hat.notnull(), path.time < T)
    # A relative error of 1e-10 a step is one of 1e-10 in T - t.
    np.testing.assert_allclose(path.stop_time, T, rtol=1e-8)


def test_a_blow_up_raises_and_names_the_first():
    s = random_spectrum()
    T = exact.blowup_time(s.theta_hat, s.xi_hat, P)
    with pytest.raises(ValueError, match="66 of 66 tickets blow up") as caught:
        simulate(FLOW, s, [2 * float(T.max())])
    assert f"{float(T.min()):.5g}"[:6] in str(caught.value)
    assert "check=False" in str(caught.value)


def test_a_start_whose_norm_overflows_blows_up_unless_it_is_to_stop():
    start = np.array([1e200, 0.1]), np.array([0.1, 0.1])
    with pytest.raises(ValueError, match="1 of 2 tickets blow up"):
        simulate(TicketFlow(5), start, [0.0, 0.01])
    path = simulate(TicketFlow(5), start, [0.0, 0.01], stop_norm=1e10)
    assert path.status.values.tolist() == [Status.STOPPED, Status.REACHED]


def test_fixed_steps_blow_up_too():
    path = simulate(FLOW, (1.0, 1.0), [0.0, 10.0], method="rk4", step_size=0.01, check=False)
    assert int(path.status) == Status.BLEW_UP
    assert np.isnan(path.xi_hat[1])


def test_too_many_steps_is_a_status_and_raises():
    s = random_spectrum(1)
    times = [0.7 * first_blowup(s)]
    path = simulate(FLOW, s, times, max_steps=3, check=False)
    assert (path.status == Status.TOO_MANY_STEPS).all()
    assert ((path.accepted + path.rejected) == 3).all()
    assert (path.stop_time < times[0]).all()
    with pytest.raises(RuntimeError, match="max_steps = 3"):
        simulate(FLOW, s, times, max_steps=3)


@pytest.mark.parametrize("method", [*ADAPTIVE, "rk4"])
def test_stops_where_the_norm_meets_its_threshold(method):
    """On beta(t) = beta0 / (1 - 2 p beta0 t), alpha^2 = 2 beta^2, the norm is beta sqrt(3)."""
    beta0, threshold = 0.1, 1.0
    options = {"step_size": 1e-3} if method == "rk4" else {"rtol": 1e-11}
    path = simulate(
        TicketFlow(5),
        (beta0 * 2**0.5, beta0),
        [0.5, 2.0],
        method=method,
        stop_norm=threshold,
        **options,
    )
    met = (1 - 3**0.5 * beta0 / threshold) / (2 * 5 * beta0)
    assert int(path.status) == Status.STOPPED
    # The step's accuracy; the dense output of tsit5 is of one order less.
    assert abs(float(path.stop_time) - met) < 1e-8
    assert np.isfinite(path.xi_hat[0])
    assert np.isnan(path.xi_hat[1])


def test_a_ticket_above_the_threshold_stops_at_once():
    path = simulate(FLOW, (1.0, 1.0), [0.0, 1.0], stop_norm=0.5)
    assert (int(path.status), float(path.stop_time)) == (Status.STOPPED, 0.0)
    assert path.xi_hat[0] == 1


@pytest.mark.parametrize("method", ADAPTIVE)
def test_resting_tickets_rest(method):
    path = simulate(FLOW, ([0.0, 0.0], [0.3 - 0.4j, 0.0]), [1.0, 5.0], method=method)
    np.testing.assert_array_equal(path.xi_hat[1], [0.3 - 0.4j, 0.0])
    assert (path.status == Status.REACHED).all()


def test_a_ticket_without_output_wave_starts():
    """beta0 = 0, where the polar form is singular."""
    time = 0.5 * float(exact.blowup_time(1.0, 0.0, P))
    path = simulate(FLOW, (1.0, 0.0), [time], rtol=1e-11)
    np.testing.assert_allclose(path.xi_hat[0], exact.evolve(1.0, 0.0, P, time)[1], rtol=1e-9)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_system_of_ones_own(method):
    times = np.linspace(0, 6, 13)
    path = simulate(Season(0.3), ([0.5, -0.2],), times, method=method, rtol=1e-11)
    assert path.y.dims == ("time", "batch_0")
    for i, y0 in enumerate((0.5, -0.2)):
        # A hundred steps of 1e-11, and the dense output of tsit5, of one order less.
        np.testing.assert_allclose(path.y[:, i], Season(0.3).truth(y0, times), rtol=1e-8)


@pytest.mark.attack
def test_kernels_cached_by_different_processes_do_not_mix(tmp_path):
    """numba links cached code by the names of functions; equal names would run the wrong method."""
    code = """
import sys
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow
for method in sys.argv[1:]:
    options = {"step_size": 0.005} if method == "rk4" else {}
    path = simulate(TicketFlow(5), (1.0, 0.5), [0.03], method=method, **options)
    print(method, int(path.accepted), path.xi_hat.item())
"""
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, *methods],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for methods in (["rk4"], ["tsit5"], ["rk4", "tsit5"], ["tsit5", "rk4"])
    ]
    assert printed[0].startswith("rk4 6 ")
    assert printed[2] == printed[0] + printed[1]
    assert printed[3] == printed[1] + printed[0]


# Input and output.


def test_dimensions_and_means_are_kept():
    theta, xi = np.random.default_rng(1).normal(size=(2, 2, 3, 5))
    s = fourier.spectrum(theta, xi)
    mixed = s.assign(xi_hat=s.xi_hat.transpose("frequency", "batch_0", "neuron"))
    path = simulate(TicketFlow(5), mixed, [0.0, 1e-3])
    assert path.theta_hat.dims == ("time", "batch_0", "neuron", "frequency")
    assert path.status.dims == path.theta_hat.dims[1:]
    xr.testing.assert_identical(path.theta_mean, s.theta_mean)
    np.testing.assert_array_equal(path.xi_hat[0], s.xi_hat)
    assert path.attrs["p"] == 5


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.complex64, np.uint8])
def test_input_is_converted_not_reinterpreted(dtype):
    A, B = np.array([1, 2]).astype(dtype), np.array([2, 1]).astype(dtype)
    path = simulate(TicketFlow(3), (A, B), np.array([0], dtype=np.int32))
    np.testing.assert_array_equal(path.theta_hat[0], [1, 2])
    one = simulate(TicketFlow(3), (A, B), np.array([0.01], dtype=np.float32))
    two = simulate(
        TicketFlow(3), ([1.0, 2.0], [2.0, 1.0]), np.array([0.01], dtype=np.float32).astype(float)
    )
    np.testing.assert_array_equal(one.xi_hat, two.xi_hat)


def test_an_empty_ensemble_is_no_error():
    assert simulate(FLOW, (np.empty(0), np.empty(0)), [1.0]).theta_hat.shape == (1, 0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"times": [1.0, 0.5]}, "increasing"),
        ({"times": [0.5, 0.5]}, "increasing"),
        ({"times": [-1.0]}, "not negative"),
        ({"times": []}, "non-empty"),
        ({"times": [[0.1]]}, "shape"),
        ({"times": [np.nan]}, "finite"),
        ({"method": "euler"}, "tsit5, dopri853, rk4"),
        ({"rtol": 0.0}, "rtol"),
        ({"rtol": -1e-8}, "rtol"),
        ({"rtol": np.nan}, "rtol"),
        ({"atol": -1e-8}, "atol"),
        ({"step_size": 0.1}, "rtol instead"),
        ({"method": "rk4"}, "step_size"),
        ({"method": "rk4", "step_size": -0.1}, "step_size"),
        ({"stop_norm": 0.0}, "stop_norm"),
        ({"max_steps": 0}, "max_steps"),
        ({"device": "gpu"}, "device"),
        ({"initial": (1.0,)}, "one array for each"),
        ({"initial": (np.ones(2), np.ones(3))}, r"\(2,\), \(3,\)"),
        ({"initial": (np.nan, 1.0)}, "theta_hat must be finite"),
        ({"initial": (1.0, np.inf)}, "xi_hat must be finite"),
        ({"initial": xr.Dataset()}, "missing"),
        ({"initial": random_spectrum(1, p=5)}, "p = 5"),
    ],
)
def test_bad_values_are_named(options, match):
    arguments = {"system": FLOW, "initial": (1.0, 1.0), "times": [1e-3]} | options
    with pytest.raises(ValueError, match=match):
        simulate(**arguments)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"system": 23}, "System"),
        ({"times": ["a"]}, "times"),
        ({"times": [1j]}, "times"),
        ({"initial": np.ones((2, 2))}, "tuple of arrays"),
        ({"initial": (["a"], [1.0])}, "theta_hat must be complex"),
        ({"system": Season(0.0), "initial": (1j,)}, "y must be float"),
    ],
)
def test_bad_types_are_named(options, match):
    arguments = {"system": FLOW, "initial": (1.0, 1.0), "times": [1e-3]} | options
    with pytest.raises(TypeError, match=match):
        simulate(**arguments)


def test_a_trajectory_is_no_initial_state():
    path = simulate(FLOW, random_spectrum(1), [0.0, 1e-3])
    with pytest.raises(ValueError, match="isel"):
        simulate(FLOW, path, [1e-3])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: TicketFlow(8), ValueError),
        (lambda: TicketFlow(23.0), TypeError),
        (lambda: TicketFlow(23, decay=-1.0), ValueError),
        (lambda: EvenFlow(23, degree=0.5), ValueError),
        (lambda: EvenFlow(23, degree=2, kappa=-1.0), ValueError),
        (lambda: ReLUFlow(23, kappa=np.inf), ValueError),
    ],
)
def test_bad_systems_are_refused(make, error):
    with pytest.raises(error):
        make()
