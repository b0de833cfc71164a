"""`grokode.theory.exact` against two 50-digit references that share none of its code."""

import mpmath as mp
import numpy as np
import pytest
import xarray as xr

from grokode.theory import exact
from tests.theory.elliptic_reference import ROOT_DIGITS, P, Reference, taylor

# The accuracy target; what is reached is a few thousand times better.
TARGET = 1e-9


@pytest.fixture(autouse=True)
def _precision():
    with mp.workdps(ROOT_DIGITS):
        yield


def random_tickets(n, seed, independent):
    """Phases uniform; magnitudes 1e-12 to 1e3, independent or within a factor of about 3."""
    rng = np.random.default_rng(seed)
    alpha, beta = 10.0 ** rng.uniform(-12, 3, (2, n))
    if not independent:
        beta = alpha * 10.0 ** rng.uniform(-0.5, 0.5, n)
    A, B = np.exp(2j * np.pi * rng.random((2, n)))
    return alpha * A, beta * B


def hard_tickets():
    """The corners of the issue: D near 0, pi/2 and pi; C1 of both signs and nearly 0; C2 = 0."""
    tickets = []
    for beta in (1e-6, 0.5, 0.5**0.5, 0.7072, 1.0, 1e6):
        for centre in (0.0, np.pi / 2, np.pi):
            for distance in (0.0, 1e-15, 1e-12, 1e-8, 1e-4):
                for scale, turn in ((1e-12, 0.0), (1e3, 1.1)):
                    phase = np.exp(1j * turn)
                    A = scale * min(1, 1 / beta) * phase
                    B = scale * min(1, beta) * phase**2 * np.exp(-1j * (centre + distance))
                    tickets.append((A, B))
    return np.array(tickets).T


def relative(value, reference):
    return float(abs(value - reference) / abs(reference))


def check(A, B, fractions):
    """Blow-up time, turning point and evolution to the given fractions of the blow-up time."""
    T = exact.blowup_time(A, B, P)
    times = fractions * T
    A_out, B_out = exact.evolve(A, B, P, times)
    beta = exact.output_magnitude(A, B, P, times)
    turn = exact.turning_point(A, B, P)
    worst = 0.0
    for i, (a, b) in enumerate(zip(A, B, strict=True)):
        reference = Reference(a, b)
        a_ref, b_ref = reference.evolve(times[i])
        pairs = [
            (T[i], reference.blowup),
            (A_out[i], a_ref),
            (B_out[i], b_ref),
            (beta[i], abs(b_ref)),
        ]
        assert np.isnan(turn.time[i]) == (reference.C3 >= 0)
        if reference.C3 < 0:
            pairs += [
                (turn.time[i], (reference.u - reference.omega) / (2 * P * reference.size)),
                (turn.beta[i], reference.size * mp.sqrt(reference.e)),
                (turn.alpha[i], reference.size * mp.sqrt(reference.C1 + 2 * reference.e)),
            ]
        worst = max(worst, *(relative(*pair) for pair in pairs if pair[1] != 0))
    assert worst < TARGET


@pytest.mark.parametrize("independent", [False, True])
def test_random_tickets_against_the_elliptic_reference(independent):
    A, B = random_tickets(200, seed=2, independent=independent)
    check(A, B, np.random.default_rng(3).uniform(0, 0.999, A.size))


def test_hard_tickets_against_the_elliptic_reference():
    A, B = hard_tickets()
    finite = np.isfinite(exact.blowup_time(A, B, P))
    # Only tickets that run into a fixed point may be left out.
    assert all(Reference(a, b).C2 == 0 for a, b in zip(A[~finite], B[~finite], strict=True))
    A, B = A[finite], B[finite]
    check(A, B, np.random.default_rng(4).uniform(0.01, 0.99, A.size))


def taylor_tickets():
    return [
        (1 + 0.5j, 0.3 - 0.4j),
        (0.2 + 0.1j, -0.9 + 0.3j),
        (-0.7j, 0.4 - 0.8j),
        (1.0, -0.5 + 1e-8j),
        (1.0, -1.0 + 1e-8j),
        (0.3, 1e-8 + 1j),
        (1.0, 0.0),
    ]


