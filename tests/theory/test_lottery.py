import numpy as np
import pytest

from grokode.theory import exact, lottery

P = 23
MAGNITUDES = np.geomspace(1e-3, 1e-1, 12)
# Odd, so that 0, pi and 2 pi are on the grid.
MISALIGNMENTS = np.linspace(0, 2 * np.pi, 41)


@pytest.fixture(scope="module")
def contour():
    return lottery.contour(P, MAGNITUDES, MISALIGNMENTS)


def test_contour_follows_the_flow_step_by_step(contour):
    # Independent of the closed form: RK4 on dA/dt = 2 p conj(A) B, dB/dt = p A^2.
    D = contour.misalignment.values
    A = np.outer(MAGNITUDES, np.ones_like(D)).astype(complex)
    B = MAGNITUDES[:, None] * np.exp(-1j * D)
    steps = 4000
    h = contour.attrs["saturation_time"] / steps

    def velocity(A, B):
        return 2 * P * A.conj() * B, P * A**2

    for _ in range(steps):
        a1, b1 = velocity(A, B)
        a2, b2 = velocity(A + h / 2 * a1, B + h / 2 * b1)
        a3, b3 = velocity(A + h / 2 * a2, B + h / 2 * b2)
        a4, b4 = velocity(A + h * a3, B + h * b3)
        A = A + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        B = B + h / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
    # Fourth order: (1/4000)^4 = 4e-15 times (rate of the fastest ticket)^5, measured 1e-9.
    np.testing.assert_allclose(contour.final_magnitude, np.abs(B), rtol=1e-8)


def test_contour_is_symmetric_about_misalignment_pi(contour):
    mirrored = contour.isel(misalignment=slice(None, None, -1))
    # 2 pi - D is exact to 4e-16; the time next to D = pi depends on it through log |pi - D| only,
    # and D = pi itself is its own mirror image.
    np.testing.assert_allclose(contour.blowup_time, mirrored.blowup_time.values, rtol=1e-12)
    np.testing.assert_allclose(contour.final_magnitude, mirrored.final_magnitude.values, rtol=1e-12)


def test_large_magnitude_and_small_misalignment_win(contour):
    # Figure 11: on each axis the final magnitude is monotone, the blow-up time opposite to it.
    half = contour.isel(misalignment=slice(0, 21))
    assert (half.blowup_time.diff("misalignment") > 0).all()
    assert (half.final_magnitude.diff("misalignment") < 0).all()
    assert (half.blowup_time.diff("magnitude") < 0).all()
    aligned = half.isel(misalignment=0).final_magnitude
    assert (aligned.diff("magnitude") > 0).all()
    best = contour.final_magnitude.argmax(...)
    assert contour.magnitude[best["magnitude"]] == MAGNITUDES[-1]
    assert contour.misalignment[best["misalignment"]] in (0.0, 2 * np.pi)


def test_saturation_is_where_the_fastest_ticket_has_grown_as_asked(contour):
    np.testing.assert_allclose(contour.final_magnitude.max(), 10 * MAGNITUDES[-1], rtol=1e-12)
    later = lottery.contour(P, MAGNITUDES, MISALIGNMENTS, saturation=100.0)
    np.testing.assert_allclose(later.final_magnitude.max(), 100 * MAGNITUDES[-1], rtol=1e-12)
    assert later.attrs["saturation_time"] > contour.attrs["saturation_time"]


def test_contour_at_a_time_of_ones_own():
    own = lottery.contour(P, [0.01, 0.1], [0.0], ratio=2.0, time=0.0)
    np.testing.assert_allclose(own.final_magnitude[:, 0], [0.02, 0.2], rtol=1e-15)
    late = lottery.contour(P, [0.01, 0.1], [0.0], time=1.5 * float(own.blowup_time[1, 0]))
    assert np.isinf(late.final_magnitude[:, 0]).values.tolist() == [False, True]


