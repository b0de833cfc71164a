"""The systems beside the four-variable flow: polar coordinates, invariants, one of one's own."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from grokode.theory import fourier
from grokode.theory.solvers import simulate
from grokode.theory.systems import EvenFlow, ReLUFlow, TicketFlow
from tests.theory.made import first_blowup, random_spectrum

P = 23
FLOW = TicketFlow(P)
ADAPTIVE = ("tsit5", "dopri853")


@pytest.mark.parametrize("decay", [0.0, 0.7])
@pytest.mark.parametrize(
    "make",
    [
        lambda decay: TicketFlow(7, decay=decay),
        lambda decay: EvenFlow(7, degree=4.0, decay=decay),
        lambda decay: EvenFlow(7, degree=1.5, decay=decay),
        lambda decay: ReLUFlow(7, decay=decay),
    ],
    ids=["ticket", "quartic", "degree 1.5", "relu"],
)
def test_systems_agree_with_polar_coordinates(make, decay):
    """The polar equations of the energy kappa p^2 alpha^q beta cos D, integrated by SciPy."""
    system = make(decay)
    q, kappa = {"TicketFlow": (2, 0.5), "ReLUFlow": (1, 4 / (3 * math.pi**2))}.get(
        type(system).__name__
    ) or (system.degree, system.kappa)
    rate = 2 * kappa * system.p

    def polar(_, state):
        a, b, phi, psi = state
        D = 2 * phi - psi
        return [
            rate * q * a ** (q - 1) * b * np.cos(D) - decay * a,
            rate * a**q * np.cos(D) - decay * b,
            -2 * rate * a ** (q - 2) * b * np.sin(D),
            rate * a**q / b * np.sin(D),
        ]

    times = np.linspace(0, 0.05, 4)
    done = solve_ivp(
        polar, (0, 0.05), [0.6, 0.4, 0.3, -1.1], "DOP853", times, rtol=1e-12, atol=1e-14
    )
    a, b, phi, psi = done.y
    path = simulate(system, (0.6 * np.exp(0.3j), 0.4 * np.exp(-1.1j)), times, rtol=1e-11)
    # Tens of steps of 1e-11 and a dense output of one order less.
    np.testing.assert_allclose(path.theta_hat, a * np.exp(1j * phi), atol=1e-8)
    np.testing.assert_allclose(path.xi_hat, b * np.exp(1j * psi), atol=1e-8)


@pytest.mark.parametrize("q", [2.0, 1.5, 4.0])
def test_invariants_of_a_general_degree(q):
    path = simulate(
        EvenFlow(7, degree=q), (0.6 + 0.1j, 0.2 - 0.3j), np.linspace(0, 0.03, 9), rtol=1e-12
    )
    a, b = fourier.alpha(path), fourier.beta(path)
    C1 = a**2 - q * b**2
    C2 = a ** (4 / q) * b * np.sin(fourier.misalignment(path))
    np.testing.assert_allclose(C1, float(C1[0]), atol=1e-9)
    np.testing.assert_allclose(C2, float(C2[0]), atol=1e-9)


def test_even_flow_of_degree_2_is_the_ticket_flow():
    s = random_spectrum(3)
    times = [0.5 * first_blowup(s)]
    one = simulate(FLOW, s, times, rtol=1e-11)
    two = simulate(EvenFlow(P, degree=2), s, times, rtol=1e-11)
    np.testing.assert_allclose(one.xi_hat, two.xi_hat, atol=1e-9)


def test_relu_flow_is_the_even_flow_of_degree_1():
    s = random_spectrum(3)
    one = simulate(ReLUFlow(P), s, [0.1], rtol=1e-11)
    # |z|/2 acts: half the energy of |z|.
    two = simulate(EvenFlow(P, degree=1, kappa=ReLUFlow(P).kappa), s, [0.1], rtol=1e-11)
    np.testing.assert_allclose(one.theta_hat, two.theta_hat, atol=1e-9)
    assert EvenFlow(P, degree=1).kappa == pytest.approx(2 * ReLUFlow(P).kappa, rel=1e-14)


@pytest.mark.parametrize(("degree", "p"), [(2, 7), (4, 11), (6, 17)])
def test_kappa_is_the_energy_of_a_neuron(degree, p):
    """E = sum over x, y of xi[x+y] (theta[x] + theta[y])^q, by brute force."""
    x = np.arange(p)
    w = 2 * np.pi / p
    theta, xi = 0.7 * np.cos(w * x + 0.3), 0.9 * np.cos(w * x - 0.4)
    total = np.sum(xi[(x[:, None] + x) % p] * (theta[:, None] + theta) ** degree)
    kappa = EvenFlow(p, degree=degree).kappa
    assert total == pytest.approx(kappa * p**2 * 0.7**degree * 0.9 * np.cos(1.0), rel=1e-12)


def test_decay_alone_is_exponential():
    path = simulate(TicketFlow(5, decay=2.0), (0.0, 1.0 + 1.0j), [0.5, 1.0], rtol=1e-11)
    np.testing.assert_allclose(path.xi_hat, (1 + 1j) * np.exp([-1.0, -2.0]), rtol=1e-9)
