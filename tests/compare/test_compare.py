"""Comparisons on networks trained here: truths of the theory, seen in a real training."""

import numpy as np
import pytest
import xarray as xr

from grokode import compare, nets
from grokode.compare import figures
from grokode.theory import fourier, mechanism


def test_winners_agree_with_a_count_by_hand(small_run):
    scored = compare.winners(small_run)
    spectra = small_run.spectra()
    initial, final = spectra.isel(step=0), spectra.isel(step=-1)
    by_hand = 1 + np.abs(final.xi_hat.values).argmax(-1)
    np.testing.assert_array_equal(scored.observed, by_hand)
    least = 1 + np.abs(np.angle(initial.theta_hat.values**2 * initial.xi_hat.values.conj())).argmin(
        -1
    )
    np.testing.assert_array_equal(scored.predicted.sel(predictor="misalignment"), least)
    assert float(scored.accuracy.sel(predictor="misalignment")) == (by_hand == least).mean()
    assert scored.attrs["chance"] == 1 / 3


def test_trajectories_start_together_and_part(small_run):
    pair = compare.trajectories(small_run)
    errors = compare.trajectory_errors(pair)
    assert set(pair.sizes) >= {"source", "step", "neuron", "frequency"}
    # At the first checkpoint both are the same numbers.
    assert float(errors.beta_error[0]) < 1e-12
    assert float(errors.leader_agreement[0]) == 1
    # After the plateau theory has blown up while the network's weights stay finite.
    assert float(errors.blown_up[-1]) > 0
    assert np.isnan(errors.beta_error[-1])
    assert compare.parting_step(errors, 0.05) > compare.parting_step(errors, 0.001)


def test_a_theory_that_is_wrong_is_seen(small_run):
    """The same errors on a theory with its phases turned are large: the measure can fail."""
    pair = compare.trajectories(small_run)
    wrong = pair.copy()
    factor = xr.DataArray([2.0, 1.0], dims="source")
    wrong["xi_hat"] = pair.xi_hat * factor
    errors = compare.trajectory_errors(wrong)
    assert float(errors.beta_error[0]) == pytest.approx(1.0)
    assert compare.parting_step(errors, 0.02) == 0


def training(scale, out):
    """Train to the time at which theory's fastest ticket has gone a third of its way."""
    p, neurons, seed = 5, 4, 3
    initial = nets.gaussian(p, neurons, scale, seed)
    # Magnitudes scale by 1/c and time by c: the same point of every trajectory.
    steps = round(60 / scale)
    config = nets.TrainingConfig(
        p=p,
        neurons=neurons,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.05,
        initial="gaussian",
        scale=scale,
        seed=seed,
        dtype="float64",
        steps=steps,
        checkpoint_every=steps,
        log_every=steps,
    )
    run = nets.train(config, out, initial=initial)
    return float(compare.trajectory_errors(compare.trajectories(run)).beta_error[-1])


def test_error_shrinks_with_the_initialisation(tmp_path):
    """Softmax differs from 1/p by O(logits) = O(scale^3), and SGD from its flow by O(lr scale):

    at matched flow progress the total is first order in the scale, so halving it halves the error.
    """
    scales = np.array([0.2, 0.1, 0.05])
    errors = np.array([training(s, tmp_path / str(s)) for s in scales])
    assert (errors[1:] < errors[:-1]).all()
    slope = np.polyfit(np.log(scales), np.log(errors), 1)[0]
    assert slope > 0.8


def test_logits_of_an_ideal_network_follow_proposition_1():
    p, N = 11, 5
    phases = np.exp(2j * np.pi * np.arange(N) / N)
    waves = np.kron(np.eye((p - 1) // 2), phases[:, None])
    theta = fourier.from_waves(np.zeros(len(waves)), 0.5 * waves)
    xi = fourier.from_waves(np.zeros(len(waves)), 2.0 * waves**2)
    fit = compare.logits(theta, xi)
    assert float(fit.accuracy) == 1
    # Rounding only: the network satisfies the proposition's assumptions exactly.
    assert float(fit.r2) == pytest.approx(1, abs=1e-12)
    assert float(fit.scale) == pytest.approx(0.5**2 * 2.0 * N / 2, rel=1e-12)
    assert float(fit.expected_scale) == pytest.approx(float(fit.scale), rel=1e-12)


def test_r2_is_the_explained_share_of_variance():
    """Known mixture: pattern plus an orthogonal part of equal variance gives R^2 = 1/2."""
    rng = np.random.default_rng(0)
    theta, xi = rng.normal(size=(2, 16, 7))
    fit = compare.logits(theta, xi)
    network, theory = fit.network.values.ravel(), fit.theory.values.ravel()
    correlation = np.corrcoef(network, theory)[0, 1]
    # Both are centred, so R^2 of a one-parameter fit is the squared correlation.
    assert float(fit.r2) == pytest.approx(correlation**2, rel=1e-10)
    pattern = mechanism.proposition_1(7)
    pattern -= pattern.mean(-1, keepdims=True)
    assert np.dot((network - theory), pattern.ravel()) == pytest.approx(0, abs=1e-9)


def test_logits_of_nothing_say_so():
    fit = compare.logits(np.zeros((3, 5)), np.zeros((3, 5)))
    assert "equal for every output" in fit.attrs["reason"]
    assert np.isnan(fit.r2)


def test_checkpoint_names_the_nearest(small_run):
    with pytest.raises(ValueError, match="nearest is 100"):
        compare.checkpoint(small_run, 101)
    assert int(compare.checkpoint(small_run).step) == int(small_run.weights.step[-1])


def test_report_is_self_contained(small_run, tmp_path):
    comparison = compare.compare_run(small_run)
    page = compare.write_report(comparison, tmp_path / "report")
    text = page.read_text()
    assert "<svg" in text
    assert "Proposition 1" in text
    # Nothing is fetched: no script, no image file, no style sheet from outside.
    assert not any(tag in text for tag in ("<script", "<img", "<link", "src="))
    names = {path.stem for path in (tmp_path / "report" / "figures").iterdir()}
    assert names >= {"winners", "trajectories", "errors", "logits", "budget", "neurons"}
    with pytest.raises(FileExistsError, match="choose another"):
        compare.write_report(comparison, tmp_path / "report")


def test_figures_show_their_data(small_run):
    import matplotlib.pyplot as plt

    pair = compare.trajectories(small_run)
    _, ax = plt.subplots()
    figures.tickets(pair, 0, "beta", ax)
    # One curve for each of the three frequencies and two sources.
    assert len(ax.lines) == 6
    beta = fourier.beta(pair).sel(neuron=0)
    drawn = {tuple(np.nan_to_num(line.get_ydata(), nan=-1)) for line in ax.lines}
    expected = {
        tuple(np.nan_to_num(beta.sel(source=s, frequency=k).values, nan=-1))
        for s in ("theory", "network")
        for k in (1, 2, 3)
    }
    assert drawn == expected
    with pytest.raises(ValueError, match="quantity must be one of"):
        figures.tickets(pair, 0, "gamma", ax)
    plt.close("all")
