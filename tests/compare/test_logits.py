"""Fits, peaks and margins of logits: ideal networks exactly, random ones by plain loops."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.logits.figures import (
    frequency_scales,
    logit_row,
    margin_histogram,
    peak_heights,
)
from grokode.compare.logits.fits import FITS, PEAKS, QUANTILES
from grokode.compare.logits.tables import fits_table, logits_json, peaks_table
from grokode.theory import fourier, mechanism

# Sums of some thousand products of numbers near 1, relative to their size.
ROUNDING = 1e-11


def ideal_network(p, N, amplitudes):
    """Aligned neurons with evenly spread phases; frequency k has alpha^2 beta = amplitude^3."""
    phases = np.exp(2j * np.pi * np.arange(N) / N)
    K = (p - 1) // 2
    waves = np.kron(np.diag(np.broadcast_to(amplitudes, K)), phases[:, None])
    none = np.zeros(len(waves))
    out = np.kron(np.diag(np.broadcast_to(amplitudes, K)), phases[:, None] ** 2)
    return fourier.from_waves(none, waves), fourier.from_waves(none, out)


def random_network(p, seed=0, neurons=20):
    return np.random.default_rng(seed).normal(0.2, 1, size=(2, neurons, p))


def centred(values):
    return values - values.mean(-1, keepdims=True)


@pytest.mark.parametrize("p", [5, 11, 23])
def test_ideal_network(p):
    N, amplitude = 5, 0.9
    a = amplitude**3
    fit = compare.logits(*ideal_network(p, N, amplitude))
    for name in ("proposition_1", "proposition_1_per_frequency", "single_frequency_unscaled"):
        assert float(fit.fit_r2.sel(fit=name)) == pytest.approx(1, abs=ROUNDING)
    assert float(fit.fit_r2.sel(fit="relu_kernel")) < 1 - 1e-3
    assert float(fit.single_frequency_scale) == pytest.approx(1, rel=ROUNDING)
    here = fit.sel(kernel="proposition_1")
    np.testing.assert_allclose(here.frequency_scale, a * N, rtol=ROUNDING)
    np.testing.assert_allclose(here.weights_scale, a * N, rtol=ROUNDING)
    assert float(here.uniform_scale) == pytest.approx(2 * float(fit.scale), rel=ROUNDING)
    # The numbers of the proposition, in units of a N / 2.
    heights = np.array([p / 2 - 1, p / 4 - 1, p / 4 - 1, -1, p - 1, -1]) * a * N / 2
    for source in ("network", "proposition_1", "weights"):
        peaks = fit.sel(source=source)
        np.testing.assert_allclose(peaks.peak_height, heights, rtol=ROUNDING)
        np.testing.assert_allclose(peaks.peak_spread, 0, atol=1e-12 * p)
        margins = peaks.margin.values
        np.testing.assert_allclose(margins[~np.eye(p, dtype=bool)], a * N * p / 8, rtol=ROUNDING)
        np.testing.assert_allclose(margins.diagonal(), a * N * p / 2, rtol=ROUNDING)
    assert float(fit.proposition_margin) == pytest.approx(a * N * p / 8, rel=ROUNDING)
    assert float(fit.expected_margin) == pytest.approx(a * N * p / 8, rel=ROUNDING)
    assert float(fit.softmax_bound) == pytest.approx(
        max(0, mechanism.softmax_bound(p, a * N / 2)), rel=1e-9
    )
    assert float(fit.probability_min) >= float(fit.softmax_bound)
    assert fit.attrs["reason"] == ""


def test_unequal_scales_need_a_scale_per_frequency():
    p, N = 11, 5
    amplitudes = np.array([0.4, 0.9, 1.2, 0.2, 0.7])
    c = amplitudes**3 * N
    fit = compare.logits(*ideal_network(p, N, amplitudes))
    assert float(fit.fit_r2.sel(fit="proposition_1_per_frequency")) == pytest.approx(1, abs=1e-11)
    # All frequencies' patterns have one norm, so a single scale explains mean(c)^2 / mean(c^2).
    assert float(fit.r2) == pytest.approx(c.mean() ** 2 / (c**2).mean(), rel=1e-10)
    here = fit.sel(kernel="proposition_1")
    np.testing.assert_allclose(here.frequency_scale, c, rtol=1e-10)
    np.testing.assert_allclose(here.weights_scale, c, rtol=1e-10)
    assert float(here.uniform_scale) == pytest.approx(c.mean(), rel=1e-10)


def test_relu_network_with_even_phases_follows_the_relu_kernel():
    p, N, amplitude = 11, 12, 0.9
    fit = compare.logits(*ideal_network(p, N, amplitude), "relu")
    here = fit.sel(kernel="relu_kernel")
    c = 2 / (3 * np.pi) * amplitude**2 * N
    np.testing.assert_allclose(here.weights_scale, c, rtol=ROUNDING)
    # Harmonics that phases do not cancel begin at 3/99 of the signal's amplitude, see the budget.
    assert 1 - 2 * (3 / 99) ** 2 < float(fit.fit_r2.sel(fit="relu_kernel")) < 1
    assert float(fit.r2) < float(fit.fit_r2.sel(fit="relu_kernel")) - 0.01
    np.testing.assert_allclose(here.frequency_scale, c, rtol=3 / 99)
    # Proposition 1 says nothing about the scale under ReLU.
    assert np.isnan(fit.expected_scale)
    assert np.isnan(fit.sel(kernel="proposition_1").weights_scale).all()


def design(p, kernel):
    """Columns kernel_k(x - y) cos(w_k (x + y - j)), written out."""
    x = np.arange(p)
    x, y, j = x[:, None, None], x[None, :, None], x
    columns = []
    for k in range(1, (p + 1) // 2):
        w = 2 * np.pi * k / p
        wave = np.cos(w * (x - y) / 2)
        wave = wave**2 if kernel == "proposition_1" else np.abs(wave)
        columns.append((wave * np.cos(w * (x + y - j))).ravel())
    return np.stack(columns, -1)


@pytest.mark.parametrize("kernel", ["proposition_1", "relu_kernel"])
@pytest.mark.parametrize("p", [3, 7, 9])
def test_kernel_fits_are_least_squares(p, kernel):
    theta, xi = random_network(p, seed=p)
    fit = compare.logits(theta, xi, "gelu")
    network = centred(nets.logits(theta, xi, "gelu")).ravel()
    np.testing.assert_allclose(fit.network.values.ravel(), network, atol=1e-12)
    columns = design(p, kernel)
    for name, matrix in (
        (f"{kernel}_per_frequency", columns),
        (kernel, columns.sum(-1, keepdims=True)),
    ):
        scales, (left,), *_ = np.linalg.lstsq(matrix, network)
        r2 = float(fit.fit_r2.sel(fit=name))
        assert r2 == pytest.approx(1 - left / (network**2).sum(), abs=1e-10)
        fitted = fit.sel(kernel=kernel)
        own = fitted.uniform_scale if name == kernel else fitted.frequency_scale
        np.testing.assert_allclose(np.atleast_1d(own), scales, rtol=1e-9)


@pytest.mark.parametrize("activation", ["quadratic", "relu", "gelu"])
def test_single_frequency_keeps_the_winners_wave(activation):
    p = 7
    theta, xi = random_network(p, seed=3)
    alone = np.zeros((2, *theta.shape))
    x = np.arange(p)
    for neuron in range(len(theta)):
        strengths = [abs(np.exp(-2j * np.pi * k * x / p) @ xi[neuron]) for k in (1, 2, 3)]
        w = 2 * np.pi * (1 + np.argmax(strengths)) / p
        for layer, weights in enumerate((theta, xi)):
            for wave in (np.cos(w * x), np.sin(w * x)):
                alone[layer, neuron] += 2 / p * (wave @ weights[neuron]) * wave
    cut = centred(nets.logits(*alone, activation)).ravel()
    network = centred(nets.logits(theta, xi, activation)).ravel()
    variance = (network**2).sum()
    scale = network @ cut / (cut @ cut)
    fit = compare.logits(theta, xi, activation)
    r2 = dict(zip(FITS, fit.fit_r2.values, strict=True))
    assert float(fit.single_frequency_scale) == pytest.approx(scale, rel=1e-9)
    assert r2["single_frequency"] == pytest.approx(
        1 - ((network - scale * cut) ** 2).sum() / variance, abs=1e-10
    )
    assert r2["single_frequency_unscaled"] == pytest.approx(
        1 - ((network - cut) ** 2).sum() / variance, abs=1e-10
    )


@pytest.mark.parametrize("activation", ["quadratic", "relu"])
def test_winners_without_an_input_wave_leave_nothing_to_scale(activation):
    x = np.arange(7)
    sizes = np.random.default_rng(0).normal(size=(2, 6, 1))
    # All input waves have frequency 1, all output waves frequency 3.
    theta = sizes[0] * np.cos(2 * np.pi * x / 7)
    xi = sizes[1] * np.cos(2 * np.pi * 3 * x / 7)
    fit = compare.logits(theta, xi, activation)
    assert np.isnan(fit.single_frequency_scale)
    assert float(fit.fit_r2.sel(fit="single_frequency")) == 0
    # The square of a float64's rounding, or that itself under ReLU.
    assert abs(float(fit.fit_r2.sel(fit="single_frequency_unscaled"))) < 1e-14


def test_fits_do_not_depend_on_scale_or_on_shifts():
    theta, xi = random_network(7)
    plain = compare.logits(theta, xi)
    # Logits of 1e-180, whose squares are no floats.
    tiny = compare.logits(1e-60 * theta, 1e-60 * xi)
    np.testing.assert_allclose(tiny.fit_r2, plain.fit_r2, rtol=1e-10)
    assert float(tiny.scale) == pytest.approx(1e-180 * float(plain.scale), rel=1e-10)
    assert float(tiny.single_frequency_scale) == pytest.approx(
        float(plain.single_frequency_scale), rel=1e-10
    )
    # x -> x + s with j -> j + 2s relabels the pairs.
    moved = compare.logits(np.roll(theta, 3, -1), np.roll(xi, 6, -1))
    np.testing.assert_allclose(moved.fit_r2, plain.fit_r2, rtol=1e-10)
    np.testing.assert_allclose(moved.peak_height, plain.peak_height, rtol=1e-10)
    np.testing.assert_allclose(moved.margin_quantile, plain.margin_quantile, rtol=1e-10)


@pytest.mark.parametrize("p", [3, 5, 9])
def test_peaks_and_margins_pair_by_pair(p):
    theta, xi = random_network(p, seed=p)
    fit = compare.logits(theta, xi)
    network = fit.network.values
    by_peak = {peak: [] for peak in PEAKS}
    margins = np.empty((p, p))
    right = 0.0
    for x in range(p):
        for y in range(p):
            row = network[x, y]
            answer = (x + y) % p
            margins[x, y] = row[answer] - max(row[j] for j in range(p) if j != answer)
            right += np.exp(row[answer]) / np.exp(row).sum() / p**2
            for j in range(p):
                if x == y:
                    name = "x+y where x=y" if j == answer else "background where x=y"
                    by_peak[name].append(row[j])
                    continue
                places = {answer: "x+y", 2 * x % p: "2x", 2 * y % p: "2y"}
                by_peak[places.get(j, "background")].append(row[j])
    for peak, values in by_peak.items():
        here = fit.sel(source="network", peak=peak)
        if not values:
            assert (p, peak) == (3, "background")
            assert np.isnan(here.peak_height)
            continue
        assert float(here.peak_height) == pytest.approx(np.mean(values), rel=1e-10)
        assert float(here.peak_spread) == pytest.approx(np.std(values), rel=1e-10)
    here = fit.sel(source="network")
    np.testing.assert_allclose(here.margin, margins, rtol=1e-12)
    assert float(here.margin_min) == margins.min()
    assert float(here.margin_mean) == pytest.approx(margins.mean(), rel=1e-12)
    np.testing.assert_allclose(here.margin_quantile, np.quantile(margins, QUANTILES))
    assert float(fit.accuracy) == (margins > 0).mean()
    assert float(fit.probability_mean) == pytest.approx(right, rel=1e-10)


def test_a_scale_below_zero_bounds_nothing():
    theta, xi = ideal_network(11, 5, 9.0)
    # Every logit turned over: the fitted margin is far below zero, and its exponential is not.
    fit = compare.logits(theta, -xi)
    assert float(fit.proposition_margin) < -800
    assert float(fit.softmax_bound) == 0


@pytest.mark.parametrize(
    ("theta", "xi", "reason"),
    [
        (np.zeros((3, 5)), np.zeros((3, 5)), "equal for every output"),
        (np.full((3, 5), np.nan), np.ones((3, 5)), "not all finite"),
        (np.full((3, 5), 1e200), np.ones((3, 5)), "overflow"),
    ],
)
def test_nothing_to_compare_has_its_reason(theta, xi, reason):
    fit = compare.logits(theta, xi)
    assert reason in fit.attrs["reason"]
    for name in ("accuracy", "scale", "r2", "expected_scale", "probability_min", "softmax_bound"):
        assert np.isnan(fit[name])
    assert np.isnan(fit.fit_r2).all()
    plain = logits_json(fit)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["r2"] is None
    assert reason in plain["reason"]
    assert reason in fits_table(fit)[1][1]
    assert reason in peaks_table(fit)[1][1]
    drawings = (
        figures.logit_scatter,
        peak_heights,
        margin_histogram,
        frequency_scales,
        lambda fit, ax: logit_row(fit, 1, 2, ax),
        lambda fit, ax: figures.logit_heatmap(fit, "network", 1, ax),
    )
    figure, axes = plt.subplots(1, len(drawings))
    for draw, ax in zip(drawings, axes, strict=True):
        assert reason in draw(fit, ax).texts[0].get_text()
    plt.close(figure)


def test_json_holds_the_numbers(small_run):
    weights = compare.checkpoint(small_run)
    fit = compare.logits(weights.theta, weights.xi)
    plain = logits_json(fit)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["fits"] == dict(zip(FITS, fit.fit_r2.values.tolist(), strict=True))
    assert plain["accuracy"] == float(fit.accuracy)
    own = plain["kernels"]["proposition_1"]
    signal = mechanism.frequency_scales(fourier.spectrum(weights.theta, weights.xi))
    np.testing.assert_allclose(own["weights_scale"], signal, rtol=1e-12)
    assert plain["kernels"]["relu_kernel"]["weights_scale"] == [None] * 3
    assert plain["expected_scale"] == pytest.approx(float(signal.mean()) / 2, rel=1e-12)
    network = fit.sel(source="network")
    assert plain["margins"]["network"]["quantiles"]["0.5"] == float(
        network.margin_quantile.sel(quantile=0.5)
    )
    assert plain["peaks"]["network"]["2x"]["mean"] == float(network.peak_height.sel(peak="2x"))


def test_tables_hold_a_row_for_each_fit_and_peak(small_run):
    weights = compare.checkpoint(small_run)
    fit = compare.logits(weights.theta, weights.xi)
    fits, peaks = fits_table(fit), peaks_table(fit)
    assert [row[0].lower().replace(" ", "_") for row in fits[1:]] == list(FITS)
    assert [float(row[1]) for row in fits[1:]] == pytest.approx(fit.fit_r2.values, rel=1e-3)
    assert [row[0] for row in peaks[1 : 1 + len(PEAKS)]] == list(PEAKS)
    assert all(len(row) == len(peaks[0]) for row in peaks)
    # The ReLU kernel has no scale from the weights of a quadratic network.
    assert fits[3][3] == "-"
    # At p = 3 x + y, 2x and 2y are all there is off the diagonal.
    smallest = peaks_table(compare.logits(*random_network(3)))
    assert "nan" not in str(smallest)
    assert smallest[1 + list(PEAKS).index("background")][1] == "-"


def test_figures_show_the_numbers(small_run):
    weights = compare.checkpoint(small_run)
    fit = compare.logits(weights.theta, weights.xi)
    p = fit.attrs["p"]
    figure, axes = plt.subplots(1, 5)
    figures.logit_heatmap(fit, "theory", 3, axes[0])
    mesh, *marks = axes[0].collections
    values = np.asarray(mesh.get_array()).reshape(p, p)
    np.testing.assert_array_equal(values, fit.theory.sel(x=3))
    background = fit.peak_height.sel(source="proposition_1", peak="background")
    # Every mark lies on a peak of the prediction.
    assert len(marks) == 3
    for mark in marks:
        outputs, y = np.asarray(mark.get_offsets()).astype(int).T
        assert (values[y, outputs] > float(background) + 1e-9).all()
    logit_row(fit, 3, 5, axes[1])
    heights = [bar.get_height() for bar in axes[1].patches]
    np.testing.assert_array_equal(heights, fit.network.sel(x=3, y=5))
    marked = {round(mark.get_offsets()[0][0]) for mark in axes[1].collections}
    assert marked == {(3 + 5) % p, 6 % p, 10 % p}
    peak_heights(fit, axes[2])
    dots = axes[2].containers[0].lines[0]
    np.testing.assert_array_equal(dots.get_ydata(), fit.peak_height.sel(source="network"))
    margin_histogram(fit, axes[3])
    assert sum(bar.get_height() for bar in axes[3].patches) == p * (p - 1)
    lines = [line.get_xdata()[0] for line in axes[3].lines]
    np.testing.assert_allclose(
        lines, [fit.proposition_margin, fit.expected_margin, 0], rtol=1e-9, atol=1e-12
    )
    frequency_scales(fit, axes[4])
    own = fit.sel(kernel="proposition_1")
    heights = [bar.get_height() for bar in axes[4].patches]
    np.testing.assert_array_equal(heights, own.frequency_scale)
    np.testing.assert_array_equal(axes[4].lines[0].get_ydata(), own.weights_scale)
    plt.close(figure)
