"""Phases, frequencies and magnitudes of networks whose answers are known (Observations 2, 3)."""

import numpy as np
import pytest
from scipy import stats

from grokode.compare.mechanism.phases import (
    RANDOM_SINE,
    frequency_balance,
    magnitude_homogeneity,
    phase_doubling,
    phase_uniformity,
    rayleigh,
)
from grokode.theory import fourier
from tests.compare.made import ROUNDING, diversified, gaussian, single_waves


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0, np.pi])
def test_a_common_misalignment(angle):
    phi = np.linspace(-3, 3, 25)
    doubling = phase_doubling(fourier.spectrum(*single_waves(5, phi, 2 * phi - angle)))
    assert float(doubling.mean_abs_sin) == pytest.approx(abs(np.sin(angle)), abs=ROUNDING)
    assert float(doubling.mean_cos) == pytest.approx(np.cos(angle), abs=ROUNDING)
    turn = np.exp(1j * (doubling.two_phi - doubling.psi - angle))
    np.testing.assert_allclose(turn, 1, atol=1e-10)
    assert (abs(doubling.two_phi) <= np.pi).all()


def test_misalignment_agrees_with_theory_and_random_phases_with_their_mean():
    spectrum = fourier.spectrum(*gaussian(20_000, 4))
    doubling = phase_doubling(spectrum)
    own = fourier.misalignment(spectrum).sel(frequency=doubling.frequency)
    np.testing.assert_allclose(doubling.misalignment, own, atol=1e-12)
    # |sin| has standard deviation 0.31: five standard errors.
    assert float(doubling.mean_abs_sin) == pytest.approx(RANDOM_SINE, abs=0.011)


def test_balance_is_pearsons_statistic():
    k = np.repeat(np.arange(1, 12), [5, 9, 4, 7, 7, 6, 12, 8, 10, 5, 15])
    balance = frequency_balance(fourier.spectrum(*single_waves(k, 0.1, 0.2)))
    assert balance.neurons.values.tolist() == [5, 9, 4, 7, 7, 6, 12, 8, 10, 5, 15]
    statistic = ((balance.neurons - 8) ** 2 / 8).sum().item()
    assert float(balance.chi_square) == pytest.approx(statistic)
    assert float(balance.p_value) == pytest.approx(stats.chi2.sf(statistic, 10))


def test_a_missing_frequency_is_found_out():
    k = np.repeat(np.arange(1, 11), 20)
    balance = frequency_balance(fourier.spectrum(*single_waves(k, 0.1, 0.2)))
    # 200 neurons, 18.2 expected at the empty one.
    assert int(balance.neurons.min()) == 0
    assert float(balance.p_value) < 0.05


@pytest.mark.parametrize(("angles", "slack"), [(5, 0.006), (10, 0.002), (50, 0.002)])
def test_rayleigh_has_its_level_under_the_null(angles, slack):
    draws = 40_000
    turns = np.exp(2j * np.pi * np.random.default_rng(angles).random((draws, angles)))
    p_values = rayleigh(np.abs(turns.mean(1)), angles)
    distance = stats.kstest(p_values, "uniform").statistic
    # The approximation's own error, plus the Kolmogorov-Smirnov bound of 1 in 1000.
    assert distance < slack + 1.95 / np.sqrt(draws)


def test_rayleigh_sees_what_is_not_uniform():
    # Quantiles of a von Mises law of concentration 1, of mean resultant I1(1)/I0(1) = 0.446.
    phases = stats.vonmises.ppf((np.arange(50) + 0.5) / 50, 1)
    assert rayleigh(abs(np.exp(1j * phases).mean()), 50) < 1e-3


def test_even_phases_have_no_resultant():
    uniformity = phase_uniformity(fourier.spectrum(*diversified(N=6)), orders=range(1, 8))
    resultants = uniformity.resultant.values
    np.testing.assert_allclose(np.delete(resultants, 5, 0), 0, atol=ROUNDING)
    # Six-fold phases are all alike at order six.
    np.testing.assert_allclose(resultants[5], 1)
    np.testing.assert_allclose(uniformity.noise, [0] * 5 + [6, 0], atol=ROUNDING)
    np.testing.assert_allclose(uniformity.weighted_resultant[5], 1)
    assert (uniformity.p_value.isel(order=[0, 1, 2, 3, 4, 6]) == 1).all()
    assert (uniformity.adjusted_p_value.isel(order=5) < 0.05).all()


