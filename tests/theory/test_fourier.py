"""Weights and spectra: exact both ways for any odd p, and the symmetries of Z_p."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from grokode.theory import fourier

# Rounding of a length-p transform of order-one numbers; far above 2.2e-16 * log2(p).
ROUNDING = 1e-13
odd = st.integers(1, 60).map(lambda k: 2 * k + 1)
seeds = st.integers(0, 2**32 - 1)
properties = settings(max_examples=40, deadline=None)


@given(p=odd, seed=seeds)
@properties
def test_weights_to_spectrum_and_back(p, seed):
    theta, xi = np.random.default_rng(seed).normal(size=(2, 3, 4, p))
    back = fourier.weights(fourier.spectrum(theta, xi))
    np.testing.assert_allclose(back.theta, theta, atol=ROUNDING)
    np.testing.assert_allclose(back.xi, xi, atol=ROUNDING)


@given(p=odd, seed=seeds)
@properties
def test_spectrum_to_weights_and_back(p, seed):
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(5, (p - 1) // 2)) * np.exp(1j * rng.normal(size=(5, (p - 1) // 2)))
    mean, back = fourier.to_waves(fourier.from_waves(np.ones(5), waves))
    np.testing.assert_allclose(back, waves, atol=ROUNDING)
    np.testing.assert_allclose(mean, 1, atol=ROUNDING)


@given(p=odd, seed=seeds)
@properties
def test_waves_are_the_cosines_that_the_definition_names(p, seed):
    rng = np.random.default_rng(seed)
    k, alpha, phi = rng.integers(1, (p + 1) // 2), rng.uniform(0.1, 2), rng.uniform(-3, 3)
    wave = alpha * np.cos(2 * np.pi * k * np.arange(p) / p + phi)
    _, coefficients = fourier.to_waves(wave)
    expected = np.zeros((p - 1) // 2, dtype=complex)
    expected[k - 1] = alpha * np.exp(1j * phi)
    np.testing.assert_allclose(coefficients, expected, atol=ROUNDING)


@given(p=odd, seed=seeds)
@properties
def test_a_shift_of_the_inputs_keeps_magnitudes_and_misalignment(p, seed):
    """x -> x + s, j -> j + 2s is a symmetry of x + y = j: phases turn, D does not."""
    rng = np.random.default_rng(seed)
    theta, xi = rng.normal(size=(2, 4, p))
    s = int(rng.integers(p))
    before = fourier.spectrum(theta, xi)
    after = fourier.spectrum(np.roll(theta, s, axis=-1), np.roll(xi, 2 * s, axis=-1))
    np.testing.assert_allclose(fourier.alpha(after), fourier.alpha(before), atol=ROUNDING)
    turn = np.exp(1j * (fourier.misalignment(after) - fourier.misalignment(before)))
    # Phases of the smallest coefficients lose digits in proportion to their size.
    smallest = min(fourier.alpha(before).min(), fourier.beta(before).min())
    np.testing.assert_allclose(turn, 1, atol=float(10 * ROUNDING / smallest))


@given(p=odd, seed=seeds)
@properties
def test_multiplying_residues_relabels_frequencies(p, seed):
    """theta[u x] has at frequency u k (folded) what theta has at k, when u is a unit mod p."""
    rng = np.random.default_rng(seed)
    units = [u for u in range(1, p) if np.gcd(u, p) == 1]
    u = int(rng.choice(units))
    theta = rng.normal(size=p)
    _, before = fourier.to_waves(theta)
    _, after = fourier.to_waves(theta[u * np.arange(p) % p])
    k = np.arange(1, (p + 1) // 2)
    folded = np.minimum(u * k % p, p - u * k % p)
    np.testing.assert_allclose(np.abs(after[folded - 1]), np.abs(before), atol=ROUNDING)


@given(p=odd, seed=seeds)
@properties
def test_basis_is_orthonormal_and_agrees_with_the_waves(p, seed):
    basis = fourier.fourier_basis(p)
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=ROUNDING)
    vectors = np.random.default_rng(seed).normal(size=(3, p))
    np.testing.assert_allclose(
        fourier.from_basis(fourier.to_basis(vectors)), vectors, atol=ROUNDING
    )
    amplitude, phase = fourier.amplitude_phase(fourier.to_basis(vectors))
    _, waves = fourier.to_waves(vectors)
    np.testing.assert_allclose(amplitude * np.exp(1j * phase), waves, atol=ROUNDING)


def test_parseval():
    """A wave has squared norm (p/2) alpha^2, and the mean has p mean^2."""
    v = np.random.default_rng(0).normal(size=31)
    mean, waves = fourier.to_waves(v)
    assert np.isclose(v @ v, 31 * mean**2 + 31 / 2 * (np.abs(waves) ** 2).sum(), rtol=1e-14)


def test_datasets_keep_their_dimensions_and_coordinates():
    rng = np.random.default_rng(0)
    coords = {"step": [0, 100], "neuron": [5, 6, 7]}
    theta = xr.DataArray(rng.normal(size=(2, 3, 7)), coords, ("step", "neuron", "x"))
    xi = xr.DataArray(rng.normal(size=(2, 3, 7)), coords, ("step", "neuron", "output"))
    s = fourier.spectrum(theta, xi)
    assert s.theta_hat.dims == ("step", "neuron", "frequency")
    assert s.step.values.tolist() == [0, 100]
    assert s.neuron.values.tolist() == [5, 6, 7]
    assert s.frequency.values.tolist() == [1, 2, 3]
    back = fourier.weights(s)
    xr.testing.assert_allclose(back.theta, theta.assign_coords(x=range(7)))


@pytest.mark.parametrize("tiny", [1e-200, 1e-12, 1.0, 1e150])
def test_misalignment_does_not_depend_on_magnitude(tiny):
    wave = np.cos(2 * np.pi * np.arange(5) / 5 + 0.4)[None]
    s = fourier.spectrum(tiny * wave, tiny * wave)
    assert np.isclose(fourier.misalignment(s).sel(frequency=1).item(), 0.4, atol=ROUNDING)


def test_angles_lie_in_the_half_open_interval():
    wave = -np.cos(2 * np.pi * np.arange(5) / 5)[None]
    s = fourier.spectrum(wave, wave).copy()
    s["theta_hat"] = s.theta_hat.copy(data=np.full((1, 2), complex(-1.0, -0.0)))
    assert (fourier.phi(s) == np.pi).all()


@pytest.mark.parametrize(
    ("p", "error"), [(4, ValueError), (1, ValueError), (5.0, TypeError), (True, TypeError)]
)
def test_bad_modulus(p, error):
    with pytest.raises(error, match="p must be"):
        fourier.fourier_basis(p)


def test_bad_weights():
    with pytest.raises(ValueError, match="must be odd"):
        fourier.spectrum(np.ones((2, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="one shape"):
        fourier.spectrum(np.ones((2, 5)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="finite"):
        fourier.spectrum(np.full((2, 5), np.nan), np.ones((2, 5)))
    with pytest.raises(ValueError, match="shape"):
        fourier.spectrum(np.ones(5), np.ones(5))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: fourier.to_waves(1j * np.ones(3)), TypeError, "vectors must be real numbers"),
        (lambda: fourier.to_waves([[1, 2, 3], [1]]), ValueError, "vectors must be rectangular"),
        (lambda: fourier.to_basis(1.0), ValueError, "at least 3"),
        (lambda: fourier.weights(xr.Dataset()), TypeError, "Dataset with theta_hat"),
    ],
)
def test_what_is_no_weight_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