@pytest.mark.parametrize("initialisation", ["gaussian", "equal"])
def test_dominance_time_is_where_the_winner_leads_by_the_factor(initialisation):
    factor = 5.0
    d = lottery.dominance_times(P, 0.1, 40, seed=1, factor=factor, initialisation=initialisation)
    A, B = lottery._random_tickets(P, 40, 1, initialisation)
    A, B = 0.1 * A, 0.1 * B
    T = exact.blowup_time(A, B, P)
    rows = np.arange(40)
    np.testing.assert_array_equal(d.winner, T.argmin(axis=1) + 1)

    def lead(time):
        beta = exact.output_magnitude(A, B, P, time[:, None])
        winner = beta[rows, d.winner.values - 1].copy()
        beta[rows, d.winner.values - 1] = 0
        return winner / beta.max(axis=1)

    time = d.dominance_time.values
    assert (time > 0).all()
    # Bisection of the time left to its 2^-30.
    np.testing.assert_allclose(lead(time), factor, rtol=1e-6)
    for fraction in (0.01, 0.1, 0.5, 0.9):
        assert (lead(time + fraction * (T.min(axis=1) - time)) > factor).all()


def test_dominance_times_scale_exactly_with_kappa():
    small = lottery.dominance_times(P, 1e-3, 30, seed=2)
    large = lottery.dominance_times(P, 1e-1, 30, seed=2)
    # The flow's scale symmetry; bisection to 2^-30 of the time left.
    np.testing.assert_allclose(small.dominance_time, 100 * large.dominance_time, rtol=1e-8)
    np.testing.assert_array_equal(small.winner, large.winner)


def test_equal_starts_dominate_as_one_over_p_kappa():
    s = lottery.dominance_scaling([11, 23, 47, 97], [0.01, 0.1], 100, 0, initialisation="equal")
    # With K tickets the least |D| is about pi / K, so the winner's T tends to that of D = 0 and
    # p kappa T to a constant with corrections of order K^-2: 0.02 at K = 5. So the published
    # log p / (p kappa) bounds it, but its logarithm is not there.
    assert abs(s.exponent_p + 1) < 0.02
    assert abs(s.exponent_kappa + 1) < 1e-8
    assert (s.ratio.diff("p") < 0).all()


def test_gaussian_starts_are_slower_than_the_published_law():
    s = lottery.dominance_scaling([11, 23, 47, 97, 199], [0.01, 0.1], 100, 0)
    # N(0, kappa^2) weights give waves of size 2 kappa / sqrt p, hence times of order
    # 1 / (kappa sqrt(p log p)): decaying more slowly than log p / (p kappa).
    assert s.exponent_p - s.exponent_p_published > 0.05
    assert s.ratio.isel(kappa=0)[-1] > 1.2 * s.ratio.isel(kappa=0)[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lottery.contour(22, [0.1], [0.0]), "p must be odd"),
        (lambda: lottery.contour(P, [-0.1], [0.0]), "magnitudes must be positive"),
        (lambda: lottery.contour(P, [np.nan], [0.0]), "magnitudes must be finite"),
        (lambda: lottery.contour(P, [[0.1]], [0.0]), "magnitudes must be a 1-d"),
        (lambda: lottery.contour(P, [0.1], [np.inf]), "misalignments must be finite"),
        (lambda: lottery.contour(P, [0.1], []), "misalignments must be a 1-d"),
        (lambda: lottery.contour(P, [0.1], [0.0], ratio=0.0), "ratio must be positive"),
        (lambda: lottery.contour(P, [0.1], [0.0], saturation=1.0), "saturation must be above"),
        (lambda: lottery.contour(P, [0.1], [0.0], time=-1.0), "time must be non-negative"),
        (lambda: lottery.dominance_times(3, 0.1, 5, 0), "p must be at least 5"),
        (lambda: lottery.dominance_times(P, -0.1, 5, 0), "kappa must be positive"),
        (lambda: lottery.dominance_times(P, 0.1, 0, 0), "neurons must be"),
        (lambda: lottery.dominance_times(P, 0.1, 5, 0, factor=1.0), "factor must be above"),
        (
            lambda: lottery.dominance_times(P, 0.1, 5, 0, initialisation="uniform"),
            "initialisation must be",
        ),
        (lambda: lottery.dominance_times(P, 0.1, 5, -1), "seed must be an integer of at least 0"),
        (lambda: lottery.dominance_scaling([5, 7], [0.1, 1], 5, 0), "at least 3 moduli"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lottery.contour(P, ["a"], [0.0]), "magnitudes must be real numbers"),
        (lambda: lottery.contour(P, [0.1j], [0.0]), "magnitudes must be real numbers"),
        (lambda: lottery.contour(P, [0.1], [0.0], ratio="1"), "ratio must be a real number"),
        (lambda: lottery.dominance_times(P, 0.1, 2.5, 0), "neurons must be an integer"),
        (lambda: lottery.dominance_times(P, 0.1, 5, None), "seed must be an integer"),
    ],
)
def test_bad_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()