def test_holms_adjustment_by_hand():
    rng = np.random.default_rng(6)
    k = np.repeat(np.arange(1, 12), 20)
    phi = rng.uniform(-np.pi, np.pi, 220)
    phi[k == 4] = rng.normal(0.5, 0.4, 20)
    uniformity = phase_uniformity(fourier.spectrum(*single_waves(k, phi, 2 * phi)))
    flat = uniformity.p_value.values.ravel()
    order = flat.argsort()
    stepped = np.minimum(1, np.maximum.accumulate(flat[order] * np.arange(44, 0, -1)))
    np.testing.assert_allclose(uniformity.adjusted_p_value.values.ravel()[order], stepped)
    rejected = uniformity.frequency.values[(uniformity.adjusted_p_value < 0.05).any("order")]
    assert rejected.tolist() == [4]


def test_noise_of_random_phases():
    rng = np.random.default_rng(7)
    p, N = 101, 15
    k = np.repeat(np.arange(1, 51), N)
    uniform = []
    for _ in range(10):
        phi = rng.uniform(0, 2 * np.pi, len(k))
        uniform.append(phase_uniformity(fourier.spectrum(*single_waves(k, phi, 0.0, p=p))))
    noise = np.array([f.noise for f in uniform])
    # 40 means of 50 exponentials of mean 1: standard error 0.022, four of them.
    assert noise.mean() == pytest.approx(1, abs=0.09)
    p_values = np.array([f.noise_p_value for f in uniform]).ravel()
    # 1.95 / sqrt(40), exceeded once in a thousand times; 1/N for the chi-square law's own error.
    assert stats.kstest(p_values, "uniform").statistic < 0.308 + 1 / N


def test_weighted_resultant_counts_the_large():
    phi = np.array([0.0, 0.3, 1.0, 2.0, 4.0])
    weights = single_waves(2, phi, 2 * phi, alpha=[1, 1, 1, 1, 50], beta=[1, 1, 1, 1, 50])
    uniform = phase_uniformity(fourier.spectrum(*weights)).sel(frequency=2)
    sizes = np.array([1, 1, 1, 1, 50.0**3])
    for order in (1, 2, 3, 4):
        wanted = abs((sizes * np.exp(1j * order * phi)).sum()) / sizes.sum()
        assert float(uniform.weighted_resultant.sel(order=order)) == pytest.approx(wanted)


def test_renumbering_the_residues_changes_no_resultant():
    theta, xi = gaussian(80, 8)
    before = phase_uniformity(fourier.spectrum(theta, xi))
    # theta(x + 3) and xi(j + 6) answer the same: every phase of a frequency turns alike.
    after = phase_uniformity(fourier.spectrum(np.roll(theta, -3, 1), np.roll(xi, -6, 1)))
    np.testing.assert_allclose(after.resultant, before.resultant, atol=ROUNDING)
    np.testing.assert_allclose(after.p_value, before.p_value, atol=1e-10)


def test_magnitudes():
    k = np.array([1, 1, 2, 2, 3])
    weights = single_waves(k, 0.1, 0.2, alpha=[1, 3, 2, 2, 9], beta=[2, 2, 4, 12, 1])
    homogeneity = magnitude_homogeneity(fourier.spectrum(*weights))
    np.testing.assert_allclose(homogeneity.mean_magnitude.values[:, :3], [[2, 2, 9], [2, 8, 1]])
    np.testing.assert_allclose(
        homogeneity.variation.values[:, :2], [[0.5, 0], [0, 0.5]], atol=ROUNDING
    )
    assert np.isnan(homogeneity.variation.values[:, 2:]).all()
    np.testing.assert_allclose(homogeneity.variation_within, [0.25, 0.25])
    means = np.array([[2, 2, 9], [2, 8, 1]])
    np.testing.assert_allclose(homogeneity.variation_between, means.std(1) / means.mean(1))
