"""Proposition 1 against the network that satisfies its assumptions, evaluated pair by pair."""

import numpy as np
import pytest

from grokode.theory import fourier, mechanism


def ideal_network(p, neurons_per_frequency, alpha, beta):
    """Every frequency held by evenly spread phases, aligned: the premise of Proposition 1."""
    phi = 2 * np.pi * np.arange(neurons_per_frequency) / neurons_per_frequency
    K = (p - 1) // 2
    theta_hat = np.zeros((K * neurons_per_frequency, K), complex)
    for k in range(K):
        rows = slice(k * neurons_per_frequency, (k + 1) * neurons_per_frequency)
        theta_hat[rows, k] = np.exp(1j * phi)
    zero = np.zeros(len(theta_hat))
    theta = fourier.from_waves(zero, alpha * theta_hat)
    xi = fourier.from_waves(zero, beta * theta_hat**2)
    return theta, xi


@pytest.mark.parametrize("p", [5, 9, 23])
def test_proposition_1(p):
    N, alpha, beta = 5, 0.7, 1.3
    theta, xi = ideal_network(p, N, alpha, beta)
    logits = np.einsum("mj,mxy->xyj", xi, (theta[:, :, None] + theta[:, None, :]) ** 2)
    a = alpha**2 * beta
    # Exact up to the rounding of a sum over N K neurons.
    np.testing.assert_allclose(logits, mechanism.proposition_1(p, a * N / 2), atol=1e-11)
    s = fourier.spectrum(theta, xi)
    np.testing.assert_allclose(mechanism.frequency_scales(s), a * N, rtol=1e-12)


@pytest.mark.parametrize("p", [5, 9, 23])
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_margin_and_bound_hold_on_every_pair(p, scale):
    logits = mechanism.proposition_1(p, scale)
    x = np.arange(p)
    answers = (x[:, None] + x) % p
    right = np.take_along_axis(logits, answers[..., None], -1)[..., 0]
    wrong = np.where(x == answers[..., None], -np.inf, logits).max(-1)
    off_diagonal = ~np.eye(p, dtype=bool)
    margin = mechanism.proposition_1_margin(p, scale)
    np.testing.assert_allclose((right - wrong)[off_diagonal], margin, rtol=1e-12)
    np.testing.assert_allclose(np.diag(right - wrong), scale * p, rtol=1e-12)
    mass = np.exp(right) / np.exp(logits).sum(-1)
    assert (mass >= mechanism.softmax_bound(p, scale)).all()


def test_worked_example_uses_every_peak():
    f = mechanism.proposition_1(23)[3, 7]
    assert (f[10], f[6], f[14]) == (10.5, 4.75, 4.75)
    assert (np.delete(f, [10, 6, 14]) == -1).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="scale must be finite, got nan"):
        mechanism.proposition_1(5, np.nan)
    with pytest.raises(TypeError, match="scale must be a real number"):
        mechanism.proposition_1(5, "1")
    with pytest.raises(ValueError, match="p must be odd"):
        mechanism.softmax_bound(4, 1.0)
