"""The ensemble integrator against the closed form, an independent solver, and its own laws."""

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

from grokode.theory import exact, flow, fourier, solvers

P = 23
RNG = np.random.default_rng(0)


def random_spectrum(neurons=6, scale=1.0, p=P):
    theta, xi = scale * RNG.normal(size=(2, neurons, p))
    return fourier.spectrum(theta, xi)


def reference(A, B, times, p=P):
    """DOP853 near its tightest tolerance, one ticket."""

    def right_hand_side(_, y):
        dA, dB = flow.velocity(y[0], y[1], p)
        return np.array([dA, dB])

    done = solve_ivp(
        right_hand_side,
        (0, times[-1]),
        np.array([A, B], dtype=complex),
        method="DOP853",
        t_eval=times,
        rtol=1e-13,
        atol=1e-15,
    )
    return done.y


def test_agrees_with_an_independent_solver():
    s = random_spectrum(3)
    last = 0.8 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).min())
    times = np.linspace(0, last, 7)
    path = solvers.simulate(s, times, rtol=1e-10)
    for m in range(3):
        for k in range(1, 12):
            ticket = {"neuron": m, "frequency": k}
            A, B = reference(complex(s.theta_hat.sel(ticket)), complex(s.xi_hat.sel(ticket)), times)
            # A few hundred steps of 1e-10 each at most; dense output is of lower order.
            np.testing.assert_allclose(
                path.theta_hat.sel(ticket), A, rtol=0, atol=1e-7 * abs(A).max()
            )
            np.testing.assert_allclose(path.xi_hat.sel(ticket), B, rtol=0, atol=1e-7 * abs(A).max())


def test_invariants_hold_along_the_way():
    s = random_spectrum()
    last = 0.99 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).min())
    path = solvers.simulate(s, np.linspace(0, last, 20), rtol=1e-11)
    C1, C2 = flow.invariants(path.theta_hat, path.xi_hat)
    size = float(abs(path.theta_hat).max())
    # Near the blow-up C1 is a difference of squares a hundred times larger than itself.
    np.testing.assert_allclose(C1, np.broadcast_to(C1[0], C1.shape), atol=1e-7 * size**2)
    np.testing.assert_allclose(C2, np.broadcast_to(C2[0], C2.shape), atol=1e-7 * size**3)


def test_error_falls_with_the_tolerance():
    """At 5th order with error control per step, the global error is about proportional to rtol."""
    A, B = 1.0 + 0.4j, 0.3 - 0.8j
    wave = xr.Dataset(
        {
            "theta_hat": (("neuron", "frequency"), [[A, 0]]),
            "xi_hat": (("neuron", "frequency"), [[B, 0]]),
        },
        attrs={"p": 5},
    )
    time = 0.7 * float(exact.blowup_time(A, B, 5))
    truth = reference(A, B, np.array([0, time]), p=5)[1, -1]
    tolerances = np.array([1e-5, 1e-7, 1e-9, 1e-11])
    errors = [
        abs(complex(solvers.simulate(wave, [time], rtol=r).xi_hat[0, 0, 0]) - truth)
        for r in tolerances
    ]
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert 0.7 < slope < 1.3


def test_stop_and_restart_is_one_run():
    s = random_spectrum()
    last = 0.7 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).min())
    whole = solvers.simulate(s, [last], rtol=1e-11).isel(time=0)
    half = solvers.simulate(s, [last / 2], rtol=1e-11).isel(time=0, drop=True)
    again = solvers.simulate(half, [last / 2], rtol=1e-11).isel(time=0)
    np.testing.assert_allclose(
        again.xi_hat, whole.xi_hat, atol=1e-9 * float(abs(whole.xi_hat).max())
    )


def test_time_reversal():
    """(A, B, t) -> (A, -B, -t) is a symmetry, so running back from the end finds the start."""
    s = random_spectrum()
    last = 0.7 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).min())
    end = solvers.simulate(s, [last], rtol=1e-11).isel(time=0, drop=True)
    back = solvers.simulate(end.assign(xi_hat=-end.xi_hat), [last], rtol=1e-11).isel(time=0)
    np.testing.assert_allclose(back.theta_hat, s.theta_hat, atol=1e-8)
    np.testing.assert_allclose(-back.xi_hat, s.xi_hat, atol=1e-8)


def test_scaling():
    """Magnitudes times c and times over c: the flow is homogeneous of degree two."""
    s = random_spectrum()
    small = s.assign(theta_hat=1e-6 * s.theta_hat, xi_hat=1e-6 * s.xi_hat)
    last = 0.7 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).min())
    one = solvers.simulate(s, [last])
    two = solvers.simulate(small, [1e6 * last])
    np.testing.assert_allclose(1e6 * two.xi_hat, one.xi_hat, atol=1e-7)


def test_tickets_end_at_their_blowup_time():
    s = random_spectrum()
    T = exact.blowup_time(s.theta_hat, s.xi_hat, P)
    times = np.sort(np.concatenate([T.values.ravel() * 0.999, T.values.ravel() * 1.001]))
    path = solvers.simulate(s, times, check=False)
    assert (path.status == solvers.Status.BLEW_UP).all()
    alive = path.xi_hat.notnull()
    np.testing.assert_array_equal(alive, path.time < T)


def test_a_blow_up_raises_unless_asked_otherwise():
    s = random_spectrum()
    late = 2 * float(exact.blowup_time(s.theta_hat, s.xi_hat, P).max())
    with pytest.raises(RuntimeError, match="66 of 66 tickets blow up"):
        solvers.simulate(s, [late])


def test_too_many_steps_is_a_status():
    path = solvers.simulate(random_spectrum(1), [1e-3], max_steps=1, check=False)
    assert (path.status == solvers.Status.TOO_MANY_STEPS).any()


def test_leading_dimensions_are_kept():
    theta, xi = RNG.normal(size=(2, 2, 3, 5))
    path = solvers.simulate(fourier.spectrum(theta, xi), [0.0, 1e-3])
    assert path.theta_hat.dims == ("time", "batch_0", "neuron", "frequency")
    np.testing.assert_allclose(path.theta_hat[0], fourier.spectrum(theta, xi).theta_hat, atol=1e-15)


def test_a_resting_ticket_rests():
    s = random_spectrum(1).copy()
    s["theta_hat"] = 0 * s.theta_hat
    path = solvers.simulate(s, [1.0, 5.0])
    np.testing.assert_allclose(path.xi_hat.isel(time=1), s.xi_hat, rtol=1e-15)


@pytest.mark.parametrize(
    ("times", "rtol", "match"),
    [
        ([1.0, 0.5], 1e-8, "increasing"),
        ([-1.0], 1e-8, "not negative"),
        ([], 1e-8, "non-empty"),
        ([np.nan], 1e-8, "finite"),
        ([0.1], 0.0, "rtol"),
    ],
)
def test_bad_input_is_named(times, rtol, match):
    with pytest.raises(ValueError, match=match):
        solvers.simulate(random_spectrum(1), times, rtol=rtol)


def test_not_finite_spectra_are_refused():
    s = random_spectrum(1).copy(deep=True)
    s.theta_hat[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        solvers.simulate(s, [0.1])