@pytest.mark.parametrize(("A", "B"), taylor_tickets())
def test_the_references_agree_with_each_other(A, B):
    reference = Reference(A, B)
    for fraction in (0.3, 0.8):
        time = fraction * float(reference.blowup)
        a, b = taylor(A, B, time)
        if B != 0:
            a_ref, b_ref = reference.evolve(time)
            # 1e-35: both work at 50 digits and lose at most ten of them to small denominators.
            assert relative(a_ref, a) < 1e-35
            assert relative(b_ref, b) < 1e-35
        a_out, b_out = exact.evolve(A, B, P, time)
        assert relative(a_out, a) < TARGET
        assert relative(b_out, b) < TARGET


def test_time_zero_is_the_start():
    A, B = random_tickets(20, seed=5, independent=True)
    A_out, B_out = exact.evolve(A, B, P, 0.0)
    assert (A_out == A).all()
    assert (B_out == B).all()


def test_stop_and_restart_equals_one_run():
    A, B = random_tickets(500, seed=6, independent=False)
    T = exact.blowup_time(A, B, P)
    middle = exact.evolve(A, B, P, 0.4 * T)
    # Rounding of the stop grows by the distance to the blow-up, 1/(1 - 0.8), and by the instability
    # of a near-saddle passage, a few hundred here.
    np.testing.assert_allclose(exact.blowup_time(*middle, P), 0.6 * T, rtol=1e-12)
    for once, twice in zip(
        exact.evolve(A, B, P, 0.8 * T), exact.evolve(*middle, P, 0.4 * T), strict=True
    ):
        np.testing.assert_allclose(twice, once, rtol=1e-11)


def test_symmetries_of_the_flow():
    A, B = random_tickets(200, seed=7, independent=False)
    T = exact.blowup_time(A, B, P)
    A_out, B_out = exact.evolve(A, B, P, 0.7 * T)
    cases = {
        "rotation of x by one unit": (np.exp(1j), np.exp(2j), 1.0),
        "magnitude and time": (8.0, 8.0, 8.0),
    }
    for turn_A, turn_B, faster in cases.values():
        A_other, B_other = exact.evolve(turn_A * A, turn_B * B, P, 0.7 * T / faster)
        # Rotating the input rounds it; a near-saddle passage amplifies that as above.
        np.testing.assert_allclose(A_other, turn_A * A_out, rtol=1e-11)
        np.testing.assert_allclose(B_other, turn_B * B_out, rtol=1e-11)
    mirrored = exact.evolve(A.conj(), B.conj(), P, 0.7 * T)
    np.testing.assert_allclose(mirrored, np.conj((A_out, B_out)), rtol=1e-14)  # same operations
    # p is a unit of time.
    np.testing.assert_allclose(exact.blowup_time(A, B, 2 * P + 1), T * P / (2 * P + 1), rtol=1e-14)


def test_turning_point_is_the_middle_of_a_mirror():
    A, B = random_tickets(500, seed=8, independent=False)
    turn = exact.turning_point(A, B, P)
    falls = ~np.isnan(turn.time)
    assert 150 < falls.sum() < 350
    A, B, time = A[falls], B[falls], turn.time[falls]
    A_turn, B_turn = exact.evolve(A, B, P, time)
    # At the turn both magnitudes are stationary: the rounding of its time enters squared.
    np.testing.assert_allclose(np.abs(A_turn), turn.alpha[falls], rtol=1e-13)
    np.testing.assert_allclose(np.abs(B_turn), turn.beta[falls], rtol=1e-13)
    C3 = (A_turn**2 * B_turn.conj()).real
    # ... and cos D passes zero at a finite rate, |dD/dt| time of it below 1e3 here.
    assert np.max(np.abs(C3) / (np.abs(A_turn) ** 2 * np.abs(B_turn))) < 1e-12
    A_back, B_back = exact.evolve(A, B, P, 2 * time)
    np.testing.assert_allclose(np.abs(A_back), np.abs(A), rtol=1e-12)
    np.testing.assert_allclose(np.abs(B_back), np.abs(B), rtol=1e-12)


