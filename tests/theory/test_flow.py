"""The four-variable flow against its own energy, its invariants and the network's gradient."""

import numpy as np
import pytest
import torch

from grokode.theory import flow, fourier

RNG = np.random.default_rng(0)
A = RNG.normal(size=50) + 1j * RNG.normal(size=50)
B = RNG.normal(size=50) + 1j * RNG.normal(size=50)
P = 23


def test_polar_and_complex_forms_agree():
    dA, dB = flow.velocity(A, B, P)
    D = np.angle(A**2 * np.conj(B))
    dalpha, dbeta, dD, dphi, dpsi = flow.velocity_polar(np.abs(A), np.abs(B), D, P)
    # d(alpha e^{i phi}) = (d alpha + i alpha d phi) e^{i phi}; only rounding separates the two.
    np.testing.assert_allclose(dA, (dalpha + 1j * np.abs(A) * dphi) * A / np.abs(A), rtol=1e-12)
    np.testing.assert_allclose(dB, (dbeta + 1j * np.abs(B) * dpsi) * B / np.abs(B), rtol=1e-12)
    np.testing.assert_allclose(dD, 2 * dphi - dpsi, rtol=1e-9, atol=1e-9)


def test_invariants_are_stationary():
    """d C1 = 2 Re(conj(A) dA) - 4 Re(conj(B) dB) and d C2 vanish identically."""
    dA, dB = flow.velocity(A, B, P)
    dC1 = 2 * (np.conj(A) * dA).real - 4 * (np.conj(B) * dB).real
    dC2 = (2 * A * dA * np.conj(B) + A**2 * np.conj(dB)).imag
    size = P * np.abs(A) ** 2 * (np.abs(A) ** 2 + np.abs(B) ** 2 + 1)
    assert (np.abs(dC1) < 1e-13 * size).all()
    assert (np.abs(dC2) < 1e-13 * size).all()


def test_misprinted_misalignment_rate_fails():
    """The published -p (4 beta^2 - alpha^2/beta) sin D is not the derivative of D."""
    D = np.angle(A**2 * np.conj(B))
    alpha, beta = np.abs(A), np.abs(B)
    *_, dphi, dpsi = flow.velocity_polar(alpha, beta, D, P)
    printed = -P * (4 * beta**2 - alpha**2 / beta) * np.sin(D)
    assert np.median(np.abs(printed - (2 * dphi - dpsi)) / np.abs(printed)) > 0.1


@pytest.mark.parametrize("p", [3, 7, 15])
def test_velocity_is_the_gradient_flow_of_the_network_with_uniform_softmax(p):
    """Autograd of the summed loss with softmax 1/p, in weights, against the flow in waves."""
    weights = RNG.normal(size=(2, 4, p))
    theta, xi = (torch.tensor(w - w.mean(-1, keepdims=True), requires_grad=True) for w in weights)
    logits = torch.einsum("mj,mxy->xyj", xi, (theta[:, :, None] + theta[:, None, :]) ** 2)
    x = torch.arange(p)
    answer = logits[x[:, None], x[None, :], (x[:, None] + x) % p]
    (logits.mean(-1) - answer).sum().backward()
    s = fourier.spectrum(theta.detach().numpy(), xi.detach().numpy())
    dA, dB = flow.velocity(s.theta_hat, s.xi_hat, p)
    _, observed_dA = fourier.to_waves(-theta.grad.numpy())
    _, observed_dB = fourier.to_waves(-xi.grad.numpy())
    np.testing.assert_allclose(observed_dA, dA, atol=1e-11)
    np.testing.assert_allclose(observed_dB, dB, atol=1e-11)


def test_energy_is_the_first_order_loss():
    """sum_{x,y} xi[x+y] (theta[x]+theta[y])^2 with xi centred, by brute force."""
    theta, xi = RNG.normal(size=(2, 3, 11))
    theta -= theta.mean(-1, keepdims=True)
    xi -= xi.mean(-1, keepdims=True)
    x = np.arange(11)
    direct = (xi[:, (x[:, None] + x) % 11] * (theta[:, :, None] + theta[:, None, :]) ** 2).sum(
        (1, 2)
    )
    s = fourier.spectrum(theta, xi)
    np.testing.assert_allclose(flow.energy(s.theta_hat, s.xi_hat, 11).sum(-1), direct, rtol=1e-11)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: flow.velocity(A, B, 4), "p must be odd"),
        (lambda: flow.energy(A, B, 1), "p must be odd"),
        (lambda: flow.velocity_polar(-1.0, 1.0, 0.0, 5), "alpha must be positive, got -1"),
        (lambda: flow.velocity_polar(1.0, 0.0, 0.0, 5), "beta must be positive, got 0.*velocity"),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
