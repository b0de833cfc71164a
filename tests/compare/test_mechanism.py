"""Observations 1 and 4, and all four together, on networks whose answers are known."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from grokode import nets
from grokode.compare.mechanism import figures, phase_figures
from grokode.compare.mechanism.cosines import basis_coefficients, cosine_fits, sparsity
from grokode.compare.mechanism.measures import (
    PUBLISHED_SWAP,
    activation_swap,
    mechanism,
    mechanism_history,
)
from grokode.compare.mechanism.phases import winning_waves
from grokode.compare.mechanism.tables import measures, mechanism_json, mechanism_table
from grokode.nets.networks.activations import ACTIVATIONS
from grokode.theory import fourier
from tests.compare.made import ROUNDING, K, P, diversified, gaussian, run_of, single_waves


def test_one_cosine_is_fitted_exactly_and_is_one_frequency():
    rng = np.random.default_rng(0)
    k = rng.integers(1, K + 1, 40)
    phi, psi = rng.uniform(-np.pi, np.pi, (2, 40))
    theta, xi = single_waves(k, phi, psi)
    fits = cosine_fits(0.3 + theta, xi)
    assert fits.frequency.values.tolist() == k.tolist()
    np.testing.assert_allclose(fits.r2, 1, atol=ROUNDING)
    np.testing.assert_allclose(fits.residual, 0, atol=ROUNDING)
    np.testing.assert_allclose(fits.cosine.sel(layer="theta"), theta, atol=ROUNDING)
    # Mean square 0.3^2 beside that of a wave, 0.7^2 / 2; the output weights have no mean.
    np.testing.assert_allclose(fits.mean_share.sel(layer="theta"), 0.09 / (0.09 + 0.245))
    np.testing.assert_allclose(fits.mean_share.sel(layer="xi"), 0, atol=ROUNDING)
    participation = sparsity(fourier.spectrum(theta, xi)).participation
    np.testing.assert_allclose(participation, 1, atol=ROUNDING)


@pytest.mark.parametrize("second", [0.0, 0.5, 0.99])
def test_a_second_wave_takes_its_energy(second):
    one, _ = single_waves([3], 0.4, 0.0, alpha=1.0)
    other, _ = single_waves([7], -1.2, 0.0, alpha=1.0)
    both = one + second * other
    share = 1 / (1 + second**2)
    fits = cosine_fits(both, both)
    assert fits.frequency.item() == 3
    np.testing.assert_allclose(fits.r2.values, share, rtol=ROUNDING)
    # Half of the smaller wave's squared magnitude is the mean square it leaves.
    np.testing.assert_allclose(fits.residual.values, second / np.sqrt(2), atol=ROUNDING)
    participation = sparsity(fourier.spectrum(both, both)).participation
    np.testing.assert_allclose(participation.values, share**2 + (1 - share) ** 2, rtol=ROUNDING)


def test_fits_are_the_least_squares_ones():
    theta, xi = gaussian(6, 1)
    fits = cosine_fits(theta, xi)
    x = np.arange(P)
    for neuron, k in enumerate(fits.frequency.values):
        waves = np.stack([np.cos(2 * np.pi * k * x / P), np.sin(2 * np.pi * k * x / P)], 1)
        for layer, values in (("theta", theta[neuron]), ("xi", xi[neuron])):
            solution, *_ = np.linalg.lstsq(waves, values, rcond=None)
            here = fits.sel(neuron=neuron, layer=layer)
            np.testing.assert_allclose(here.cosine, waves @ solution, atol=ROUNDING)


def test_random_weights_have_the_stated_references():
    theta, xi = gaussian(20_000, 2)
    spread = sparsity(fourier.spectrum(theta, xi))
    # Standard errors near 4e-4 and, for R^2, 6e-4: five of them.
    assert spread.participation.mean() == pytest.approx(spread.attrs["random"], abs=2e-3)
    measured = {m.name: m for m in measures(mechanism(run_of((theta[:50], xi[:50]))))}
    r2 = cosine_fits(theta, xi).r2.mean("neuron")
    assert r2.sel(layer="theta") == pytest.approx(measured["r2_theta"].random, abs=3e-3)
    assert r2.sel(layer="xi") == pytest.approx(measured["r2_xi"].random, abs=3e-3)


def test_basis_coefficients_are_sorted_and_keep_the_energy():
    theta, xi = gaussian(30, 3)
    theta[4] = xi[9] = 0
    coefficients = basis_coefficients(theta, xi)
    order = coefficients.neuron.values
    assert sorted(order) == list(range(30))
    assert set(order[-2:]) == {4, 9}
    assert coefficients.frequency.values[-2:].tolist() == [0, 0]
    assert (np.diff(coefficients.frequency.values[:-2]) >= 0).all()
    energy = (coefficients.coefficient**2).sum("basis")
    np.testing.assert_allclose(energy.sel(layer="theta"), (theta[order] ** 2).sum(1))
    leader = fourier.leading_frequency(fourier.spectrum(theta, xi)).values
    assert coefficients.frequency.values[:-2].tolist() == leader[order[:-2]].tolist()


def test_share_at_the_first_frequency():
    one, other = single_waves([3, 5], 0.3, 0.6), single_waves([4, 2], 0.1, 0.2)
    mixed = [a + 0.5 * b for a, b in zip(one, other, strict=True)]
    turned = [0.1 * a + b for a, b in zip(one, other, strict=True)]
    history = mechanism_history(run_of(one, mixed, turned))
    wanted = np.array([1, 1 / 1.25, 0.01 / 1.01])
    np.testing.assert_allclose(
        history.initial_share.values, np.tile(wanted[:, None, None], (1, 2, 2)), rtol=1e-10
    )
    assert history.same_leader.values.tolist() == [1, 1, 0]
    assert history.participation[0].values == pytest.approx([1, 1])


def test_history_follows_a_trained_run(small_run):
    history = mechanism_history(small_run)
    spectra = small_run.spectra()
    first = fourier.leading_frequency(spectra.isel(step=0, drop=True))
    energy = fourier.beta(spectra) ** 2
    share = energy.sel(frequency=first) / energy.sum("frequency")
    np.testing.assert_allclose(history.initial_share.sel(layer="xi"), share, rtol=1e-10)
    leaders = fourier.leading_frequency(spectra)
    np.testing.assert_allclose(history.same_leader, (leaders == first).mean("neuron"))
    sine = np.abs(np.sin(fourier.misalignment(spectra).sel(frequency=leaders))).mean("neuron")
    np.testing.assert_allclose(history.mean_abs_sin, sine, rtol=1e-9)
    # What training is said to do.
    assert history.mean_abs_sin[-1] < history.mean_abs_sin[0] / 2


def test_quadratic_neurons_keep_their_one_frequency(tmp_path):
    config = nets.TrainingConfig(
        p=7, neurons=12, initial="single_frequency", scale=0.02, learning_rate=0.05,
        dtype="float64", steps=400, checkpoint_every=100, log_every=100,
    )  # fmt: skip
    run = nets.train(config, tmp_path / "run")
    # Softmax is 1/p up to the logits' size, about neurons * 0.02^3 = 1e-4.
    assert float(run.metrics.train_loss[-1]) == pytest.approx(np.log(7), rel=1e-3)
    history = mechanism_history(run)
    assert float(history.initial_share.min()) > 1 - 1e-4
    assert (history.same_leader == 1).all()


@pytest.mark.parametrize("activation", PUBLISHED_SWAP)
def test_swap_is_the_accuracy_by_definition(activation):
    sigma = {
        "abs": np.abs,
        "quadratic": np.square,
        "quartic": lambda z: z**4,
        "softplus2": lambda z: np.log1p(np.exp(2 * z)),
        "exp": np.exp,
        "relu": lambda z: np.maximum(z, 0),
        "gelu": lambda z: z * stats.norm.cdf(z),
        "identity": lambda z: z,
        "cubic": lambda z: z**3,
    }[activation]
    assert activation in ACTIVATIONS
    theta, xi = diversified(p=7, N=5)
    theta, xi = (
        values + 0.4 * noise for values, noise in zip((theta, xi), gaussian(15, 10, 7), strict=True)
    )
    z = theta[:, :, None] + theta[:, None, :]
    logits = np.einsum("mj,mxy->xyj", xi, sigma(z))
    answers = np.add.outer(np.arange(7), np.arange(7)) % 7
    swap = activation_swap(theta, xi, [activation])
    assert swap.accuracy.item() == (logits.argmax(-1) == answers).mean()
    assert swap.attrs["chance"] == 1 / 7


def test_a_symmetric_network_has_even_activations_alone():
    """Neurons in pairs phi, phi + pi with the same output: what is odd cancels."""
    swap = activation_swap(*diversified(N=12))
    accuracy = swap.accuracy.to_series()
    for name in ("abs", "quadratic", "quartic", "softplus2", "exp", "relu", "gelu"):
        assert accuracy[name] == 1, name
    for name in ("identity", "cubic"):
        # Of these logits nothing but rounding is left, which is no answer.
        assert np.isnan(accuracy[name])
        assert swap.reason.sel(activation=name) == "logits are equal for every output"


def test_swap_says_why_there_is_no_accuracy():
    theta, xi = diversified(N=5)
    swap = activation_swap(1000 * theta, xi, ["exp", "relu"])
    assert swap.reason.values.tolist() == ["logits overflow", ""]
    assert np.isnan(swap.accuracy[0])
    with pytest.raises(ValueError, match="activation must be one of"):
        activation_swap(theta, xi, ["sine"])


def test_an_ideal_network_meets_every_theory():
    measured = mechanism(run_of(diversified(N=12), initial="single_frequency"))
    by_name = {m.name: m for m in measures(measured)}
    assert len(by_name) == len(measures(measured))
    for name in ("r2_theta", "participation_xi", "mean_abs_sin", "mean_cos", "noise_4"):
        assert by_name[name].value == pytest.approx(by_name[name].theory, abs=1e-10)
    for name, value in by_name.items():
        if name.startswith(("variation", "leakage")):
            assert value.value == pytest.approx(0, abs=1e-10)
    assert by_name["fewest_neurons"].value == by_name["most_neurons"].value == 12
    assert by_name["balance_p_value"].value == by_name["uniformity_p_value"].value == 1
    assert by_name["swap_abs"].value == 1
    assert by_name["initial_share_theta"].value == "the run has one checkpoint"


def test_table_and_json_have_every_measure(small_run):
    measured = mechanism(small_run)
    names = [m.name for m in measures(measured)]
    rows = mechanism_table(measured)
    assert {len(row) for row in rows} == {6}
    assert [row[1] for row in rows[1:]] == [m.text for m in measures(measured)]
    plain = json.loads(json.dumps(mechanism_json(measured), allow_nan=False))
    assert list(plain["measures"]) == names
    assert plain["measures"]["mean_abs_sin"]["value"] == measured["doubling"].mean_abs_sin.item()
    assert plain["frequencies"]["neurons"] == measured["balance"].neurons.values.tolist()
    assert len(plain["history"]["initial_share_xi"]) == small_run.weights.sizes["step"]
    assert sum(plain["frequencies"]["neurons"]) + plain["dead_neurons"] == plain["neurons"]


def test_any_checkpoint_can_be_asked_for(small_run):
    first = mechanism(small_run, step=0)
    assert first["about"].attrs["step"] == 0
    at = small_run.weights.sel(step=0)
    swap = activation_swap(at.theta, at.xi)
    assert first["swap"].accuracy.equals(swap.accuracy)
    with pytest.raises(ValueError, match="step 1 has no checkpoint"):
        mechanism(small_run, step=1)


def broken_runs():
    good = diversified(N=6)
    dead = [np.array(layer) for layer in good]
    dead[0][0] = dead[1][0] = dead[0][1] = dead[1][2] = 0
    nothing = [np.zeros_like(layer) for layer in good]
    missing = [np.full_like(layer, np.nan) for layer in good]
    constant = [np.full_like(layer, 0.3) for layer in good]
    return {
        "dead neurons": run_of(good, dead),
        "dead network": run_of(nothing, nothing),
        "constant weights": run_of(constant, constant),
        "NaN last": run_of(good, missing),
        "NaN first": run_of(missing, good),
        "NaN between": run_of(good, missing, good),
        "one checkpoint": run_of(good),
        "p = 3": run_of(gaussian(8, 11, 3), gaussian(8, 12, 3)),
        "two neurons": run_of(gaussian(2, 13), gaussian(2, 14)),
        "tiny weights": run_of([1e-200 * layer for layer in good]),
    }


@pytest.mark.parametrize("name", broken_runs())
def test_what_cannot_be_had_is_a_reason_not_a_crash(name):
    measured = mechanism(broken_runs()[name])
    json.dumps(mechanism_json(measured), allow_nan=False)
    for row in mechanism_table(measured):
        assert "nan" not in " ".join(row)
    for measure in measures(measured):
        # Never an empty reason in a number's place.
        assert measure.value != ""
    draw_all(measured, render=name in ("dead network", "NaN between", "p = 3"))


def test_reasons_say_what_is_missing():
    runs = broken_runs()
    about = mechanism(runs["NaN last"])["about"].attrs
    assert about["reason"] == "weights at step 10 are not all finite"
    between = mechanism(runs["NaN between"])["history"]
    assert between.reason.values.tolist() == ["", "weights are not all finite", ""]
    assert np.isnan(between.same_leader[1])
    assert (between.initial_share[2] > 1 - 1e-10).all()
    first = {m.name: m.value for m in measures(mechanism(runs["NaN first"]))}
    assert first["initial_share_xi"] == "the first checkpoint has no waves to compare with"
    nothing = {m.name: m.value for m in measures(mechanism(runs["dead network"]))}
    assert nothing["mean_abs_sin"] == "no neuron has a wave in both layers"
    assert nothing["swap_abs"] == "logits are equal for every output"
    three = {m.name: m.value for m in measures(mechanism(runs["p = 3"]))}
    assert "one frequency" in three["balance_p_value"]
    few = {m.name: m.value for m in measures(mechanism(runs["two neurons"]))}
    assert "too few" in few["balance_p_value"]
    tiny = {m.name: m.value for m in measures(mechanism(runs["tiny weights"]))}
    assert tiny["participation_theta"] == pytest.approx(1)


def test_dead_neurons_are_left_out():
    waves = winning_waves(
        fourier.spectrum(*broken_runs()["dead neurons"].weights.isel(step=1).values())
    )
    assert waves.attrs["dead"] == 3
    assert waves.neuron.values.tolist() == list(range(3, 66))
    fits = mechanism(broken_runs()["dead neurons"])["fits"]
    assert fits.frequency.values[:3].tolist() == [0, 0, 0]
    assert np.isnan(fits.r2.values[:, :3]).all()


def test_runs_it_is_not_about():
    run = run_of(diversified(N=2))
    run.seed = None
    with pytest.raises(ValueError, match=r"several seeds.*run\.select"):
        mechanism_history(run)
    run = run_of(diversified(N=2))
    run.config.separate_inputs = True
    with pytest.raises(ValueError, match="separate input weights"):
        mechanism(run)


def draw_all(measured, render=True):
    """Every figure of a mechanism, by name, drawn and with axis labels or a reason."""
    draws = {"preservation": lambda ax: figures.preservation_curves(measured["history"], ax)}
    parts = measured
    if not measured["about"].attrs["reason"]:
        draws |= {
            "weights": lambda ax: figures.weights_with_cosine(parts["fits"], 0, "theta", ax),
            "heatmap": lambda ax: figures.basis_heatmap(parts["coefficients"], "xi", ax),
            "participation": lambda ax: figures.participation_histogram(parts["sparsity"], ax),
            "doubling": lambda ax: phase_figures.phase_doubling_scatter(parts["doubling"], ax),
            "circles": lambda ax: phase_figures.phase_circles(parts["doubling"], 1, ax),
            "resultants": lambda ax: phase_figures.resultant_bars(parts["uniformity"], ax),
            "balance": lambda ax: phase_figures.frequency_bars(parts["balance"], ax),
            "magnitudes": lambda ax: phase_figures.magnitude_strips(
                parts["doubling"], parts["homogeneity"], "xi", ax
            ),
            "leakage": lambda ax: figures.leakage_bars(parts["leakage"], "theta", ax),
            "swap": lambda ax: figures.activation_swap_bars(parts["swap"], ax),
        }
    axes = {}
    for name, draw in draws.items():
        figure, ax = plt.subplots()
        assert draw(ax) is ax
        if render:
            figure.canvas.draw()
        assert ax.get_xlabel() or ax.texts
        axes[name] = ax
        plt.close(figure)
    return axes


def test_figures_show_the_numbers(small_run):
    measured = mechanism(small_run)
    axes = draw_all(measured)
    parts = measured
    heights = [bar.get_height() for bar in axes["balance"].patches]
    assert heights == parts["balance"].neurons.values.tolist()
    widths = [bar.get_width() for bar in axes["swap"].patches]
    np.testing.assert_allclose(widths, 100 * parts["swap"].accuracy)
    points = np.asarray(axes["doubling"].collections[0].get_offsets())
    np.testing.assert_allclose(points[:, 1], parts["doubling"].psi)
    image = axes["heatmap"].images[0].get_array()
    np.testing.assert_allclose(image, parts["coefficients"].coefficient.sel(layer="xi"))
    cosine, weights = axes["weights"].lines
    fits = parts["fits"].sel(neuron=0, layer="theta")
    np.testing.assert_allclose(weights.get_ydata(), fits.weights)
    # The dashed line goes through the fit at the residues.
    between = np.interp(np.arange(7), cosine.get_xdata(), cosine.get_ydata())
    np.testing.assert_allclose(between, fits.cosine, atol=1e-3 * abs(fits.cosine).max())
    bars = [bar.get_height() for bar in axes["resultants"].patches]
    relative = parts["uniformity"].resultant / parts["uniformity"].random_resultant
    np.testing.assert_allclose(bars, relative.values.ravel())


def test_every_figure_names_network_and_theory(small_run):
    for name, ax in draw_all(mechanism(small_run)).items():
        words = " ".join(ax.get_legend_handles_labels()[1]) + ax.get_title()
        assert "network" in words, name
        if name not in ("heatmap", "swap", "preservation"):
            assert "theory" in words, name