def test_starts_that_never_blow_up():
    T = exact.blowup_time([0, 0, 1.0, 2.0], [0, 1j, -1.0, 2.0 * -(0.5**0.5)], P)
    # The last has C2 = 0, D = pi and C1 = 4 - 8 (0.5**0.5)**2 in exact arithmetic: negative.
    assert np.isinf(T).all()
    # A fixed point stays; the others run into one along the separatrix.
    assert exact.evolve(0.0, 1j, P, 1e6) == (0, 1j)
    A, B = exact.evolve(1.0, -1.0, P, 5.0)
    # alpha decays as exp(-2 p sqrt(1/2) t): below 1e-60 at t = 5.
    assert abs(A) < 1e-60
    np.testing.assert_allclose(B, -(0.5**0.5), rtol=1e-14)
    turn = exact.turning_point(1.0, -1.0, P)
    assert (turn.alpha, turn.time) == (0.0, np.inf)
    np.testing.assert_allclose(turn.beta, 0.5**0.5, rtol=1e-15)


def test_zero_components():
    # beta0 = 0: by symmetry in time v = beta^2 vanishes at t = 0, beta = (alpha0/sqrt 2) tan(..),
    # and it diverges at a quarter period, T = pi / (2 sqrt 2 p alpha0).
    np.testing.assert_allclose(
        exact.blowup_time(2j, 0.0, P), np.pi / (2 * 2**0.5 * P * 2), rtol=1e-15
    )
    A, B = exact.evolve(2j, 0.0, P, 0.01)
    s = 2**0.5 * P * 2 * 0.01
    np.testing.assert_allclose([A, B], [2j / np.cos(s), -(2**0.5) * np.tan(s)], rtol=1e-14)


def test_invariant_exactly_zero():
    """C1 = 0 to the last bit at any misalignment: the cubic's root has only one bound to start at.

    |3 + 4i|^2 = 2 |3.5 + 0.5i|^2 = 25. At D = +-pi/2, beta = alpha/sqrt 2, dv/dt = 4 p sqrt(v^3 -
    v0^3) and T is a Beta function.
    """
    A = np.array([3 + 4j, 3 + 4j, 5, 5, 5j, 4 - 3j, 1 + 1j, 1 + 1j])
    B = np.array([3.5 + 0.5j, -3.5 - 0.5j, 3.5 - 0.5j, -0.5 + 3.5j, -3.5 + 0.5j, 0.5 - 3.5j, 1, -1])
    scale = np.array([[2.0**-30], [1.0], [2.0**9]])
    A, B = (scale * A).ravel(), (scale * B).ravel()
    assert (abs(A.real) ** 2 + A.imag**2 == 2 * (B.real**2 + B.imag**2)).all()
    check(A, B, 0.8)
    integral = mp.beta(mp.mpf(1) / 6, mp.mpf(1) / 2) / 3
    for sign in (1, -1):
        assert relative(exact.blowup_time(1 + 1j, sign, P), integral / (4 * P)) < 1e-14


def test_crossing_zero_turns_psi_by_pi():
    # C2 = 0, C1 > 0, D = pi: A and B stay real, dB/dt = p (C1 + 2 B^2) takes B through zero.
    A, B, C1 = 1.0, -0.5, 0.5
    rate, start = P * (2 * C1) ** 0.5, np.arctan(B * (2 / C1) ** 0.5)
    T = (np.pi / 2 - start) / rate
    np.testing.assert_allclose(exact.blowup_time(A, B, P), T, rtol=1e-15)
    angle = start + rate * T * np.array([0.1, 0.3, 0.5, 0.9])
    A_out, B_out = exact.evolve(A, B, P, (angle - start) / rate)
    # The closed form's own tangent loses ten times the rounding near T.
    np.testing.assert_allclose(A_out, C1**0.5 / np.cos(angle), rtol=1e-13)
    np.testing.assert_allclose(B_out, (C1 / 2) ** 0.5 * np.tan(angle), rtol=1e-13)
    assert B_out[0].real < 0 < B_out[-1].real


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-150, 1e150, 1e160, 1e300])
def test_no_overflow_at_extreme_scales(scale):
    """The flow is homogeneous: tickets s times as large do the same in 1/s of the time."""
    A, B = np.array([1.0, 1 + 1j]), np.array([1j, -0.2 - 0.7j])
    T = exact.blowup_time(A, B, P)
    np.testing.assert_allclose(exact.blowup_time(scale * A, scale * B, P) * scale, T, rtol=1e-14)
    moved, after = (
        exact.evolve(A, B, P, T / 2),
        exact.evolve(scale * A, scale * B, P, T / 2 / scale),
    )
    for one, two in zip(moved, after, strict=True):
        np.testing.assert_allclose(two / scale, one, rtol=1e-13)
    turn, scaled = (exact.turning_point(s * A, s * B, P) for s in (1.0, scale))
    np.testing.assert_allclose(np.array(scaled[:2]) / scale, turn[:2], rtol=1e-14)
    np.testing.assert_allclose(scaled.time * scale, turn.time, rtol=1e-14)


@pytest.mark.parametrize("ratio", [1e-81, 1e-160, 1e-200, 1e-300])
@pytest.mark.parametrize("A", [1.0, -0.3 + 0.8j, 1e-9 + 1j, 1e-3 - 1j])
@pytest.mark.parametrize("B", [1.0, 1e-5, 1e5])
def test_magnitudes_of_any_ratio(A, B, ratio):
    """An aligned ticket has B = c coth(2 p c (T - t)) with c^2 = -C1/2, so for alpha << beta

    T = ln(8^(1/2) beta / A+) / (2 p beta), where A+ is the part of A that grows, here Re A.
    """
    way = np.log(8**0.5) - np.log(abs(np.real(A))) - np.log(ratio)
    T = exact.blowup_time(A * ratio * B, B, P)
    np.testing.assert_allclose(T, way / (2 * P * B), rtol=1e-12)


@pytest.mark.parametrize("ratio", [1e-75, 1e-85])
@pytest.mark.parametrize(("A", "B"), [(-0.3 + 0.8j, 1.0), (1e-9 + 1j, 1.0), (1e-3 - 1j, 1e5)])
def test_ratios_on_both_sides_of_the_linear_start(A, B, ratio):
    """Against mpmath's R_F with enough digits for the ratio squared; D is also close to pi."""
    A = A * ratio * B
    with mp.workdps(700):
        a, beta = mp.mpc(A), mp.mpf(B)
        C1, C2, C3 = abs(a) ** 2 - 2 * beta**2, mp.im(a * a) * beta, mp.re(a * a) * beta
        # v (C1 + 2 v)^2 = C2^2 has its roots near 0 and near -C1/2, those two C2 apart.
        e = (C2 / C1) ** 2
        for _ in range(8):
            f, slope = e * (C1 + 2 * e) ** 2 - C2**2, (C1 + 2 * e) * (C1 + 6 * e)
            e -= f / slope
        half = mp.sqrt(-((C1 + e) ** 2) / 4 + C2**2 / (4 * e) + 0j)
        roots = [-(C1 + e) / 2 + mp.j * half, -(C1 + e) / 2 - mp.j * half, e]
        top = max(mp.re(r) for r in roots)
        gaps = [beta**2 - r for r in roots]
        T = mp.re(mp.elliprf(*gaps))
        if C3 < 0:
            omega = mp.re(mp.elliprf(*(top - r for r in roots)))
            T = 2 * omega - T
        T /= 2 * P
    np.testing.assert_allclose(exact.blowup_time(A, B, P), float(T), rtol=1e-12)


def test_a_faint_ticket_moves_linearly_and_then_blows_up():
    """Where alpha^2 is beyond floats: A+ grows as e^(2 p beta t), A- shrinks, B stands still."""
    A, B, rate = 1e-200 * (0.3 - 0.4j), 0.5, 2 * P * 0.5
    t = 20 / rate
    moved, still = exact.evolve(A, B, P, t)
    np.testing.assert_allclose(moved, 1e-200 * (0.3 * np.exp(20) - 0.4j * np.exp(-20)), rtol=1e-13)
    assert still == exact.output_magnitude(A, B, P, t) == B
    turn = exact.turning_point(A, B, P)
    np.testing.assert_allclose(turn.time, np.log(0.4 / 0.3) / (2 * rate), rtol=1e-13)
    np.testing.assert_allclose([turn.alpha, turn.beta], [1e-200 * 0.24**0.5, B])
    # From late on the way it is an ordinary ticket with the rest of the time.
    T = exact.blowup_time(A, B, P)
    late = exact.evolve(A, B, P, 0.9 * T)
    np.testing.assert_allclose(exact.blowup_time(*late, P), 0.1 * T, rtol=1e-11)
    np.testing.assert_allclose(exact.output_magnitude(A, B, P, 0.9 * T), abs(late[1]), rtol=1e-14)
    assert exact.blowup_time(-1e-200j, 1.0, P) == np.inf
    assert exact.blowup_time(1e-200, 1.0, P) < np.inf


def test_at_rest_long_since():
    # u = 2 p t overflows.
    A, B = exact.evolve(1.0, -1.0, P, 1e308)
    assert A == 0
    np.testing.assert_allclose(B, -(0.5**0.5), rtol=1e-14)


def test_dataarrays_keep_their_names():
    rng = np.random.default_rng(9)
    A = xr.DataArray(
        rng.normal(size=(2, 3)) + 1j, dims=["neuron", "frequency"], coords={"frequency": [1, 2, 3]}
    )
    B = xr.DataArray(rng.normal(size=3) + 0.5j, dims=["frequency"], coords={"frequency": [1, 2, 3]})
    T = exact.blowup_time(A, B, 7)
    assert T.name == "blowup_time"
    assert T.dims == ("neuron", "frequency")
    np.testing.assert_array_equal(T, exact.blowup_time(A.values, B.values, 7))
    times = [0.0, 0.5 * float(T.min())]
    A_out, B_out = exact.evolve(A, B, 7, times)
    assert A_out.dims == B_out.dims == ("neuron", "frequency", "time")
    assert A_out.time.values.tolist() == times
    np.testing.assert_array_equal(A_out.isel(time=0), A)


def test_input_dtypes_are_converted():
    expected = exact.blowup_time(1.0 + 0j, 2.0 + 0j, P)
    assert exact.blowup_time(1, 2, P) == expected
    assert exact.blowup_time(np.complex64(1), np.float32(2), P) == expected
    assert exact.blowup_time([], [], P).shape == (0,)


def test_past_the_blowup():
    T = exact.blowup_time(1.0, 1.0, P)
    with pytest.raises(ValueError, match="blow up by t"):
        exact.evolve(1.0, 1.0, P, [0.5 * T, T])
    A, B = exact.evolve(1.0, 1.0, P, [0.5 * T, T, 2 * T], past_blowup="nan")
    assert np.isnan(A).tolist() == np.isnan(B).tolist() == [False, True, True]
    assert np.isinf(exact.output_magnitude(1.0, 1.0, P, [0.5 * T, T])).tolist() == [False, True]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: exact.blowup_time(1.0, 1.0, 4), ValueError, "p must be odd"),
        (lambda: exact.blowup_time(1.0, 1.0, 5.0), TypeError, "p must be"),
        (lambda: exact.blowup_time(np.nan, 1.0, 5), ValueError, "theta_hat must be finite"),
        (lambda: exact.turning_point(1.0, [np.inf], 5), ValueError, "xi_hat must be finite"),
        (lambda: exact.blowup_time("one", 1.0, 5), TypeError, "theta_hat must be complex"),
        (lambda: exact.blowup_time(np.ones(2), np.ones(3), 5), ValueError, "must broadcast"),
        (lambda: exact.evolve(1.0, 1.0, 5, -1.0), ValueError, "time must be non-negative"),
        (lambda: exact.evolve(1.0, 1.0, 5, np.nan), ValueError, "time must be non-negative"),
        (lambda: exact.evolve(1.0, 1.0, 5, 1j), TypeError, "time must be real"),
        (lambda: exact.evolve(1.0, 1.0, 5, 0, past_blowup="no"), ValueError, "past_blowup"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
